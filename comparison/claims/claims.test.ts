import { expect, test } from "vitest";
import type { Claim } from "../../reports/claims.ts";
import { claimsText } from "../../reports/claims.ts";
import { CLAIMS } from "./index.ts";

const examine = (name: string, runs: number): Claim => {
  const claim = CLAIMS.find((one) => one.name === name);
  if (claim === undefined) throw new Error(name);
  return claim.examine({ runs, seed: "1" });
};

test.each([
  ["sizes", "confirmed"],
  ["120-bytes", "refuted"],
  ["hundred-odd-bytes", "refuted"],
  ["traced-case", "confirmed"],
  ["ptrace-moved", "confirmed"],
])("%s is %s, by arithmetic", (name, verdict) => {
  expect(examine(name, 1)).toMatchObject({ name, verdict });
});

test("the measured table comes out of the declarations to the byte", () => {
  const { evidence } = examine("sizes", 1);
  for (const pair of ["1392/1384", "1408/1400", "72/72", "1456/1456"]) {
    expect(evidence.find((line) => line.includes(`${pair} in the mail, ${pair} computed`))).toBeDefined();
  }
});

test("an untraced task grows by 72 bytes, by 112 in the kernel of the crash dump, where the struct is 120", () => {
  const { evidence } = examine("120-bytes", 1);
  expect(evidence.join("\n")).toMatch(/grows by 72 .*\n.*grows by 112 .*\n.*72 bytes in the one and 120 in the other/);
});

test("without the engine's refcount memory goes wrong under every lifetime, with it under none", () => {
  const claim = examine("engine-refcount", 25);
  expect(claim.verdict).toBe("confirmed");
  for (const line of claim.evidence) expect(line).toMatch(/without the count [^;]*use-after-free in get_utrace_lock/);
  for (const line of claim.evidence) expect(line.split("with it")[1]).not.toContain("use-after-free");
});

test("one list for attaching: a race with the walk where that takes no lock, none where it does", () => {
  const { verdict, because, evidence } = examine("two-lists", 16);
  expect(verdict).toBe("confirmed");
  expect(because).toContain("(embedded) no such race was found");
  expect(evidence[0]).toMatch(
    /^pointer, .* with one list data-race in utrace_attach_task \/ .*\(list_head->next\).*; with two none$/,
  );
});

test("too small a search settles nothing", () => {
  expect(examine("engine-refcount", 1).verdict).toBe("undecided");
});

test("one lock for every field: all but what is read under the siglock", () => {
  const { verdict, evidence } = examine("simple-spinlock", 3);
  expect(verdict).toBe("refuted");
  const places = evidence[0]?.split(": ").slice(1).join(": ").split("; ") ?? [];
  expect(places.length).toBeGreaterThan(0);
  for (const place of places) expect(place).toContain("(under siglock)");
});

test("the text says verdict, claim, mail, evidence, limits and command, and counts", () => {
  const text = claimsText([examine("traced-case", 1)]);
  expect(text).toMatch(/^CONFIRMED {2}traced-case\n {2}"In traced case/);
  expect(text).toContain("Alexey Dobriyan, 2008-09-03");
  expect(text).toContain("  - with the pointer: 88 bytes");
  expect(text).toContain("  $ npx utrace-sim compare --runs 0");
  expect(text).toMatch(/\n1 confirmed, 0 refuted, 0 undecided$/);
});
