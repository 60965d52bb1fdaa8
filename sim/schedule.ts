/**
 * The text form of a schedule: one word for each stretch of equal events.
 *
 *     c0:2 s0*35 p0 c0:1 s0*4 q1
 *
 * The letter is the type of the event (s step, c switch, p preempt, i interrupt, q softirq, t timer, f flush), the
 * digit the CPU, the number after the colon the context switched to or the value chosen, the number after the star how often.
 */
import { CPUS_MAX, EVENT_NAMES, eventArgument, eventCpu, eventType, makeEvent } from "./event.ts";

const LETTERS = "scpiqtf";

/** A schedule as text. */
export function formatSchedule(schedule: ArrayLike<number>): string {
  const words: string[] = [];
  for (let i = 0; i < schedule.length; ) {
    const event = schedule[i] as number;
    let n = 1;
    while (i + n < schedule.length && schedule[i + n] === event) n++;
    const argument = eventArgument(event);
    const colon = argument > 0 ? `:${argument}` : "";
    words.push(`${LETTERS[eventType(event)]}${eventCpu(event)}${colon}${n > 1 ? `*${n}` : ""}`);
    i += n;
  }
  return words.join(" ");
}

/**
 * Reads the text form.
 *
 * @throws Error with the offending word, if the text is no schedule.
 */
export function parseSchedule(text: string): Int32Array {
  const events: number[] = [];
  for (const word of text.split(/\s+/).filter((w) => w !== "")) {
    const match = /^([a-z])(\d{1,2})(?::(\d{1,6}))?(?:\*(\d{1,7}))?$/.exec(word);
    const type = match === null ? -1 : LETTERS.indexOf(match[1] as string);
    if (match === null || type < 0 || type >= EVENT_NAMES.length || Number(match[2]) >= CPUS_MAX) {
      throw new Error(`"${word}" is no part of a schedule`);
    }
    const event = makeEvent(type, Number(match[2]), Number(match[3] ?? 0));
    for (let n = Number(match[4] ?? 1); n > 0; n--) events.push(event);
  }
  return Int32Array.from(events);
}
