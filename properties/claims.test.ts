/** The page of the claims is current, and what it names is there. */
import { expect, test } from "vitest";
import { RULES } from "../model/spec/rules.ts";
import { CLAIMS, claimsDocument } from "./claims.ts";
import { PROPERTIES } from "./index.ts";
import { TWINS } from "./twins.ts";

test("docs/properties.md is what the code says (npm run bless renews it)", async () => {
  await expect(claimsDocument(PROPERTIES)).toMatchFileSnapshot("../docs/properties.md");
});

test("every claim has a property, every property a claim and a twin", () => {
  const claimed = new Set(CLAIMS.flatMap(({ properties }) => properties));
  const withTwin = new Set(TWINS.map(({ property }) => property));
  expect(CLAIMS.filter(({ properties }) => properties.length === 0)).toEqual([]);
  expect(PROPERTIES.filter((property) => !claimed.has(property)).map(({ name }) => name)).toEqual([]);
  expect(PROPERTIES.filter((property) => !withTwin.has(property)).map(({ name }) => name)).toEqual([]);
  expect([...claimed].every((property) => PROPERTIES.includes(property))).toBe(true);
});

test("the rules that claims name are there", () => {
  const rules = new Set(RULES.map(({ name }) => name));
  expect(CLAIMS.flatMap((claim) => claim.rules).filter((name) => !rules.has(name))).toEqual([]);
});
