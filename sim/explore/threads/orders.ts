/**
 * Orders: which of two steps that depend on each other comes first.
 *
 * In every trace in which two dependent steps both occur they have an order, so an exploration of a program falls into
 * two that have no trace in common: one in which the second step waits for the first, and one in which the first waits
 * for the second. Several pairs make up to 2^n parts, each to be explored by itself (`parts.ts`).
 */

/** A step: the n-th, from 0, that an actor takes. */
export interface NthStep {
  readonly actor: number;
  readonly nth: number;
}

/** One of two dependent steps comes first: the later one is not possible before the earlier one was taken. */
export interface Order {
  readonly earlier: NthStep;
  readonly later: NthStep;
  /**
   * Executions in which the earlier step does not occur belong to the part with the order reversed. It is set on one
   * side of each pair, so that those with neither step are counted once.
   */
  readonly mustOccur: boolean;
}

/** The other side of a pair. */
export const reversed = ({ earlier, later, mustOccur }: Order): Order => ({
  earlier: later,
  later: earlier,
  mustOccur: !mustOccur,
});

/**
 * Whether the orders go in a circle, together with the order of each actor's own steps: then no execution takes any of
 * the steps in it.
 */
export function contradictory(orders: readonly Order[]): boolean {
  const steps = orders.flatMap(({ earlier, later }) => [earlier, later]);
  const follows = (to: NthStep): NthStep[] => [
    ...orders.filter(({ later }) => later.actor === to.actor && later.nth === to.nth).map(({ earlier }) => earlier),
    ...steps.filter(({ actor, nth }) => actor === to.actor && nth < to.nth),
  ];
  const done = new Set<string>();
  const open = new Set<string>();
  const circle = (step: NthStep): boolean => {
    const key = `${step.actor}:${step.nth}`;
    if (open.has(key)) return true;
    if (done.has(key)) return false;
    open.add(key);
    const found = follows(step).some(circle);
    open.delete(key);
    done.add(key);
    return found;
  };
  return steps.some(circle);
}
