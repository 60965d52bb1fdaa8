/** The rules of the house, read off the sources; each with small files that break it, so that none is asleep. */
import { describe, expect, test } from "vitest";
import { everythingDocumented } from "./tidy/documented.ts";
import { downwardImports } from "./tidy/imports.ts";
import { lifetimesByThemselves } from "./tidy/lifetimeNames.ts";
import { loadProject, madeUp, type Rule } from "./tidy/project.ts";
import { pureRuns } from "./tidy/purity.ts";
import { everyOpIsMade } from "./tidy/yieldStar.ts";

/** A file and what a rule says of it, line by line; nothing, if it keeps the rule. */
interface Example {
  readonly path: string;
  readonly text: string;
  readonly says: readonly string[];
}

const KERNEL_CODE = `
import { data_race, kernel, load, store, type Kernel, type Ptr } from "../sim/index.ts";
import { list_head } from "../sim/kernelStructs.ts";
const { next } = list_head.fields;
function* twice(at: Ptr) {
  yield* store(at, next, 0);
  yield* store(at, next, 0);
}
`;
const KERNEL_CODE_LINES = KERNEL_CODE.split("\n").length - 1;

/** Kernel code after the lines of {@link KERNEL_CODE}; messages give lines from there. */
const kernelCode = (path: string, text: string, says: readonly string[]): Example => ({
  path,
  text: KERNEL_CODE + text,
  says: says.map((said) => said.replace(/^\d+/, (line) => String(Number(line) + KERNEL_CODE_LINES))),
});

