/** Schedules that survive edits: trails, exact replay, where a replay parts, and carrying a schedule over. */
import { describe, expect, test } from "vitest";
import { type Finding, findingKey } from "./finding.ts";
import { kref, rcu_head } from "./kernelStructs.ts";
import type { Machine } from "./machine.ts";
import { container_of, globalsOf, type KernelFunction, kernel, type Ptr } from "./op.ts";
import {
  call_rcu,
  choose,
  kmem_cache_alloc,
  kmem_cache_free,
  load,
  rcu_dereference,
  rcu_read_lock,
  rcu_read_unlock,
  smp_mb,
  store,
} from "./primitives.ts";
import { rebase } from "./rebase.ts";
import { execute, type Program } from "./run.ts";
import { formatSchedule } from "./schedule.ts";
import { shrink } from "./shrink.ts";
import type { Cache } from "./slab.ts";
import { RandomStrategy } from "./strategies/random.ts";
import { ReplayMismatch, ReplayStrategy } from "./strategies/replay.ts";
import { ptr, struct, u32 } from "./struct.ts";
import { stepwise, tiny } from "./tinyProgram.ts";
import { type RecordedEvent, readTrail, TrailRecorder, writeTrail } from "./trail.ts";

const NODE_T = struct("node", { ref: kref, value: u32, rcu: rcu_head });
const NODE = NODE_T.fields;
const TREE_T = struct("tree", { root: ptr, count: u32 });
const TREE = TREE_T.fields;
const world = globalsOf<{ tree: Ptr; cache: Cache }>();
const tree = (): Ptr => world().tree;

const node_free = kernel(function* node_free(head: Ptr) {
  yield* kmem_cache_free(world().cache, container_of(head, NODE.rcu));
});

/** What an edit changes. */
interface Edit {
  /** Barriers in the reader before it uses what it read. */
  readonly barriers?: number;
  /** The writer counts before it gives up the node. */
  readonly counts?: boolean;
  /** A task more, spawned first, so that the others have other numbers. */
  readonly bystander?: boolean;
  /** The reader holds the read lock until it is done: the mend. */
  readonly mended?: boolean;
  /** The reader reads the root once more before the read that counts: an op that comes again. */
  readonly rereads?: boolean;
  /** Another name for the writer's function. */
  readonly renamed?: boolean;
}

const writes = (edit: Edit): KernelFunction<[], void> => {
  const body = function* () {
    const node = yield* kmem_cache_alloc(world().cache);
    yield* store(tree(), TREE.root, node);
    yield* smp_mb();
    if (edit.counts === true) yield* store(tree(), TREE.count, 0);
    yield* store(tree(), TREE.root, 0);
    yield* call_rcu(node, NODE.rcu, node_free);
  };
  return kernel(Object.defineProperty(body, "name", { value: edit.renamed === true ? "node_replace" : "node_remove" }));
};
const reads = (edit: Edit): KernelFunction<[], void> =>
  kernel(function* node_lookup() {
    yield* choose(3);
    if (edit.rereads === true) {
      yield* rcu_read_lock();
      yield* rcu_dereference(tree(), TREE.root);
      yield* rcu_read_unlock();
    }
    yield* rcu_read_lock();
    const node = yield* rcu_dereference(tree(), TREE.root);
    if (edit.mended !== true) yield* rcu_read_unlock();
    for (let i = 0; i < (edit.barriers ?? 0); i++) yield* smp_mb();
    if (node !== 0) yield* load(node, NODE.value);
    if (edit.mended === true) yield* rcu_read_unlock();
  });
const stands_by = kernel(function* stands_by() {
  yield* smp_mb();
});

/** A reader that uses a node outside its read section. */
const program = (edit: Edit = {}): Program => {
  const [writer, reader] = [writes(edit), reads(edit)];
  const setup = (machine: Machine): void => {
    machine.globals = { tree: machine.allocStaticStruct(TREE_T), cache: machine.createCache(NODE_T) };
    if (edit.bystander === true) machine.spawn(0, { comm: "bystander", pid: 9 }, stands_by);
    machine.spawn(0, { comm: "writer", pid: 1 }, writer);
    machine.spawn(0, { comm: "reader", pid: 2 }, reader);
  };
  return tiny(setup, { config: { PREEMPT_RCU: true } });
};

interface Recorded {
  readonly schedule: Int32Array;
  readonly events: readonly RecordedEvent[];
  readonly key: string;
  readonly hash: string;
}

/** The use after free, as it is found in the program before any edit. */
const recorded = (seed = 0): Recorded => {
  for (let at = seed * 1000; at < seed * 1000 + 1000; at++) {
    const found = execute(program(), stepwise(at));
    const [finding] = found.findings;
    if (finding === undefined) continue;
    const { schedule } = shrink(program(), found.schedule, finding);
    const recorder = new TrailRecorder(new ReplayStrategy(schedule));
    const key = findingKey(finding);
    const until = (findings: readonly Finding[]): boolean => findings.some((one) => findingKey(one) === key);
    const run = execute(program(), recorder, { until });
    const written = JSON.parse(JSON.stringify(writeTrail(recorder.events, recorder.tasks())));
    return { schedule, events: readTrail(written, schedule), key, hash: run.historyHash };
  }
  throw new Error("no schedule shows the use after free");
};

