/**
 * Kernel code happens only under `yield*`: a call without it is an op that is never made, a condition that is always
 * true, or an op that another call overwrites before it is made (all primitives share one set of request registers).
 */
import ts from "typescript";
import { nodesOf, type Project, type Rule, type Violation, violationAt } from "./project.ts";

/** Where kernel functions are made, and handed to the machine. */
const MACHINERY = "sim/op.ts";

/** `Kernel` or `Generator`, if a value of this type is kernel code that waits for its `yield*`; else null. */
function kernelCode(checker: ts.TypeChecker, type: ts.Type): "Kernel" | "Generator" | null {
  if (type.isUnion()) return type.types.map((part) => kernelCode(checker, part)).find((name) => name !== null) ?? null;
  const name = type.getSymbol()?.name;
  if (name === "Kernel") return name;
  if (name !== "Generator") return null;
  const [yielded] = checker.getTypeArguments(type as ts.TypeReference);
  return yielded?.getSymbol()?.name === "Request" ? name : null;
}

/** `data_race(...)` marks an op and hands it on. */
const isMark = (node: ts.Node): boolean =>
  ts.isCallExpression(node) && ts.isIdentifier(node.expression) && node.expression.text === "data_race";

/** What a value ends up in: brackets, type assertions, marks and the branches of a choice are looked through. */
function useOf(node: ts.Expression): { readonly value: ts.Node; readonly user: ts.Node } {
  let value: ts.Node = node;
  for (;;) {
    const user = value.parent;
    const through =
      ts.isParenthesizedExpression(user) ||
      ts.isAsExpression(user) ||
      ts.isSatisfiesExpression(user) ||
      ts.isNonNullExpression(user) ||
      isMark(user) ||
      (ts.isConditionalExpression(user) && user.condition !== value);
    if (!through) return { value, user };
    value = user;
  }
}

/** The innermost function around a node. */
function functionAround(node: ts.Node): ts.Node | undefined {
  let at: ts.Node | undefined = node.parent;
  while (at !== undefined && !ts.isFunctionLike(at)) at = at.parent;
  return at;
}

const isGenerator = (node: ts.Node | undefined): boolean =>
  node !== undefined && "asteriskToken" in node && node.asteriskToken !== undefined;

/** Who a function is passed to, if that is code of the language or of a package, which knows no `yield*`. */
function foreignCaller(checker: ts.TypeChecker, callback: ts.Node | undefined): string | null {
  const call = callback?.parent;
  if (call === undefined || !ts.isCallExpression(call) || call.expression === callback) return null;
  const callee = checker.getResolvedSignature(call)?.getDeclaration()?.getSourceFile();
  return callee?.isDeclarationFile === true ? call.expression.getText() : null;
}

/** Whether what a variable is declared with gets its `yield*` further on. Only for generators: a primitive cannot wait. */
function isYieldedLater({ name, parent }: ts.VariableDeclaration): boolean {
  const around = functionAround(parent);
  if (around === undefined || !ts.isIdentifier(name)) return false;
  for (const node of nodesOf(around)) {
    if (!ts.isYieldExpression(node) || node.asteriskToken === undefined || node.expression === undefined) continue;
    if (ts.isIdentifier(node.expression) && node.expression.text === name.text) return true;
  }
  return false;
}

function breachOf(checker: ts.TypeChecker, call: ts.CallExpression, type: "Kernel" | "Generator"): string | null {
  const { value, user } = useOf(call);
  const name = `${call.expression.getText()}()`;
  if (ts.isYieldExpression(user)) return user.asteriskToken === undefined ? `yield ${name}: the star is missing` : null;
  const returned = (ts.isArrowFunction(user) && user.body === value) || ts.isReturnStatement(user);
  if (returned) {
    const returning = ts.isArrowFunction(user) ? user : functionAround(user);
    if (isGenerator(returning)) return `return ${name} without yield*`;
    // Handed on, for the caller to put under yield*.
    const caller = foreignCaller(checker, returning);
    return caller === null ? null : `${name} is returned to ${caller}, which knows no yield*`;
  }
  if (ts.isVariableDeclaration(user) && type === "Generator" && isYieldedLater(user)) return null;
  // A parameter of this type is the callee's own design. A primitive would be overwritten by the next.
  if (ts.isCallExpression(user) && user.expression !== value && type === "Generator") return null;
  if (ts.isExpressionStatement(user)) return `${name} does nothing: no yield*`;
  return `${name} without yield*, in a ${ts.SyntaxKind[user.kind]}`;
}

/** Every call of kernel code stands under `yield*`, or is handed on to someone who can put it there. */
export const everyOpIsMade: Rule = {
  name: "every call of kernel code stands under yield*",
  check({ files, checker }: Project): Violation[] {
    const found: Violation[] = [];
    for (const [path, source] of files) {
      if (path === MACHINERY) continue;
      for (const node of nodesOf(source)) {
        if (!ts.isCallExpression(node)) continue;
        const type = kernelCode(checker, checker.getTypeAtLocation(node));
        const what = type === null ? null : breachOf(checker, node, type);
        if (what !== null) found.push(violationAt(path, node, what));
      }
    }
    return found;
  },
};
