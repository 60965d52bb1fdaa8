/**
 * Parameters as people give them, made complete and checked for sense.
 *
 * Pure: text in, {@link Parameters} or a {@link BadParameter} out.
 */
import { LIFETIMES as lifetimesByName } from "../model/utrace/lifetimes/index.ts";
import { CHECK_NAMES, type CheckName, type Config, EXTRA_CHECK_NAMES, MEMORY_MODELS } from "../sim/index.ts";
import type { Parameters } from "./scenario.ts";

/** A parameter that makes no sense; the message names it and says what would. */
export class BadParameter extends Error {
  override readonly name = "BadParameter";
}

/** Kernel config options the model knows, with their defaults: those of the kernel that crashed in the thread. */
export const CONFIG_DEFAULTS: Config = {
  PREEMPT: true,
  PREEMPT_RCU: false,
  DEBUG_SPINLOCK: true,
  LOCKDEP: true,
  SLUB_DEBUG: false,
  DEBUG_PAGEALLOC: true,
  UTRACE_DEBUG: true,
  UTRACE_PTRACE: false,
};

/** Names of the lifetimes of struct utrace; the first is the default. */
export const LIFETIMES: readonly string[] = [...lifetimesByName.keys()];

/** Fixes from utrace's later history, each with what it does. */
export const PATCHES: Readonly<Record<string, string>> = {
  "stop-relookup": "utrace_stop looks task->utrace up again, under RCU and its lock, after waking (f357a74067b)",
  "no-stop-after-last-detach": "utrace_reset takes back a stop once the last engine has gone (f357a74067b)",
  "recheck-before-stop":
    "utrace_stop asks under utrace->lock whether some engine still wants the stop (00932dbe24b, d1a14cef3e6)",
  "sigpending-in-resume":
    "utrace_resume sets TIF_SIGPENDING when it sees `interrupt`, and does not assert it (622013dbfc8, c0909b50355)",
  "notify-at-attach": "an attach to a task with engines sets TIF_NOTIFY_RESUME along with `report` (f357a74067b)",
  "cloning-before-finish": "utrace_report_clone clears `cloning` while the struct is surely there (f357a74067b)",
  "jctl-notify": "report_jctl is told whether the parent is, not the CLD_ code a second time (68f389909cd)",
  "taker-frees":
    "who sets task->utrace to NULL owns the free: the rule of the posted version, for --lifetime prototype",
};

/** Changes that nobody made, which ask what part of the code is for. Named like patches, but not among `all`. */
export const EXPERIMENTS: Readonly<Record<string, string>> = {
  "no-engine-refcount": "an engine has no references: the detach frees it, whoever still has its address",
  "one-attach-list": "a new engine goes to the list that the task itself walks, not to one of newcomers",
};

/** Parameters as given; what is left out takes its default. */
export interface GivenParameters {
  readonly lifetime?: string | undefined;
  /** `all`, `none`, or names separated by commas. */
  readonly patches?: string | undefined;
  readonly memory?: string | undefined;
  readonly cpus?: number | undefined;
  /** `KEY=VALUE,...`; values y or n. */
  readonly config?: string | undefined;
  /** `all`, or names separated by commas. */
  readonly checks?: string | undefined;
  readonly stepsMax?: number | undefined;
}

const list = (text: string): string[] =>
  text
    .split(",")
    .map((word) => word.trim())
    .filter((word) => word !== "");

/** Adds what is not given, and refuses what makes no sense. */
export function resolveParameters(given: GivenParameters): Parameters {
  const lifetime = given.lifetime ?? (LIFETIMES[0] as string);
  if (!LIFETIMES.includes(lifetime)) {
    throw new BadParameter(`unknown lifetime "${lifetime}"; known: ${LIFETIMES.join(", ")}`);
  }
  const memory = given.memory ?? "sc";
  const model = MEMORY_MODELS.find((known) => known === memory);
  if (model === undefined) {
    throw new BadParameter(`unknown memory model "${memory}"; known: ${MEMORY_MODELS.join(", ")}`);
  }
  const cpus = given.cpus ?? 2;
  if (!Number.isInteger(cpus) || cpus < 1 || cpus > 8) {
    throw new BadParameter(`${cpus} is no number of CPUs; give a whole number from 1 to 8`);
  }
  const stepsMax = given.stepsMax ?? 20_000;
  if (!Number.isInteger(stepsMax) || stepsMax < 1) {
    throw new BadParameter(`${stepsMax} is no bound on steps; give a whole number above 0`);
  }
  return {
    lifetime,
    patches: resolvePatches(given.patches ?? "none"),
    memory: model,
    cpus,
    config: resolveConfig(given.config ?? ""),
    checks: resolveChecks(given.checks ?? "all"),
    stepsMax,
  };
}

function resolvePatches(text: string): string[] {
  if (text === "none") return [];
  const fixes = Object.keys(PATCHES).sort();
  if (text === "all") return fixes;
  const known = [...fixes, ...Object.keys(EXPERIMENTS).sort()];
  const names = [...new Set(list(text))].sort();
  for (const name of names) {
    if (!known.includes(name)) throw new BadParameter(`unknown patch "${name}"; known: ${known.join(", ")}, all, none`);
  }
  return names;
}

function resolveChecks(text: string): CheckName[] {
  const names = list(text);
  const known = [...CHECK_NAMES, ...EXTRA_CHECK_NAMES];
  for (const name of names) {
    if (name !== "all" && !(known as readonly string[]).includes(name)) {
      throw new BadParameter(`unknown check "${name}"; known: ${known.join(", ")}, all`);
    }
  }
  const all: readonly string[] = names.includes("all") ? CHECK_NAMES : [];
  return known.filter((name) => names.includes(name) || all.includes(name));
}

function resolveConfig(text: string): Config {
  const given: Record<string, boolean> = {};
  for (const pair of list(text)) {
    const [key, value, ...rest] = pair.split("=");
    if (key === undefined || !Object.hasOwn(CONFIG_DEFAULTS, key)) {
      throw new BadParameter(`unknown config option "${key}"; known: ${Object.keys(CONFIG_DEFAULTS).join(", ")}`);
    }
    if (rest.length > 0 || (value !== "y" && value !== "n")) {
      throw new BadParameter(`config option ${key} takes y or n: ${key}=y`);
    }
    given[key] = value === "y";
  }
  const config: Record<string, boolean> = { ...CONFIG_DEFAULTS, ...given };
  if (config.PREEMPT_RCU && !config.PREEMPT) {
    throw new BadParameter("PREEMPT_RCU=y needs PREEMPT=y; add PREEMPT=y or leave PREEMPT_RCU out");
  }
  if (given.LOCKDEP === true && given.DEBUG_SPINLOCK === false) {
    throw new BadParameter("LOCKDEP=y selects DEBUG_SPINLOCK; leave DEBUG_SPINLOCK=n out");
  }
  if (given.DEBUG_SPINLOCK === false) config.LOCKDEP = false;
  return config;
}
