/** Why a finding comes: sentences from runs of small programs, found by chance and shrunk. */
import { describe, expect, test } from "vitest";
import { type Finding, findingKey } from "../sim/finding.ts";
import { plain_task, rcu_head, spinlock_t } from "../sim/kernelStructs.ts";
import { pokeLock } from "../sim/locks.ts";
import { nearestPassing } from "../sim/nearest.ts";
import { container_of, globalsOf, type KernelFunction, kernel, type Ptr } from "../sim/op.ts";
import {
  BUG_ON,
  call_rcu,
  current,
  kmem_cache_alloc,
  kmem_cache_free,
  load,
  rcu_dereference,
  rcu_read_lock,
  rcu_read_unlock,
  schedule,
  spin_lock,
  spin_unlock,
  store,
  wake_up_state,
} from "../sim/primitives.ts";
import { execute, type Program } from "../sim/run.ts";
import { shrink } from "../sim/shrink.ts";
import type { Cache } from "../sim/slab.ts";
import { ReplayStrategy } from "../sim/strategies/replay.ts";
import { ptr, struct, u32 } from "../sim/struct.ts";
import { stepwise, tiny } from "../sim/tinyProgram.ts";
import { why } from "./why.ts";

const ENTRY_T = struct("why_entry", { value: u32, rcu: rcu_head });
const ENTRY = ENTRY_T.fields;
const TABLE_T = struct("why_table", { lock: spinlock_t, slot: ptr, ready: u32, sleeper: ptr });
const TABLE = TABLE_T.fields;
const world = globalsOf<{ table: Ptr; cache: Cache }>();
const table = (): Ptr => world().table;

const program = (mains: Readonly<Record<string, KernelFunction<[], void>>>): Program =>
  tiny(
    (machine) => {
      const at = machine.allocStaticStruct(TABLE_T);
      pokeLock(machine, at + (machine.offset[TABLE.lock.id] as number), spinlock_t);
      machine.globals = { table: at, cache: machine.createCache(ENTRY_T) };
      for (const [comm, main] of Object.entries(mains)) machine.spawn(0, { comm }, main);
    },
    { config: { PREEMPT: true, PREEMPT_RCU: true } },
  );

/** The sentences for the first finding of a kind, with the nearest run that passes. */
function sentences(of: Program, kind: string): string {
  for (let seed = 0; seed < 2000; seed++) {
    const found = execute(of, stepwise(seed));
    const finding = found.findings.find((one) => one.kind === kind);
    if (finding === undefined) continue;
    const { schedule: short } = shrink(of, found.schedule.slice(0, finding.step + 1), finding);
    const until = (all: readonly Finding[]): boolean => all.some((one) => findingKey(one) === findingKey(finding));
    const run = execute(of, new ReplayStrategy(short), { record: true, until });
    const shown = run.findings.find((one) => findingKey(one) === findingKey(finding)) as Finding;
    return why(shown, run, of.options.config, nearestPassing(of, short, shown)).join("\n");
  }
  throw new Error(`no ${kind} found`);
}

const entry_free = kernel(function* entry_free(head: Ptr) {
  yield* kmem_cache_free(world().cache, container_of(head, ENTRY.rcu));
});
const removes = kernel(function* removes() {
  const entry = yield* kmem_cache_alloc(world().cache);
  yield* store(table(), TABLE.slot, entry);
  yield* store(table(), TABLE.slot, 0);
  yield* call_rcu(entry, ENTRY.rcu, entry_free);
});
const removesAtOnce = kernel(function* removes_at_once() {
  const entry = yield* kmem_cache_alloc(world().cache);
  yield* store(table(), TABLE.slot, entry);
  yield* store(table(), TABLE.slot, 0);
  yield* kmem_cache_free(world().cache, entry);
});
const looksUp = kernel(function* looks_up() {
  yield* rcu_read_lock();
  const entry = yield* rcu_dereference(table(), TABLE.slot);
  yield* rcu_read_unlock();
  if (entry !== 0) yield* load(entry, ENTRY.value);
});

describe("a use after free", () => {
  const text = sentences(program({ remover: removes, reader: looksUp }), "use-after-free");

  test("who took the pointer by which load, and that the read section was over", () => {
    expect(text).toMatch(
      /reader\/2 took the pointer in step \d+, in looks_up: rcu_dereference why_table->slot = \w+; it left its RCU read section in step \d+ and kept the pointer/,
    );
  });

  test("who gave it to call_rcu, and when the callback freed it", () => {
    expect(text).toMatch(
      /remover\/1 gave the object to call_rcu in step \d+, in removes; the callback came in step \d+/,
    );
    expect(text).toMatch(/It was freed in step \d+ by softirq\/\d, in entry_free\./);
  });

  test("what was stale, since when, by whom", () => {
    expect(text).toMatch(
      /reader\/2 had last looked at and was no longer so: rcu_dereference why_table->slot, .* remover\/1 changed it in step \d+, in removes: store why_table->slot\./,
    );
  });

  test("which order would have forbidden it", () => {
    expect(text).toMatch(/In the nearest run that passes, .* in step \d+, where here .*nothing is amiss\.$/);
  });

  test("without call_rcu: nothing is said of RCU", () => {
    const atOnce = sentences(program({ remover: removesAtOnce, reader: looksUp }), "use-after-free");
    expect(atOnce).toMatch(/It was freed in step \d+ by remover\/1, in removes_at_once\./);
    expect(atOnce).not.toContain("call_rcu");
  });
});

