/**
 * The corpus: every finding that was kept is found again, by the same run, step for step. Nothing is searched here.
 *
 * A file that no longer replays says that scenario, model or machine behave differently now. Where that was meant, the
 * command beside the file in scenarios/corpus/README.md hunts it down again.
 */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, describe, expect, test } from "vitest";
import { makeSandbox } from "../cli/fakeIo.ts";
import { givenOf } from "../cli/options.ts";
import { commandLine } from "../cli/output/text.ts";
import { type Repro, readRepro } from "../cli/reproFile.ts";
import { SCENARIOS } from "../scenarios/index.ts";
import { resolveParameters } from "../scenarios/parameters.ts";

const CORPUS = fileURLToPath(new URL("../scenarios/corpus", import.meta.url));
const FILES = readdirSync(CORPUS)
  .filter((name) => name.endsWith(".json"))
  .sort();
const README = readFileSync(join(CORPUS, "README.md"), "utf8");

const sandbox = makeSandbox(SCENARIOS);
afterAll(() => sandbox.remove());

const read = (file: string): Repro => readRepro(join(CORPUS, file), CORPUS);

/** The hunt that saves the finding of a file first of all. */
function huntFor({ scenario, parameters, finding, strategy, seed }: Repro): string {
  const search = ["--seed", seed.split("/")[0] as string, "--find", finding.kind, "--strategy", strategy];
  return commandLine("hunt", scenario, resolveParameters(givenOf(parameters)), ...search);
}

describe("the corpus", () => {
  test.each(FILES)("%s replays: same history hash, same finding", async (file) => {
    const { finding, historyHash, schedule } = read(file);
    const { code, stdout, stderr } = await sandbox.cli("replay", join(CORPUS, file), "--json", "--no-explain");
    expect({ code, stderr }).toEqual({ code: 1, stderr: "" });
    const { kind, title } = finding;
    expect(JSON.parse(stdout)).toMatchObject({
      historyHash,
      findings: [{ kind, title, function: finding.function, schedule }],
    });
  });

  test.each(FILES)("%s is explained in the README, with the hunt that finds it", (file) => {
    const repro = read(file);
    const row = README.split("\n").find((line) => line.startsWith(`| \`${file}\` |`));
    expect(row).toContain(`\`${repro.finding.kind}\` in \`${repro.finding.function}\``);
    expect(README).toContain(`\n| \`${file}\` | \`${huntFor(repro)}\` |`);
  });

  test("the README tells of no file that is not there", () => {
    const named = [...README.matchAll(/^\| `([\w-]+\.json)` \|/gm)].map(([, file]) => file);
    expect([...new Set(named)].sort()).toEqual(FILES);
  });

  test.each(FILES)("%s is of a kind that its scenario knows of, unless patches are on", (file) => {
    const { scenario, parameters, finding } = read(file);
    if (parameters.patches.length > 0) return;
    expect(SCENARIOS.find(({ name }) => name === scenario)?.known).toContain(finding.kind);
  });
});
