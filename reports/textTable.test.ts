import { expect, test } from "vitest";
import { textTable } from "./textTable.ts";

test("numbers to the right, texts to the left, a rule under the head", () => {
  expect(
    textTable(
      ["name", "n"],
      [
        ["a", 1],
        ["longer", 100],
      ],
    ),
  ).toBe(["name      n", "------  ---", "a         1", "longer  100"].join("\n"));
});

test("a cell of several lines makes room for itself, and no line ends in blanks", () => {
  expect(textTable(["a", "b"], [["x\ny", "z"]])).toBe(["a  b", "-  -", "x  z", "y"].join("\n"));
});
