/** What evidence tells where signs of judged causes lean on it, and where they must not. */
import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { execute, type Finding } from "../../sim/index.ts";
import { ReplayStrategy } from "../../sim/strategies/replay.ts";
import { programOf } from "./case.ts";
import { Evidence } from "./evidence.ts";
import { causesOf } from "./known.ts";
import { parseToken } from "./token.ts";

/** The evidence of a run that a token holds, and the causes that it belongs to. */
function evidenceOf(token: string): { readonly evidence: Evidence; readonly causes: readonly string[] } {
  const { fuzzCase, schedule } = parseToken(token);
  const program = programOf(fuzzCase);
  const { findings } = execute(program, new ReplayStrategy(schedule), { until: (found) => found.length > 0 });
  const evidence = new Evidence(findings[0] as Finding, program, schedule);
  return { evidence, causes: causesOf(evidence, fuzzCase.parameters).map(({ name }) => name) };
}

const witness = (name: string): string =>
  (JSON.parse(readFileSync(new URL(`witnesses/${name}.json`, import.meta.url), "utf8")) as { token: string }).token;

/** The task gives up a first struct itself; a second is at the same address, and nobody gives that one up. */
const SAME_ADDRESS =
  "utrace-fuzz-2:xVRNj9sgEP0r1hwjDsZf2UXqZdWql96qPUXRihKSuMtiryGbXUX57xUQMP5q1V56MZ5hmHnz5sHmAqLec12_cCDQNrXUvAMErD0pIBkC1sh9fQAC3789Pjx9_vLw-PXTB1zRBRSXO94pIJvNBVR9kFQAwSkCTbsD10BSBJK2Ckhqw38Xga_bLYIzrbUCorsTRyA4feMKyJ4KxRGwrjnv-C7YXB5qafY3F6BSnS2SyxVBLVW940DkSQgE-0aI5uwx9IHQ8bbp9JNHVSHv4e-cAcHBVh-KUSGeuNTdBxB8P915r3V8wtllsHec6iOQMgJ3AXPyB2XPQHzYT6aFYZ4KYQJ2DRDDvu4a46ZM140EUl2vUVe4yu_y-c5eTzVXjMdAfLPZOgs-JhrJgeRoACM65PhIF_m4W-Bj0n_-h_6HiUdESNrCTOdbr6WbDG2sRWxIsZY-dpzuwApMd5QFydpdqjVlR0CgROMEGWnTacyOdi_owVYNefkbl1rFJ1-oejZSRovDy0L0dYv-DwTcQ1gOSv8xyE4J_U1fadzXdntFwDDBCUtJkah0hdOkxQnDJE8UXpXGZf7MmhlPlqjU2cYqvD94B9FxbMiQR7s22mUp_J739FVMTQMlzh9hWRVJa6NZfNZij6tkgx6ivyhjNX92gNSs62FPnr1ps9nIxvmgszLmEa8jCvpz63G-AXkjIBFhrl4V8W4H7aku_V98JrInOEaDdVmi_kLWRFv1pCt8N0kUGMwzozOV3kD11Bd-2EEM-bCGWashF06xI1lMrJFQy1AtT7SZXz_EXqPDZBN1zqQ0VpuaZNloKtVY5pO-QulyNn0Ws7Ik5wXQnrWeK7_R3nIP1JElr9it_Wtwa2vCUbyWE7Guo9EsD3R0Q4vZUVbjirP39ybEtRvqELZ_5bJwA-YehHJRtkuDz-fvoH0aHI-OnXvzf78O6igcze4L218";

describe("a struct at the address of another", () => {
  test("is left to the other, though the first was given up", () => {
    const { evidence, causes } = evidenceOf(SAME_ADDRESS);
    expect(evidence.structGivenUpBy).toBe("itself");
    expect(evidence.lastStructGivenUp).toBe(false);
    expect(causes).toEqual(["struct-left-to-the-other"]);
  });

  test("is not taken for left where the last one was given up", () => {
    expect(evidenceOf(witness("stop-on-freed-struct.pointer")).evidence.lastStructGivenUp).toBe(true);
  });
});

/** While the task is stopped, another gives up a struct of its own; the task's last engine leaves in a later pass. */
const OTHERS_STRUCT =
  "utrace-fuzz-2:bY_NasMwEIRfxcwx6KA4cZroVYwpQl4noorkSpuYYvzuRTZ2UuhFrOab2Z96hLMdsb0TFPoYOPBPTxAw_SNB7QVM8J29QgGTGJHItxQTVN0IDNpyguL4IAFH-kkJqtMukYCJYWip3f7kr9ZnXo_QPg1zkxGR-hD507jgCUpOAtYn2xKUfzgn0AXnwpCgDlMjwDpeKY-s6xFtgALfIukWU5Np1GbZbaWaWZsbBJILDCXXDnO5bDSXndPXfO0pnzgn6Ume03vyrtMX1HFz6Hz9y7DpJniOwb1HtWEbPFT1j2ll8tWpaSYBI9W-SHJXFUaqMlfnS7GK5bkqOMsru8y2w8zK08K-ZZHk8u7KLVqVRf9HnfPHj6xunsPmWTU0vw";

describe("what is taken away from another task", () => {
  test("is not taken away from the task in question", () => {
    const { evidence, causes } = evidenceOf(OTHERS_STRUCT);
    expect(evidence.takenAwaySince("task-stopped")).toBe(false);
    expect(causes).toEqual(["stop-after-last-detach"]);
  });

  test("what is taken from itself is", () => {
    const { evidence } = evidenceOf(witness("walk-without-resync.prototype"));
    expect(evidence.takenAwaySince("task-stopped")).toBe(true);
  });
});

describe("a pass in the signal path", () => {
  test("goes by an engine that wants the task stopped", () => {
    expect(evidenceOf(witness("stop-lost-after-handler.pointer")).evidence.stopOverlookedInSignals).toBe(true);
  });

  test.each(["report-unannounced.pointer", "sigcont-forgets-stop.pointer"])("is not to blame in %s", (name) => {
    expect(evidenceOf(witness(name)).evidence.stopOverlookedInSignals).toBe(false);
  });
});