const EXAMPLES: readonly { readonly rule: Rule; readonly examples: readonly Example[] }[] = [
  {
    rule: downwardImports,
    examples: [
      { path: "sim/imports1.ts", text: 'import "./op.ts";\nimport "./checks/lockdep.ts";', says: [] },
      {
        path: "sim/imports2.ts",
        text: 'import "../model/boot.ts";\nexport * from "../reports/step.ts";',
        says: [
          "1 sim/ must not import model/: ../model/boot.ts",
          "2 sim/ must not import reports/: ../reports/step.ts",
        ],
      },
      {
        path: "sim/checks/imports3.ts",
        text: 'import seedrandom from "seedrandom";\nimport { readFileSync } from "node:fs";',
        says: ["1 seedrandom is for sim/rng.ts alone", "2 sim/ must not import the Node module node:fs"],
      },
      {
        path: "model/linux/imports4.ts",
        text: 'export type S = import("../../scenarios/scenario.ts").Scenario;\nimport "../utrace/stop.ts";',
        says: ["1 model/ must not import scenarios/: ../../scenarios/scenario.ts"],
      },
      {
        path: "scenarios/imports5.ts",
        text: 'import "../model/boot.ts";\nexport const later = () => import("../cli/cli.ts");',
        says: ["2 scenarios/ must not import cli/: ../cli/cli.ts"],
      },
      {
        path: "reports/imports6.ts",
        text: 'import "../model/boot.ts";',
        says: ["1 reports/ must not import model/: ../model/boot.ts"],
      },
      { path: "cli/imports9.ts", text: 'import "seedrandom";', says: ["1 seedrandom is for sim/rng.ts alone"] },
      { path: "model/imports10.ts", text: 'import "zod";', says: ["1 model/ must not import the package zod"] },
      { path: "sim/imports7.test.ts", text: 'import "vitest";\nimport "node:fs";\nimport "fast-check";', says: [] },
      {
        path: "extras/imports8.ts",
        text: 'import "../sim/op.ts";',
        says: ["1 extras/ is not in the table of folders (tests/tidy/imports.ts)"],
      },
    ],
  },
  {
    rule: pureRuns,
    examples: [
      {
        path: "sim/pure1.ts",
        text: "const Date = { now: () => 1 };\nexport const x = Math.max(Date.now(), 2);\nexport type D = Promise<Date>;\ninterface Date {}",
        says: [],
      },
      {
        path: "model/pure2.ts",
        text: "export const x = Math.random();",
        says: ["1 Math.random is not for a run: see sim/rng.ts"],
      },
      {
        path: "model/pure3.ts",
        text: "const { random } = Math;\nexport const x = random();",
        says: ["1 Math is for its functions, by name"],
      },
      {
        path: "scenarios/pure4.ts",
        text: "export const x = [Date.now(), new Date()];",
        says: ["1 Date is not for a run", "1 Date is not for a run"],
      },
      {
        path: "sim/pure5.ts",
        text: "export async function f() {\n  await g;\n  for await (const x of []) setTimeout(x, 1);\n}\nconst g = Promise.resolve(1);",
        says: [
          "1 async: a run is synchronous",
          "2 await: a run is synchronous",
          "3 for await: a run is synchronous",
          "3 setTimeout is not for a run",
          "5 Promise is not for a run",
        ],
      },
      {
        path: "sim/pure6.ts",
        text: 'console.log(process.env.X);\nexport const x = "a".localeCompare("b");\nexport const y = import("./op.ts");',
        says: [
          "1 console is not for a run",
          "1 process is not for a run",
          "2 localeCompare depends on the machine's locale",
          "3 import(): a run loads nothing",
        ],
      },
      { path: "sim/pure7.test.ts", text: "export const x = Date.now();", says: [] },
      { path: "cli/pure8.ts", text: "export const x = Date.now();", says: [] },
    ],
  },
  {
    rule: everyOpIsMade,
    examples: [
      kernelCode(
        "model/ops1.ts",
        `export const f = kernel(function* f(at: Ptr) {
  yield* twice(at);
  const x = (yield* load(at, next)) + (yield* data_race(load(at, next)));
  yield* x > 1 ? store(at, next, x) : twice(at);
  const later = twice(at);
  yield* later;
  return yield* g(at, (p) => load(p, next));
});
function* g(at: Ptr, get: (p: Ptr) => Kernel<number>) {
  return yield* get(at);
}
export const h = (at: Ptr) => f(at);
export function i(at: Ptr) {
  return twice(at);
}`,
        [],
      ),
      kernelCode(
        "scenarios/ops2.ts",
        `export const f = kernel(function* f(at: Ptr) {
  store(at, next, 1);
  twice(at);
  if (load(at, next)) return 1;
  while (!load(at, next));
  const later = load(at, next);
  const never = twice(at);
  yield* later;
  yield twice(at);
  return load(at, next);
});`,
        [
          "2 store() does nothing: no yield*",
          "3 twice() does nothing: no yield*",
          "4 load() without yield*, in a IfStatement",
          "5 load() without yield*, in a PrefixUnaryExpression",
          "6 load() without yield*, in a VariableDeclaration",
          "7 twice() without yield*, in a VariableDeclaration",
          "9 yield twice(): the star is missing",
          "10 return load() without yield*",
        ],
      ),
      kernelCode(
        "docs/ops3.ts",
        `export const f = kernel(function* f(at: Ptr) {
  [at].forEach((p) => store(p, next, 1));
  const [x] = [at].map((p) => {
    return load(p, next);
  });
  if ((load(at, next) as unknown) === 0 || load(at, next)) yield* g(load(at, next));
});
function* g(op: Kernel<number>) {
  yield* op;
}`,
        [
          "2 store() is returned to [at].forEach, which knows no yield*",
          "4 load() is returned to [at].map, which knows no yield*",
          "6 load() without yield*, in a BinaryExpression",
          "6 load() without yield*, in a BinaryExpression",
          "6 load() without yield*, in a CallExpression",
        ],
      ),
      {
        path: "cli/ops4.ts",
        text: "function* numbers() {\n  yield 1;\n}\nexport const all = [...numbers()];\nnumbers();",
        says: [],
      },
    ],
  },
  {
    rule: lifetimesByThemselves,
    examples: [
      {
        path: "scenarios/names1.ts",
        text: 'export const odd = (name: string) => name === "lazy";\nexport const usual = "pointer";',
        says: ["1 names the lifetime lazy", "2 names the lifetime pointer"],
      },
      {
        path: "scenarios/names2.test.ts",
        text: 'const of = "lazy";\nif (of !== "embedded") throw new Error(of);\nswitch (of as string) {\n  case "prototype":\n}',
        says: ["2 names the lifetime embedded", "4 names the lifetime prototype"],
      },
      { path: "model/utrace/lifetimes/names3.ts", text: 'export const name = "lazy";', says: [] },
      { path: "reports/names4.ts", text: 'export const kept = "kept lazily"; // lazy', says: [] },
    ],
  },
  {
    rule: everythingDocumented,
    examples: [
      {
        path: "sim/docs1.ts",
        text: "/** The file. */\n/** One. */\nexport const one = 1;\nexport const two = 2;\n\n// Functions.\nexport function f() {}\nfunction g() {}\nexport class C {}",
        says: [],
      },
      {
        path: "model/docs2.ts",
        text: "/** The file. */\nexport const one = 1;\nexport const two = 2;\n\n/** Three. */\nexport const three = 3;\n\nexport function four() {}\nexport interface Five {}\nconst six = 6;\nexport class Seven {}",
        says: ["2 one has no comment", "3 two has no comment", "8 four has no comment", "11 Seven has no comment"],
      },
      { path: "scenarios/docs3.ts", text: "export const one = 1;", says: [] },
    ],
  },
];

describe("every rule fires where it should, and nowhere else", () => {
  const files = EXAMPLES.flatMap(({ examples }) => examples.map(({ path, text }) => [path, text] as const));
  const project = madeUp(Object.fromEntries(files));
  for (const { rule, examples } of EXAMPLES) {
    test.each(examples)(`${rule.name}: $path`, ({ path, says }) => {
      const said = rule.check(project).filter(({ where }) => where.startsWith(`${path}:`));
      expect(said.map(({ where, what }) => `${where.split(":")[1]} ${what}`)).toEqual(says);
    });
  }
});

describe("the sources keep every rule", () => {
  test.each(EXAMPLES.map(({ rule }) => rule))("$name", (rule) => {
    const found = rule.check(loadProject());
    expect(found.map(({ where, what }) => `${where} ${what}`)).toEqual([]);
  });
});
