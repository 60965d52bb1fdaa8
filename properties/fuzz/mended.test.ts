/** Defects of what is ours that the fuzzer has found stay mended: the programs, along the schedules that showed them. */
import { expect, test } from "vitest";
import { execute } from "../../sim/index.ts";
import { GuidedStrategy } from "../../sim/strategies/replay.ts";
import { programOf } from "./case.ts";
import { parseToken } from "./token.ts";

test.each([
  [
    "the prototype, awake again, takes back no INTERRUPT that is set in the word of `stopped` at that time",
    "utrace-fuzz-2:bY_NjoQgEIRfxdTRcBB1_ngVYzYEW5cMCwaYMRvju29gojOHPVF0VX003QqjR4r6hyAwexdd_J0JDGp-BIiaQTk76gkC2NiKQHYgHyC6nmGROgaI6B_EYEg-KUCM0gRiUN4tAw3HneykbfK7FdKGJUNWeJqdj1_KOEsQ1cagbdADQdiHMQyjM8YtAaLZeoYo_UTpya5bMTgIjM7fsfXJ81K9Nts9GaNU32AIxkWIau9n-dony9HIKUDwc_pgbtKTbAyfzR8Z7hDtkZDp7-_AMVfORu_MZ1WqqJ2FOP0T2r36Ter7jUFVheKCF4GXp6TqIlRlfUr3661QVbKqsrldk9kUMSd4eck5fkmJLM9p2uZyUmm2n-U1NzKnCJnXpgl_MXKuOabNzjhYzcHPDJ6X5dm_HMu3O_71ZJ1lc0P_Bw",
  ],
  [
    "the specification takes a RESUME that returns 0 after the reap for no detach",
    "utrace-fuzz-2:bZDdboQgEIVfxZzLhgvc1f7wKsY0BEdLyoIBXNsa370Bq-5F787MnMN8Q7PA6J6ivhEEjPz5BoMapwBRMihnez1AACtbEMh25ANE0ywIerDSQLwxROkHihCcwcoxJde2ZZiljgEi-okYDMk7BYhemkAMyru5o-6oyQ7apnmzQNow5zULPI3Ox3f60un5lUHboDuCsJMxDL0zxs0hjdodI-Ol9dFLddB2DgIyRqk-wBCM23AfyDeCLHsjh3TFczo6J-lONobH5E2GT4iaHxblbPTOPHqkitrZDL4TpD85Lf-E90x9mtp2ZVBcXIvAn8qqLhQXZdKvWV6yLGJSiqficvarMg2uR6S8vBT7UzUvRn5OquovXu39zbV10f4C",
  ],
])("%s", (_what, token) => {
  const { fuzzCase, schedule } = parseToken(token);
  const { findings, steps } = execute(programOf(fuzzCase), new GuidedStrategy(schedule), {});
  expect(findings.map(({ title }) => title)).toEqual([]);
  expect(steps).toBeGreaterThan(schedule.length);
});
