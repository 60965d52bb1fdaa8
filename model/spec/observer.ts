/** Holds the implementation's notes against the specification of lives, as they come. */
import type { Machine } from "../../sim/index.ts";
import { Illegal, type LifeEvent, startLives } from "./life.ts";

/** Maps a note of the implementation to the transition it stands for; null if it is about something else. */
export function eventOfNote(subject: string, pointer: number, value: number): LifeEvent | null {
  switch (subject) {
    case "struct-live":
      return { type: subject, utrace: pointer, task: value };
    case "struct-dying":
    case "struct-freed":
      return { type: subject, utrace: pointer };
    case "engine-attached":
      return { type: subject, engine: pointer, utrace: value };
    case "engine-detached":
    case "engine-freed":
      return { type: subject, engine: pointer };
    default:
      return null;
  }
}

/** Watches a machine from its boot on; the first divergence of a run is a finding. */
export function observeLives(machine: Machine): void {
  const lives = startLives();
  let diverged = false;
  machine.onNote = (context, subject, pointer, value) => {
    const event = eventOfNote(subject, pointer, value);
    if (diverged || event === null) return;
    try {
      lives.step(event);
    } catch (error) {
      if (!(error instanceof Illegal)) throw error;
      diverged = true;
      const state = JSON.stringify(lives.state());
      const message = `${error.rule}; spec state: ${state}; event: ${JSON.stringify(event)}`;
      machine.finding("spec-divergence", `${event.type}: ${error.rule}`, context, { type: "message", message }, false);
    }
  };
}
