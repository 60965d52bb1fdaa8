/**
 * What was promised for later, and how stops end: rules of the specification as properties of whole runs.
 *
 * A run's notes are gone through once more, past what the check of the run made of them, so these say whether a rule was
 * ever put to the test, and what is left open at the end.
 */
import { EINPROGRESS } from "../model/linux/errno.ts";
import type { SpecEvent } from "../model/spec/events.ts";
import { NoteReader } from "../model/spec/observer.ts";
import { SpecRun } from "../model/spec/spec.ts";
import { enginesOf, type SpecState, taskOf } from "../model/spec/state.ts";
import { UTRACE_INTERRUPT, UTRACE_REPORT, UTRACE_STOP } from "../model/utrace/events.ts";
import type { ObservedRun } from "./observe.ts";
import { Judge, type Property } from "./property.ts";

/** Takes a run's notes as steps of the specification; gives its last state. */
function replay(
  run: ObservedRun,
  look: (step: number, event: SpecEvent, state: SpecState) => void,
  judge: Broken,
): SpecState {
  const reader = new NoteReader();
  const spec = new SpecRun();
  for (const { step, by, subject, pointer, value } of run.notes) {
    const event = reader.eventOf(by, subject, pointer, value);
    if (event === null) continue;
    if (event.type === "engine-attached" && spec.state.structs.get(event.utrace) === undefined) {
      // A member of a task that was there before the run began: nobody said that it is.
      const task = spec.state.calls.get(by)?.target ?? 0;
      spec.step({ type: "struct-live", by: 0, utrace: event.utrace, task });
    }
    look(step, event, spec.state);
    const broken = spec.step(event);
    if (broken !== null) judge(step, broken.name, broken.sentence);
  }
  return spec.state;
}
type Broken = (step: number, rule: string, sentence: string) => void;

const PROMISED = new Set(["report-comes", "stop-comes", "detach-comes", "report-complete"]);

/** A call that returned with the promise of a report. */
const promises = (event: SpecEvent, state: SpecState): boolean => {
  if (event.type !== "call-end" || event.call !== "utrace_control") return false;
  const action = state.calls.get(event.by)?.argument;
  if (action === UTRACE_STOP) return event.result === -EINPROGRESS;
  return event.result === 0 && (action === UTRACE_REPORT || action === UTRACE_INTERRUPT);
};

/**
 * Checks: UTRACE_REPORT and UTRACE_INTERRUPT that return 0, UTRACE_STOP that returns -EINPROGRESS, and detaches, up to
 * the task's next way back to user mode; that the report calls everyone on the list who wants it.
 * Does not check: what `EXCUSES` of the specification names; how soon a task leaves user mode, or a sleep.
 */
export const requestedReportComes: Property = {
  name: "a requested report comes before the task runs user code again, or it dies",
  sometimes: "a call returns with the promise of a report",
  holds(run) {
    const judge = new Judge();
    replay(
      run,
      (_step, event, state) => {
        if (promises(event, state)) judge.expect(true, () => "");
      },
      (step, rule, sentence) => {
        if (PROMISED.has(rule)) judge.expect(false, () => `step ${step}: ${sentence} (${rule})`);
      },
    );
    return judge;
  },
};

/** In a stop that some engine, or nobody ever, is there to end. */
function leftStopped(state: SpecState, task: number): boolean {
  const { stop, orphan } = taskOf(state, task);
  return stop === "stopped" && !orphan && !enginesOf(state, task).some(({ wantsStop }) => wantsStop);
}

/**
 * Checks: what ended each stop; when nothing can happen any more, that no task is left in one which no engine wants.
 * Does not check: a stop that nobody was there to end from its begin (the excuse `stop-after-last-detach`).
 */
export const stopsEnd: Property = {
  name: "every stop ends by a resume, SIGKILL or exit",
  sometimes: "a stop ends",
  holds(run) {
    const judge = new Judge();
    const state = replay(
      run,
      (_step, { type }) => {
        if (type === "stop-ended") judge.expect(true, () => "");
      },
      (step, rule, sentence) => {
        if (rule === "stop-ends") judge.expect(false, () => `step ${step}: ${sentence} (${rule})`);
      },
    );
    if (!run.toEnd) return judge;
    for (const { task, who } of run.tasksLeft) {
      judge.expect(!leftStopped(state, task), () => `${who} is left in a stop that no engine wants`);
    }
    return judge;
  },
};
