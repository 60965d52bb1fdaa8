/** What a scenario is: who does what, for which parameters, and where in the thread it comes from. */
import type { CheckName, Config, FindingKind, MemoryModel, Program } from "../sim/index.ts";

/** Everything a run depends on besides scenario and schedule. All values are resolved: nothing is left to a default. */
export interface Parameters {
  readonly lifetime: string;
  /** Names of the fixes that are applied, sorted. */
  readonly patches: readonly string[];
  readonly memory: MemoryModel;
  readonly cpus: number;
  readonly config: Config;
  readonly checks: readonly CheckName[];
  /** Steps before a run is cut off. */
  readonly stepsMax: number;
}

export interface Scenario {
  readonly name: string;
  /** The question it asks, in one sentence. */
  readonly title: string;
  /** Where it comes from: message of the thread (author, date), or the part of the patch it exercises. */
  readonly source: string;
  /** Kinds of finding that are known without patches: as posted, or under the lifetime that the scenario is about. */
  readonly known: readonly FindingKind[];
  /** The same with as few tasks and rounds as its question needs: the world that `explore` goes through. */
  readonly small?: Scenario;
  /** Makes the world for these parameters. */
  program(parameters: Parameters): Program;
}
