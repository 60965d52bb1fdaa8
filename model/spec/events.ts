/** What can happen, as the specification sees it. Every event says who did it: the number of the running task. */

type StructEvent = {
  readonly type: "struct-dying" | "struct-freed" | "engines-spliced" | "report-unannounced" | "report-taken";
  readonly utrace: number;
};
type EngineEvent = {
  readonly type:
    | "engine-detaching"
    | "engine-detached"
    | "engine-get"
    | "engine-put"
    | "engine-freed"
    | "report-declined";
  readonly engine: number;
};
type TaskEvent = {
  readonly type:
    | "task-dead"
    | "task-reaped"
    | "task-given-back"
    | "task-freed"
    | "task-killed"
    | "task-exiting"
    | "task-stopped"
    | "task-resumed"
    | "kill-wakes"
    | "stop-ended"
    | "user-return"
    | "user-mode"
    | "report-passed-by"
    | "report-end";
  readonly task: number;
};

/**
 * Something that happened. If it is `unseen`, the store that did it has not left the store buffer of its CPU;
 * `store-seen` says that the oldest such store of `by` has.
 */
export type SpecEvent = { readonly by: number; readonly unseen?: boolean } & (
  | { readonly type: "store-seen" }
  | StructEvent
  | EngineEvent
  | TaskEvent
  | { readonly type: "struct-live"; readonly utrace: number; readonly task: number }
  | { readonly type: "engine-attached"; readonly engine: number; readonly utrace: number }
  | { readonly type: "events-set"; readonly engine: number; readonly events: number }
  | { readonly type: "wants-stop"; readonly engine: number; readonly wants: boolean }
  | { readonly type: "report-begin"; readonly task: number; readonly event: number }
  | { readonly type: "callback-begin"; readonly engine: number; readonly callback: number }
  | { readonly type: "callback-end"; readonly engine: number; readonly action: number }
  | {
      readonly type: "call-begin";
      readonly call: string;
      readonly target: number;
      readonly engine: number;
      readonly argument: number;
      readonly ops: number;
      readonly data: number;
    }
  | {
      readonly type: "call-end";
      readonly call: string;
      readonly result: number;
      /** The task that the call was about is in TASK_TRACED. */
      readonly asleep?: boolean;
    }
);

/** Names of what can happen. */
export type SpecEventType = SpecEvent["type"];

/** Events of a type. */
export type EventOf<T extends SpecEventType> = SpecEvent extends infer E
  ? E extends { readonly type: infer U }
    ? T extends U
      ? E
      : never
    : never
  : never;
