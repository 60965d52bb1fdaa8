/**
 * Lock order.
 *
 * Checks: that no two lock classes are ever taken in both orders (over any number of classes in between), that a task
 * does not take two locks of one class, that a class taken in softirq context is never taken with softirqs on.
 * A class is the struct field the lock is declared as.
 * Does not check: hard interrupt safety (nothing here takes a lock in hard interrupt context).
 * May report falsely: an inversion whose two chains can never run at the same time.
 *
 * @see kernel/lockdep.c
 */
import type { Site } from "../finding.ts";
import { fieldLabel } from "../struct.ts";

const CLASSES = 32;
const USED_IN_SOFTIRQ = 1;
const TAKEN_SOFTIRQS_ON = 2;

/** What lockdep has to say of an acquisition. */
export interface LockOrderProblem {
  readonly message: string;
  readonly chain: readonly { readonly from: string; readonly to: string; readonly site: Site }[];
}

/** What has been seen of lock orders in one run. */
export class Lockdep {
  private readonly fields: number[] = [];
  private readonly order = new Uint8Array(CLASSES * CLASSES);
  private readonly sites = new Map<number, Site>();
  private readonly usage = new Uint8Array(CLASSES);

  /** Back to knowing nothing. */
  clear(): void {
    this.fields.length = 0;
    this.order.fill(0);
    this.sites.clear();
    this.usage.fill(0);
  }

  private lockClass(field: number): number {
    const index = this.fields.indexOf(field);
    if (index >= 0) return index;
    if (this.fields.length === CLASSES) throw new Error("[sim bug] more lock classes than lockdep has room for");
    return this.fields.push(field) - 1;
  }

  /**
   * Notes that `field` is taken while `held` are held.
   *
   * @returns the problem, or null. An order is reported once: it is an edge of the graph from then on.
   */
  acquire(
    held: readonly number[],
    field: number,
    recursiveRead: boolean,
    softirq: boolean,
    softirqsOn: boolean,
    site: () => Site,
  ): LockOrderProblem | null {
    const to = this.lockClass(field);
    let problem = this.checkUsage(to, softirq, softirqsOn, site);
    for (let i = 0; i < held.length; i++) {
      const from = this.lockClass(held[i] as number);
      if (from === to) {
        if (recursiveRead) continue;
        problem ??= this.problem("possible recursive locking detected", [[from, to]], site);
        continue;
      }
      const edge = from * CLASSES + to;
      if (this.order[edge] !== 0) continue;
      const path = this.pathBetween(to, from);
      this.order[edge] = 1;
      this.sites.set(edge, site());
      if (path !== null) {
        problem ??= this.problem("possible circular locking dependency detected", [...path, [from, to]], site);
      }
    }
    return problem;
  }

  private checkUsage(index: number, softirq: boolean, softirqsOn: boolean, site: () => Site): LockOrderProblem | null {
    const use = softirq ? USED_IN_SOFTIRQ : softirqsOn ? TAKEN_SOFTIRQS_ON : 0;
    const before = this.usage[index] as number;
    if (use === 0 || (before & use) !== 0) return null;
    this.usage[index] = before | use;
    return before === 0 ? null : this.problem("inconsistent lock state", [[index, index]], site);
  }

  private problem(message: string, path: readonly (readonly [number, number])[], site: () => Site): LockOrderProblem {
    const chain = path.map(([from, to]) => ({
      from: fieldLabel(this.fields[from] as number),
      to: fieldLabel(this.fields[to] as number),
      site: this.sites.get(from * CLASSES + to) ?? site(),
    }));
    return { message, chain };
  }

  /** Edges of a shortest path in the order graph, or null. */
  private pathBetween(from: number, to: number): [number, number][] | null {
    const cameFrom = new Map<number, number>([[from, -1]]);
    const queue = [from];
    for (let at = queue.shift(); at !== undefined; at = queue.shift()) {
      if (at === to) {
        const path: [number, number][] = [];
        for (let node = to; node !== from; node = cameFrom.get(node) as number) {
          path.unshift([cameFrom.get(node) as number, node]);
        }
        return path;
      }
      for (let next = 0; next < this.fields.length; next++) {
        if (this.order[at * CLASSES + next] !== 0 && !cameFrom.has(next)) {
          cameFrom.set(next, at);
          queue.push(next);
        }
      }
    }
    return null;
  }
}
