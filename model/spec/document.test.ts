/** The page of the specification is current. */
import { expect, test } from "vitest";
import { diagramOf, specDocument } from "./document.ts";
import { EXPORTED } from "./exported.ts";
import { EXCUSES } from "./promises.ts";
import { CALL_NAMES, RETURNS } from "./returns.ts";
import { RULES } from "./rules.ts";
import { LIVES } from "./state.ts";

test("docs/spec.md is what the code says (npm run bless renews it)", async () => {
  await expect(specDocument()).toMatchFileSnapshot("../../docs/spec.md");
});

test("it has every rule and every result", () => {
  const page = specDocument();
  for (const { name, on, sentence } of RULES)
    expect(page).toContain(`| \`${name}\` | ${on.join(", ")} | ${sentence} |`);
  for (const { name, sentence } of EXCUSES) expect(page).toContain(`| \`${name}\` | ${sentence} |`);
  for (const { codeName, sentence } of RETURNS) expect(page).toContain(`| ${codeName} | ${sentence} |`);
});

test("every exported call has its results in the page, or in that of another, and rules that there are", () => {
  const rules = new Set(RULES.map(({ name }) => name));
  const calls = new Set(EXPORTED.map(({ call }) => call));
  for (const { call, results, effects } of EXPORTED) {
    expect(effects.filter((name) => !rules.has(name))).toEqual([]);
    expect(effects.length).toBeGreaterThan(0);
    if (results === "below") expect(CALL_NAMES).toContain(call);
    else if (results !== "nothing")
      expect(calls.has(call.replace("_pid", "")) || call === "utrace_attach_pid").toBe(true);
  }
  expect(CALL_NAMES.filter((call) => !calls.has(call))).toEqual([]);
});

test("a diagram begins where the life begins, and ends where it ends", () => {
  expect(diagramOf(LIVES.struct)).toBe(
    [
      "stateDiagram-v2",
      "    [*] --> live: struct-live, by the first attach",
      "    live --> dying: struct-dying, by the last detach, or the reap",
      "    dying --> [*]: struct-freed, by RCU, or the free of its task",
    ].join("\n"),
  );
  expect(diagramOf(LIVES.task)).toContain("    [*] --> alive\n");
});
