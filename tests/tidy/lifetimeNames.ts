/**
 * Nothing knows a lifetime by name but its own file: what a lifetime does is asked of it. So another one is one file and
 * one line. Tests may name the lifetime that they are about, but not decide by its name.
 */
import ts from "typescript";
import { LIFETIMES } from "../../model/utrace/lifetimes/index.ts";
import { isTest, nodesOf, type Project, type Rule, type Violation, violationAt } from "./project.ts";

const OWN_FOLDER = "model/utrace/lifetimes/";
/** A table of facts: which lifetimes a judged defect was found under. Nothing is decided by it but what is known. */
const FACTS = "properties/fuzz/known.ts";

/** Whether something is decided by comparing with this literal. */
function isComparedWith({ parent }: ts.Node): boolean {
  if (ts.isCaseClause(parent)) return true;
  if (!ts.isBinaryExpression(parent)) return false;
  return [ts.SyntaxKind.EqualsEqualsEqualsToken, ts.SyntaxKind.ExclamationEqualsEqualsToken].includes(
    parent.operatorToken.kind,
  );
}

/** No branch on the name of a lifetime. */
export const lifetimesByThemselves: Rule = {
  name: "nothing decides by the name of a lifetime",
  check({ files }: Project): Violation[] {
    const found: Violation[] = [];
    for (const [path, source] of files) {
      if (path.startsWith(OWN_FOLDER) || path === FACTS) continue;
      for (const node of nodesOf(source)) {
        if (!ts.isStringLiteralLike(node) || !LIFETIMES.has(node.text)) continue;
        if (!isTest(path) || isComparedWith(node))
          found.push(violationAt(path, node, `names the lifetime ${node.text}`));
      }
    }
    return found;
  },
};
