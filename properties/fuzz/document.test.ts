/**
 * The witnesses of the judged causes, and the page that is written from them.
 *
 * A witness is a file of `utrace-sim fuzz --known`. One that no longer replays, or shows another cause, says that model,
 * machine or scripted programs behave differently now; where that was meant, `npm run witnesses` finds them anew.
 */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { execute, type Finding } from "../../sim/index.ts";
import { ReplayStrategy } from "../../sim/strategies/replay.ts";
import { programOf } from "./case.ts";
import { type DoneCampaign, findingsDocument, sectionOf, type Witness } from "./document.ts";
import { Evidence } from "./evidence.ts";
import { causesOf, KNOWN_CAUSES, type KnownCause } from "./known.ts";
import { parseToken } from "./token.ts";

const HERE = fileURLToPath(new URL(".", import.meta.url));
const readJson = (path: string): unknown => JSON.parse(readFileSync(join(HERE, path), "utf8"));
const FILES = readdirSync(join(HERE, "witnesses"))
  .filter((name) => name.endsWith(".json"))
  .sort();
const witnesses = FILES.map(
  (name): Witness => ({
    ...(readJson(`witnesses/${name}`) as Omit<Witness, "file">),
    file: `properties/fuzz/witnesses/${name}`,
  }),
);
const campaigns = readJson("campaigns.json") as readonly DoneCampaign[];

/** What a page holds. */
const LINES = 60;
const COLUMNS = 500;

describe("a witness", () => {
  test.each(witnesses)(
    "$file shows its cause, and the signs of no other fit it",
    ({ cause, lifetime, title, token }) => {
      const { fuzzCase, schedule } = parseToken(token);
      expect(fuzzCase.parameters.lifetime).toBe(lifetime);
      const program = programOf(fuzzCase);
      const { findings } = execute(program, new ReplayStrategy(schedule), { until: (found) => found.length > 0 });
      const [finding] = findings as readonly [Finding];
      expect(finding.title).toBe(title);
      const causes = causesOf(new Evidence(finding, program, schedule), fuzzCase.parameters);
      expect(causes.map(({ name }) => name)).toEqual([cause]);
    },
  );

  test.each(KNOWN_CAUSES)("$name has one for each of its lifetimes", ({ name, lifetimes }) => {
    expect(FILES).toEqual(expect.arrayContaining(lifetimes.map((lifetime) => `${name}.${lifetime}.json`)));
  });

  test("each belongs to a cause and a lifetime that has it", () => {
    const wanted = KNOWN_CAUSES.flatMap(({ name, lifetimes }) => lifetimes.map((one) => `${name}.${one}.json`));
    expect(wanted).toEqual(expect.arrayContaining(FILES));
  });

  test.each(witnesses)("$file is no witness where a patch mends its cause, or under another lifetime", (witness) => {
    const { fuzzCase, schedule } = parseToken(witness.token);
    const program = programOf(fuzzCase);
    const { findings } = execute(program, new ReplayStrategy(schedule), { until: (found) => found.length > 0 });
    const evidence = new Evidence(findings[0] as Finding, program, schedule);
    const under = (parameters: object) => causesOf(evidence, { ...fuzzCase.parameters, ...parameters });
    const { mendedBy, lifetimes } = KNOWN_CAUSES.find(({ name }) => name === witness.cause) as KnownCause;
    for (const patch of mendedBy) {
      expect(under({ patches: patch })).toEqual([]);
      expect(under({ patches: "all" })).toEqual([]);
    }
    expect(under({ lifetime: "none of these" })).toEqual([]);
    expect(lifetimes).toContain(witness.lifetime);
  });
});

test("docs/fuzz-findings.md is what causes, witnesses and campaigns say (npm run bless renews it)", async () => {
  await expect(findingsDocument(witnesses, campaigns)).toMatchFileSnapshot("../../docs/fuzz-findings.md");
});

test.each(KNOWN_CAUSES)("$name takes no more than a page, with its witness", (cause) => {
  const lines = sectionOf(cause, witnesses);
  expect(lines.length).toBeLessThanOrEqual(LINES);
  for (const line of lines) expect(line.length).toBeLessThanOrEqual(COLUMNS);
  expect(lines.join("\n")).toContain("```text");
});

test("every cause that a campaign saw is judged by now", () => {
  const seen = campaigns.flatMap(({ causes }) => causes.map(({ cause }) => cause));
  const names = KNOWN_CAUSES.map(({ name }) => name);
  expect(names).toEqual(expect.arrayContaining([...new Set(seen)]));
});
