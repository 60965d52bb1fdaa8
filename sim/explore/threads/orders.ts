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

/** Orders in force, and whom they hold back as steps are taken and taken back. */
export class OrdersInForce {
  /** Steps that each actor has taken. */
  readonly taken = new Int32Array(32);
  /** Actors whose next step has to wait for a step that is to come before it, as bits. */
  held = 0;
  /** Actors that have a step in an order; those that have the later one of two. */
  readonly concerned: number;
  readonly later: number;
  /** For each actor the orders that its steps stand in, as either of the two. */
  private readonly of: readonly (readonly Order[])[];

  constructor(readonly orders: readonly Order[]) {
    const actors = Array.from(this.taken.keys());
    this.of = actors.map((actor) =>
      orders.filter(({ earlier, later }) => [earlier.actor, later.actor].includes(actor)),
    );
    this.concerned = actors.reduce((mask, actor) => (this.of[actor]?.length === 0 ? mask : mask | (1 << actor)), 0);
    this.later = orders.reduce((mask, { later }) => mask | (1 << later.actor), 0);
    for (const { later } of orders) this.hold(later.actor);
  }

  /** An actor has taken a step (`by` is 1), or has taken one back (-1). */
  move(actor: number, by: number): void {
    this.taken[actor] = (this.taken[actor] as number) + by;
    if ((this.concerned & (1 << actor)) === 0) return;
    const orders = this.of[actor] as readonly Order[];
    for (let i = 0; i < orders.length; i++) this.hold((orders[i] as Order).later.actor);
  }

  /** Whether a step that must occur, if these orders are to say anything of an execution, has not. */
  missesAStep(): boolean {
    return this.orders.some(({ earlier, mustOccur }) => mustOccur && !this.isTaken(earlier));
  }

  private hold(actor: number): void {
    const orders = this.of[actor] as readonly Order[];
    const next = this.taken[actor];
    this.held &= ~(1 << actor);
    for (let i = 0; i < orders.length; i++) {
      const { earlier, later } = orders[i] as Order;
      if (later.actor === actor && later.nth === next && !this.isTaken(earlier)) this.held |= 1 << actor;
    }
  }

  private isTaken({ actor, nth }: NthStep): boolean {
    return (this.taken[actor] as number) > nth;
  }
}
