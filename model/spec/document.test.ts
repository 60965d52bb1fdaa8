/** The page of the specification is current. */
import { expect, test } from "vitest";
import { diagramOf, specDocument } from "./document.ts";
import { EXCUSES } from "./promises.ts";
import { RETURNS } from "./returns.ts";
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
