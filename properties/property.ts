/** What a property is: a claim about every run of every scenario, as data. */
import type { ObservedRun } from "./observe.ts";

/** What one run says about a claim. */
export interface Judgement {
  /** How often the run put the claim to the test. 0: it says nothing about it. */
  readonly tested: number;
  /** How the run breaks the claim, the first time; null if it does not. */
  readonly breach: string | null;
}

/** A claim that a reader could deny. */
export interface Property {
  /** The claim. */
  readonly name: string;
  /** What puts it to the test once: a run without any says nothing. */
  readonly sometimes: string;
  /** Whether it holds in a run. */
  holds(run: ObservedRun): Judgement;
}

/** Gathers a {@link Judgement} while a property goes through a run. */
export class Judge implements Judgement {
  tested = 0;
  breach: string | null = null;

  /** Notes one test of the claim, and, if it fails, how. */
  expect(holds: boolean, how: () => string): void {
    this.tested++;
    if (!holds) this.breach ??= how();
  }
}
