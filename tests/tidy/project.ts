/** The sources as the TypeScript compiler sees them, and small made-up files among them to try rules on. */
import { dirname, join, relative, sep } from "node:path";
import { fileURLToPath } from "node:url";
import ts from "typescript";

const ROOT = dirname(dirname(dirname(fileURLToPath(import.meta.url))));

/** One breach of a rule. */
export interface Violation {
  /** `sim/op.ts:12`. */
  readonly where: string;
  readonly what: string;
}

/** Sources with their types. */
export interface Project {
  readonly program: ts.Program;
  readonly checker: ts.TypeChecker;
  /** The files to look at, in order of name, by their path from the root. */
  readonly files: ReadonlyMap<string, ts.SourceFile>;
}

/** A rule: what it is called, and how to find its breaches. */
export interface Rule {
  readonly name: string;
  check(project: Project): Violation[];
}

/** First folder of a path: `sim` of `sim/op.ts`. */
export const folderOf = (path: string): string => path.split("/")[0] as string;

export const isTest = (path: string): boolean => path.endsWith(".test.ts");

function parseConfig(): ts.ParsedCommandLine {
  const path = join(ROOT, "tsconfig.json");
  const { config, error } = ts.readConfigFile(path, ts.sys.readFile);
  if (error !== undefined) throw new Error(ts.flattenDiagnosticMessageText(error.messageText, "\n"));
  return ts.parseJsonConfigFileContent(config, ts.sys, ROOT);
}

const pathOf = (fileName: string): string => relative(ROOT, fileName).split(sep).join("/");

let loaded: Project | undefined;

/** The whole project; loaded once. */
export function loadProject(): Project {
  if (loaded === undefined) {
    const { fileNames, options } = parseConfig();
    const program = ts.createProgram(fileNames, options);
    loaded = makeProject(program, fileNames.map(pathOf).sort());
  }
  return loaded;
}

/**
 * The project with some files added or replaced; only these are to be looked at.
 *
 * @param files - Text by path from the root.
 */
export function madeUp(files: Readonly<Record<string, string>>): Project {
  const { program: before } = loadProject();
  const { fileNames, options } = parseConfig();
  const texts = new Map(Object.entries(files).map(([path, text]) => [join(ROOT, path), text]));
  const host = ts.createCompilerHost(options);
  const { getSourceFile, fileExists, readFile } = host;
  host.fileExists = (name) => texts.has(name) || fileExists.call(host, name);
  host.readFile = (name) => texts.get(name) ?? readFile.call(host, name);
  host.getSourceFile = (name, ...rest) => {
    const text = texts.get(name);
    if (text !== undefined) return ts.createSourceFile(name, text, rest[0], true);
    return before.getSourceFile(name) ?? getSourceFile.call(host, name, ...rest);
  };
  const program = ts.createProgram([...new Set([...fileNames, ...texts.keys()])], options, host, before);
  return makeProject(program, Object.keys(files));
}

function makeProject(program: ts.Program, paths: readonly string[]): Project {
  const files = new Map<string, ts.SourceFile>();
  for (const path of paths) {
    const source = program.getSourceFile(join(ROOT, path));
    if (source !== undefined) files.set(path, source);
  }
  return { program, checker: program.getTypeChecker(), files };
}

/** A breach at a node. */
export function violationAt(path: string, node: ts.Node, what: string): Violation {
  const source = node.getSourceFile();
  const { line } = source.getLineAndCharacterOfPosition(node.getStart(source));
  return { where: `${path}:${line + 1}`, what };
}

/** Every node of a file, parents first. */
export function* nodesOf(node: ts.Node): Generator<ts.Node> {
  yield node;
  const children: ts.Node[] = [];
  ts.forEachChild(node, (child) => {
    children.push(child);
  });
  for (const child of children) yield* nodesOf(child);
}
