/** A run is a function of scenario, parameters and schedule: no clock, no chance, no I/O, nothing asynchronous. */
import ts from "typescript";
import { folderOf, isTest, nodesOf, type Project, type Rule, type Violation, violationAt } from "./project.ts";

const PURE_FOLDERS = new Set(["sim", "model", "scenarios", "comparison"]);

const IMPURE_GLOBALS = new Set([
  "Date",
  "performance",
  "setTimeout",
  "setInterval",
  "setImmediate",
  "queueMicrotask",
  "Promise",
  "process",
  "console",
  "fetch",
  "crypto",
  "require",
  "globalThis",
  "eval",
  "Function",
  "Worker",
  "Atomics",
  "SharedArrayBuffer",
  "WeakRef",
  "FinalizationRegistry",
  "Intl",
]);

/** Members that answer by the locale of the machine. */
const LOCAL_MEMBERS = new Set(["localeCompare", "toLocaleString", "toLocaleLowerCase", "toLocaleUpperCase"]);

/** Whether a name means what the language or Node give it, and not something that the project declared. */
function isGlobal(checker: ts.TypeChecker, name: ts.Identifier): boolean {
  const declarations = checker.getSymbolAtLocation(name)?.declarations ?? [];
  return declarations.every((declaration) => declaration.getSourceFile().isDeclarationFile);
}

/** Whether an identifier stands for a value, not for the name of a member or of a type. */
function isValue(name: ts.Identifier): boolean {
  const { parent } = name;
  if (ts.isPropertyAccessExpression(parent)) return parent.expression === name;
  if (ts.isPropertyAssignment(parent)) return parent.initializer === name;
  return !(ts.isTypeReferenceNode(parent) || ts.isQualifiedName(parent) || ts.isTypeNode(parent));
}

function breachOf(checker: ts.TypeChecker, node: ts.Node): string | null {
  if (ts.isIdentifier(node) && isValue(node) && (IMPURE_GLOBALS.has(node.text) || node.text === "Math")) {
    if (!isGlobal(checker, node)) return null;
    if (node.text !== "Math") return `${node.text} is not for a run`;
    if (!ts.isPropertyAccessExpression(node.parent)) return "Math is for its functions, by name";
    return node.parent.name.text === "random" ? "Math.random is not for a run: see sim/rng.ts" : null;
  }
  if (ts.isPropertyAccessExpression(node) && LOCAL_MEMBERS.has(node.name.text)) {
    return `${node.name.text} depends on the machine's locale`;
  }
  if (ts.isAwaitExpression(node)) return "await: a run is synchronous";
  if (ts.isForOfStatement(node) && node.awaitModifier !== undefined) return "for await: a run is synchronous";
  if (node.kind === ts.SyntaxKind.AsyncKeyword) return "async: a run is synchronous";
  if (ts.isCallExpression(node) && node.expression.kind === ts.SyntaxKind.ImportKeyword) {
    return "import(): a run loads nothing";
  }
  return null;
}

/** Nothing in sim/, model/ and scenarios/ can make two runs of one schedule differ. */
export const pureRuns: Rule = {
  name: "no clock, no chance, no I/O and no promise in sim/, model/ and scenarios/",
  check({ files, checker }: Project): Violation[] {
    const found: Violation[] = [];
    for (const [path, source] of files) {
      if (!PURE_FOLDERS.has(folderOf(path)) || isTest(path)) continue;
      for (const node of nodesOf(source)) {
        const what = breachOf(checker, node);
        if (what !== null) found.push(violationAt(path, node, what));
      }
    }
    return found;
  },
};
