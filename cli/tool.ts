/** Name and version of this tool, from its package.json. */
import { readFileSync } from "node:fs";

const NAME = "utrace-sim";

export interface Tool {
  readonly name: string;
  readonly version: string;
}

/** The nearest package.json upwards: one folder up from the sources, two from `dist/cli`. */
function readTool(): Tool {
  for (const up of ["../package.json", "../../package.json"]) {
    try {
      const { name, version } = JSON.parse(readFileSync(new URL(up, import.meta.url), "utf8"));
      if (name === NAME && typeof version === "string") return { name, version };
    } catch {
      // Not there; the next one may be.
    }
  }
  return { name: NAME, version: "0.0.0" };
}

export const TOOL: Tool = readTool();

/** As texts name it: `utrace-sim 0.1.0`. */
export const describeTool = (tool: Tool): string => `${tool.name} ${tool.version}`;
