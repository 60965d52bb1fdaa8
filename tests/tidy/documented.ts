/**
 * Every function, constant and class that sim/ and model/ export has a comment that says what it is for. One comment may stand over a group:
 * declarations that follow each other without a blank line.
 */
import ts from "typescript";
import { folderOf, isTest, type Project, type Rule, type Violation, violationAt } from "./project.ts";

const FOLDERS = new Set(["sim", "model"]);

type Declaration = ts.FunctionDeclaration | ts.ClassDeclaration | ts.VariableStatement;

function isExported(node: ts.Statement): node is Declaration {
  if (!ts.isFunctionDeclaration(node) && !ts.isClassDeclaration(node) && !ts.isVariableStatement(node)) return false;
  return ts.getModifiers(node)?.some((modifier) => modifier.kind === ts.SyntaxKind.ExportKeyword) === true;
}

function nameOf(node: Declaration): string {
  if (ts.isVariableStatement(node)) return node.declarationList.declarations.map((d) => d.name.getText()).join(", ");
  return node.name?.text ?? "default";
}

/** What stands between a statement and the one before it. */
const textBefore = (source: ts.SourceFile, node: ts.Node): string =>
  source.text.slice(node.getFullStart(), node.getStart(source, false));

/** Comments in a text. */
const countComments = (text: string): number => (text.match(/\/\*\*|\/\//g) ?? []).length;

/** Whether a blank line parts a statement from the one before, not counting those inside a comment. */
const standsApart = (text: string): boolean => /\n[ \t]*\n/.test(text.replace(/\/\*[\s\S]*?\*\//g, "*"));

/** Every exported function, constant and class of sim/ and model/ is commented. */
export const everythingDocumented: Rule = {
  name: "every export of sim/ and model/ has a comment",
  check({ files }: Project): Violation[] {
    const found: Violation[] = [];
    for (const [path, source] of files) {
      if (!FOLDERS.has(folderOf(path)) || isTest(path)) continue;
      let covered = false;
      source.statements.forEach((node, i) => {
        const text = textBefore(source, node);
        // The first comment of a file is its header.
        const own = countComments(text) - (i === 0 ? 1 : 0) > 0;
        covered = own || (covered && !standsApart(text));
        if (isExported(node) && !covered) found.push(violationAt(path, node, `${nameOf(node)} has no comment`));
      });
    }
    return found;
  },
};