describe("a task that never goes on", () => {
  const waits = kernel(function* waits() {
    yield* store(table(), TABLE.sleeper, current());
    if ((yield* load(table(), TABLE.ready)) !== 0) return;
    yield* store(current(), plain_task.fields.state, 2);
    yield* schedule();
  });
  const wakes = kernel(function* wakes() {
    yield* store(table(), TABLE.ready, 1);
    const sleeper = yield* load(table(), TABLE.sleeper);
    if (sleeper !== 0) yield* wake_up_state(sleeper, 3);
  });
  const nobody = kernel(function* nobody() {
    yield* load(table(), TABLE.ready);
  });

  test("where it sleeps, what had changed before it did, and that it is woken in the run that passes", () => {
    const text = sentences(program({ waiter: waits, waker: wakes }), "hung-task");
    expect(text).toMatch(/waiter\/1 went to sleep in step \d+, in waits\./);
    expect(text).toMatch(/No wake-up came for it after that/);
    expect(text).toMatch(/no longer so: load why_table->ready, .* waker\/2 changed it in step \d+, in wakes/);
    expect(text).toMatch(/there every task gets on, and nothing is amiss\.$/);
  });

  test("that no wake-up ever came, where nobody sends one", () => {
    const text = sentences(program({ waiter: waits, other: nobody }), "hung-task");
    expect(text).toContain("nor since it last slept");
    expect(text).not.toContain("In the nearest run");
  });

  test("who holds the lock that it waits for", () => {
    const keeps = kernel(function* keeps() {
      yield* spin_lock(table(), TABLE.lock);
      yield* store(current(), plain_task.fields.state, 2);
      yield* spin_unlock(table(), TABLE.lock);
      yield* spin_lock(table(), TABLE.lock);
      yield* spin_lock(table(), TABLE.lock);
    });
    const wants = kernel(function* wants() {
      yield* spin_lock(table(), TABLE.lock);
      yield* spin_unlock(table(), TABLE.lock);
    });
    const of = program({ keeper: keeps, wanter: wants });
    for (let seed = 0; seed < 200; seed++) {
      const run = execute(of, stepwise(seed), { record: true });
      const stuck = run.findings.find((one) => one.kind === "deadlock" && one.task === "wanter");
      if (stuck === undefined) continue;
      const text = why(stuck, run, of.options.config).join("\n");
      expect(text).toMatch(/wanter\/2 has waited for the lock since step \d+, in wants: spin_lock why_table->lock/);
      expect(text).toMatch(/keeper\/1 took it in step \d+, in keeps, and never gave it back/);
      return;
    }
    throw new Error("no deadlock found");
  });
});

test("a leak: who allocated it, who touched it last, and how the pointer to it went away", () => {
  const drops = kernel(function* drops() {
    const entry = yield* kmem_cache_alloc(world().cache);
    yield* store(entry, ENTRY.value, 7);
    yield* store(table(), TABLE.slot, entry);
    yield* load(table(), TABLE.slot);
    yield* store(table(), TABLE.slot, 0);
  });
  const text = sentences(program({ dropper: drops }), "leak");
  expect(text).toMatch(/dropper\/1 allocated it in step \d+, in drops\./);
  expect(text).toMatch(/The last to touch it was dropper\/1 in step \d+, in drops: store why_entry->value\./);
  expect(text).toMatch(/The pointer in why_table->slot went away: dropper\/1 changed it in step \d+/);
  expect(text).toContain("Nobody gave it to call_rcu, and nobody freed it.");
});

test("a BUG_ON: the load that decided, and who had set what it gave", () => {
  const sets = kernel(function* sets() {
    yield* store(table(), TABLE.ready, 5);
  });
  const asserts = kernel(function* asserts() {
    yield* BUG_ON((yield* load(table(), TABLE.ready)) === 5, "ready == 5", "why.c:3");
  });
  const text = sentences(program({ setter: sets, asserter: asserts }), "bug-on");
  expect(text).toMatch(
    /The check failed after load why_table->ready = 5, in step \d+, in asserts; setter\/1 changed it in step \d+, in sets/,
  );
  expect(text).toMatch(/there asserter\/2 never comes to BUG, and nothing is amiss\.$/);
});
