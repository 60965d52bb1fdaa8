/**
 * Imports go downwards only, and each package is known only where it is needed: chance, above all, to `sim/rng.ts`.
 */
import { isBuiltin } from "node:module";
import { posix } from "node:path";
import ts from "typescript";
import { folderOf, isTest, nodesOf, type Project, type Rule, type Violation, violationAt } from "./project.ts";

/** What the files of a folder may import besides those of their own. */
interface Allowed {
  readonly folders: readonly string[] | "any";
  readonly packages: readonly string[] | "any";
}

const ANY: Allowed = { folders: "any", packages: "any" };

const ALLOWED: Readonly<Record<string, Allowed>> = {
  sim: { folders: [], packages: [] },
  model: { folders: ["sim"], packages: [] },
  scenarios: { folders: ["sim", "model"], packages: [] },
  properties: { folders: ["sim", "model", "scenarios"], packages: ["fast-check"] },
  reports: { folders: ["sim"], packages: [] },
  parallel: { folders: ["sim"], packages: ["tinypool"] },
  comparison: { folders: ["sim", "model", "scenarios", "reports"], packages: [] },
  cli: ANY,
  bench: ANY,
  docs: ANY,
  tests: ANY,
  "vitest.config.ts": ANY,
};

/** Files that may, or may only, import something else than the rest of their folder. */
const OF_FILE: Readonly<Record<string, Allowed>> = {
  "sim/rng.ts": { folders: [], packages: ["seedrandom"] },
  "properties/fuzz/token.ts": { folders: ["sim", "model", "scenarios"], packages: ["node:zlib"] },
  "properties/fuzz/scriptSchema.ts": { folders: ["scenarios"], packages: ["zod"] },
  "model/spec/spec.ts": { folders: ["sim"], packages: ["immer"] },
  "docs/refcounted-object.ts": { folders: ["sim"], packages: [] },
};

const FOR_TESTS = new Set(["vitest", "fast-check"]);

/** The module named by an import or export declaration, a dynamic import or an import type. */
function specifierOf(node: ts.Node): ts.StringLiteralLike | null {
  let named: ts.Node | undefined;
  if (ts.isImportDeclaration(node) || ts.isExportDeclaration(node)) named = node.moduleSpecifier;
  else if (ts.isCallExpression(node) && node.expression.kind === ts.SyntaxKind.ImportKeyword) named = node.arguments[0];
  else if (ts.isImportTypeNode(node) && ts.isLiteralTypeNode(node.argument)) named = node.argument.literal;
  return named !== undefined && ts.isStringLiteralLike(named) ? named : null;
}

function breachOf(path: string, specifier: string): string | null {
  const folder = folderOf(path);
  const allowed = OF_FILE[path] ?? ALLOWED[folder];
  if (allowed === undefined) return `${folder}/ is not in the table of folders (tests/tidy/imports.ts)`;
  if (specifier.startsWith(".")) {
    const target = folderOf(posix.join(posix.dirname(path), specifier));
    if (target === folder || allowed.folders === "any" || allowed.folders.includes(target)) return null;
    return `${folder}/ must not import ${target}/: ${specifier}`;
  }
  if (specifier === "seedrandom" && path !== "sim/rng.ts") return "seedrandom is for sim/rng.ts alone";
  if (allowed.packages === "any" || allowed.packages.includes(specifier)) return null;
  if (isTest(path) && (FOR_TESTS.has(specifier) || isBuiltin(specifier))) return null;
  return `${folder}/ must not import the ${isBuiltin(specifier) ? "Node module" : "package"} ${specifier}`;
}

/** Folders and packages are imported as the tables say. */
export const downwardImports: Rule = {
  name: "imports go downwards only",
  check({ files }: Project): Violation[] {
    const found: Violation[] = [];
    for (const [path, source] of files) {
      for (const node of nodesOf(source)) {
        const specifier = specifierOf(node);
        if (specifier === null) continue;
        const what = breachOf(path, specifier.text);
        if (what !== null) found.push(violationAt(path, node, what));
      }
    }
    return found;
  },
};
