/** What the tasks of a scenario expect, and a finding where the kernel goes on without noticing that it is not so. */
import { current, type Machine, note } from "../../sim/index.ts";

const BROKEN = "claim broken: ";

/** The running task found that this does not hold. No step. */
export function* claim(holds: boolean, title: string) {
  if (!holds) yield* note(BROKEN + title, current(), 0);
}

/** Makes the first broken claim of a run a finding of kind `property`, under the check `spec`. */
export function observeClaims(machine: Machine): void {
  if (!machine.checks.has("spec")) return;
  const inner = machine.onNote;
  let broken = false;
  machine.onNote = (context, subject, pointer, value) => {
    inner?.(context, subject, pointer, value);
    if (broken || !subject.startsWith(BROKEN)) return;
    broken = true;
    const message = `${context.comm}/${context.pid} found out`;
    machine.finding("property", subject.slice(BROKEN.length), context, { type: "message", message }, false);
  };
}