const parting = (edit: Edit, { schedule, events }: Recorded): string => {
  try {
    execute(program(edit), new ReplayStrategy(schedule, events));
  } catch (error) {
    expect(error).toBeInstanceOf(ReplayMismatch);
    return (error as Error).message;
  }
  return "exact";
};

describe("a trail", () => {
  test("is read as it was written, whatever the run (60 seeds)", () => {
    for (let seed = 0; seed < 60; seed++) {
      const recorder = new TrailRecorder(new RandomStrategy(String(seed)));
      // Bursts are not asked about, so the recorder decides every step.
      const run = execute(program({ barriers: 3, bystander: seed % 2 === 0 }), recorder);
      const read = readTrail(writeTrail(recorder.events, recorder.tasks()), run.schedule);
      const plain = (events: readonly RecordedEvent[]) =>
        events.map(({ event, actor, op, occurrence, in: name }) => ({ event, actor, op, occurrence, name }));
      expect(plain(read)).toEqual(plain(recorder.events));
    }
  });

  test("names who, where, what and the how-manieth", () => {
    const { events } = recorded();
    expect(events.at(-1)).toMatchObject({
      actor: "reader/2",
      in: "node_lookup",
      op: "load node->value",
      occurrence: 1,
    });
    expect(events.map(({ op }) => op)).toContain("call_rcu node->rcu/2");
    expect(events.map(({ op }) => op)).toContain("alloc node");
  });

  test("replays exactly in the program it was recorded in (10 schedules)", () => {
    for (let seed = 0; seed < 10; seed++) {
      const { schedule, events, hash, key } = recorded(seed);
      const until = (findings: readonly Finding[]): boolean => findings.some((one) => findingKey(one) === key);
      expect(execute(program(), new ReplayStrategy(schedule, events), { until }).historyHash).toBe(hash);
    }
  });
});

describe("a replay after an edit names the step where it parted, with both candidates", () => {
  test("a new op", () => {
    const message = parting({ barriers: 1 }, recorded());
    expect(message).toMatch(
      /^step \d+ of the schedule is "reader\/2 in node_lookup: load node->value, 1st time, on cpu \d", but possible are: .*"reader\/2 in node_lookup: barrier, 1st time, on cpu \d"/,
    );
  });

  test("an op in another function", () => {
    expect(parting({ renamed: true }, recorded())).toMatch(/writer\/1 in node_remove: .*writer\/1 in node_replace: /);
  });

  test("a task with another number", () => {
    expect(parting({ bystander: true }, recorded())).toMatch(/is "switch to (writer\/1|reader\/2), on cpu \d", but/);
  });

  test("nothing but values", () => {
    const { schedule, events } = recorded();
    const other = events.map((step, i) => ({ ...step, hash: i > 0 && step.hash !== "" ? "0000" : step.hash }));
    expect(() => execute(program(), new ReplayStrategy(schedule, other))).toThrow(/^steps 0 to \d+, before "/);
  });
});

describe("rebasing", () => {
  const edits: readonly [string, Edit][] = [
    ["nothing", {}],
    ["ops before the bad one", { barriers: 4 }],
    ["an op in the other task", { counts: true }],
    ["ops that come again later", { rereads: true }],
    ["a task more", { bystander: true }],
    ["all of these", { barriers: 2, counts: true, bystander: true, rereads: true }],
  ];
  test.each(edits)("carries a schedule over an edit that adds %s (5 schedules)", (_name, edit) => {
    for (let seed = 0; seed < 5; seed++) {
      const { events, key } = recorded(seed);
      const rebased = rebase(program(edit), events, key);
      if (!rebased.found)
        console.log(
          seed,
          events.map((e) => `${e.event & 7}@${(e.event >> 3) & 15} ${e.actor} ${e.op}`).join("\n"),
          "\nNOW\n",
          rebased.departure,
          formatSchedule(rebased.run.schedule),
        );
      expect(rebased.found).toBe(true);
      expect(rebased.run.findings.map((finding) => findingKey(finding))).toContain(key);
      expect(rebased.departure === null).toBe(Object.keys(edit).length === 0);
      expect(rebased.missing).toBe(0);
      const again = execute(program(edit), new ReplayStrategy(rebased.run.schedule), {
        until: (findings) => findings.length > 0,
      });
      expect(again.historyHash).toBe(rebased.run.historyHash);
    }
  });

  test("carries a schedule back over ops that are gone", () => {
    const { events, key } = recorded();
    const { run, departure } = rebase(program({ barriers: 3 }), events, key);
    expect(departure?.now).toContain("barrier, 1st time");
    const recorder = new TrailRecorder(new ReplayStrategy(run.schedule));
    execute(program({ barriers: 3 }), recorder, { until: (findings) => findings.length > 0 });
    const back = rebase(program(), recorder.events, key);
    expect(back).toMatchObject({ found: true, added: 0, missing: 3 });
  });

  test("finds nothing where the edit mends the program, and says where the run departed", () => {
    const { events, key } = recorded();
    const rebased = rebase(program({ mended: true }), events, key);
    expect(rebased.found).toBe(false);
    expect(rebased.departure?.recorded).toContain("rcu_read_unlock");
  });
});
