/** Every call that the posted patch exports to modules: where its results and its effects stand in the specification. */

/** One exported call. */
export interface ExportedCall {
  readonly call: string;
  /** What it may return, in words, or the call whose table says so. */
  readonly results: string;
  /** Names of the rules that say what it does. */
  readonly effects: readonly string[];
}

const orReaped = (call: string): string => `as ${call}, or -ESRCH if the task of the pid was reaped`;

/** All of them, in the order of the patch. */
export const EXPORTED: readonly ExportedCall[] = [
  {
    call: "utrace_attach_task",
    results: "below",
    effects: ["attach-gives-engine", "attached-once", "attached-to-live", "report-complete"],
  },
  { call: "utrace_attach_pid", results: orReaped("utrace_attach_task"), effects: ["attach-gives-engine"] },
  { call: "utrace_engine_get", results: "nothing", effects: ["reference-held", "released-last"] },
  { call: "utrace_engine_put", results: "nothing", effects: ["reference-held", "attached-reference", "released-last"] },
  { call: "utrace_set_events", results: "below", effects: ["callback-wanted", "report-complete"] },
  {
    call: "utrace_control",
    results: "below",
    effects: [
      "last-word",
      "report-comes",
      "stop-comes",
      "stopped-no-user-code",
      "detach-done",
      "detach-comes",
      "detached-silent",
      "stop-wanted",
      "last-resume-wakes",
      "resumed-wakes",
    ],
  },
  { call: "utrace_barrier", results: "below", effects: ["call-has-reason", "callback-wanted"] },
  { call: "utrace_prepare_examine", results: "below", effects: ["call-has-reason"] },
  { call: "utrace_finish_examine", results: "below", effects: ["call-has-reason"] },
  { call: "utrace_set_events_pid", results: orReaped("utrace_set_events"), effects: ["callback-wanted"] },
  { call: "utrace_control_pid", results: orReaped("utrace_control"), effects: ["report-comes", "detach-done"] },
  { call: "utrace_barrier_pid", results: orReaped("utrace_barrier"), effects: ["call-has-reason"] },
];
