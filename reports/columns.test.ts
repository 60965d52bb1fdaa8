import { expect, test } from "vitest";
import { PREEMPT, SOFTIRQ, SWITCH, TIMER } from "../sim/event.ts";
import {
  execute,
  kernel,
  load,
  type Program,
  type Ptr,
  parseSchedule,
  ReplayStrategy,
  smp_mb,
  store,
} from "../sim/index.ts";
import { ALLOC, BARRIER, FREE, LOAD, SCHEDULE, SPIN_LOCK, STORE, UPDATE, WAKE_UP } from "../sim/op.ts";
import { struct, u32 } from "../sim/struct.ts";
import { interleaving } from "./columns.ts";
import { at, makeFinding } from "./testdata/finding.ts";
import { event, FLAGS, LOCK, makeRun, OBJECT, row, UTRACE, writes } from "./testdata/history.ts";

const stopped = { address: FLAGS, field: UTRACE.stopped.id };
const lock = { address: LOCK, field: UTRACE.lock.id };
const found = (step: number) => [makeFinding({ type: "message", message: "" }, { step })];

/** The use after free in utrace_stop. */
const rows = [
  row("exe", SCHEDULE),
  row("tracer", UPDATE, { ...stopped, phase: 1, result: 0, writes: writes(FLAGS, 0x6a) }),
  row("tracer", WAKE_UP, { address: at(0x7c02b880), result: 1 }),
  event("tracer", SOFTIRQ),
  row("softirq", FREE, { address: OBJECT }),
  event("exe", SWITCH),
  row("exe", LOAD, { ...stopped, result: 1 }),
  row("exe", SPIN_LOCK, {
    ...lock,
    backtrace: ["_spin_lock", "utrace_stop", "utrace_get_signal"],
    writes: writes(LOCK, 1),
  }),
];

test("a column per task and softirq, calls in rows of their own, the finding's step marked", () => {
  expect(interleaving(makeRun(805, rows, found(811)))).toBe(
    `step cpu  exe/5118                               tracer/5377                                   softirq/1
          call utrace_stop < utrace_get_signal
 805   0  utrace_stop: schedule
                                                 call utrace_control
 806   1                                         utrace_control: update utrace->stopped = 0
 807   1                                         utrace_control: wake_up ffff88017c02b880 = 1
 808   1                                                                                       -- softirq --
                                                                                               call utrace_free
 809   1                                                                                       utrace_free: free ffff88017c31e780
 810   0  -- runs on cpu 0 --
 811   0  utrace_stop: load utrace->stopped = 1  <==
          call _spin_lock < utrace_stop
 812   0  _spin_lock: spin_lock utrace->lock`,
  );
});

test("last and only: what is left out is counted by task", () => {
  expect(interleaving(makeRun(805, rows), { last: 4, only: ["exe", "softirq/1"] })).toBe(
    `step cpu  softirq/1                           exe/5118
          ... 1 step of exe/5118, 2 of tracer/5377, 1 of softirq/1
          call utrace_free
 809   1  utrace_free: free ffff88017c31e780
 810   0                                      -- runs on cpu 0 --
                                              call utrace_stop < utrace_get_signal
 811   0                                      utrace_stop: load utrace->stopped = 1
                                              call _spin_lock < utrace_stop
 812   0                                      _spin_lock: spin_lock utrace->lock`,
  );
});

const own = (address: number) => row("exe", STORE, { address, field: UTRACE.report.id });

test("three steps that no other task can see are elided, two are not, and a finding's never", () => {
  const dull = [own(0x7c000100), row("exe", BARRIER), own(0x7c000200)];
  const shared = [row("exe", LOAD, stopped), row("tracer", LOAD, stopped)];
  const lines = (run: ReturnType<typeof makeRun>, all = false): string[] => interleaving(run, { all }).split("\n");
  expect(lines(makeRun(1, [...shared, ...dull])).at(-1)).toBe("          ... 3 steps of exe/5118");
  expect(lines(makeRun(1, [...shared, ...dull]), true).at(-1)).toBe("   5   0  utrace_stop: store utrace->report");
  expect(lines(makeRun(1, [...shared, ...dull.slice(1)])).at(-1)).toBe("   4   0  utrace_stop: store utrace->report");
  expect(lines(makeRun(1, [...shared, ...dull], found(4))).slice(-2)).toEqual([
    "   4   0  utrace_stop: barrier  <==",
    "   5   0  utrace_stop: store utrace->report",
  ]);
});

test("an object that another task frees is shared in every byte", () => {
  const object = [row("exe", ALLOC, { result: OBJECT }), own(FLAGS), own(FLAGS), own(FLAGS)];
  expect(interleaving(makeRun(1, object))).toContain("... 3 steps of exe/5118");
  expect(interleaving(makeRun(1, [...object, row("softirq", FREE, { address: OBJECT })]))).not.toContain("...");
});

test("a lock op that does not get its lock says so", () => {
  const debug = makeRun(1, [row("exe", SPIN_LOCK, lock), row("exe", SPIN_LOCK, { ...lock, phase: 1 })]);
  expect(interleaving(debug).split("\n").slice(2)).toEqual([
    "   1   0  utrace_stop: spin_lock utrace->lock (waits)",
    "   2   0  utrace_stop: spin_lock utrace->lock (taken)",
  ]);
  const ticket = { ...lock, writes: writes(LOCK + 1, 1) };
  const queue = makeRun(1, [row("exe", SPIN_LOCK, ticket), row("exe", SPIN_LOCK, { ...lock, phase: 1 })]);
  expect(interleaving(queue)).toContain("spin_lock utrace->lock (waits)");
  expect(interleaving(makeRun(1, [row("exe", SPIN_LOCK, ticket)]))).not.toContain("(waits)");
});

test("an update reads in one step and writes in the next; only the write gives a value", () => {
  const update = [0, 1].map((phase) => row("exe", UPDATE, { ...stopped, phase, result: 6 - 5 * phase }));
  expect(interleaving(makeRun(1, update)).split("\n").slice(2)).toEqual([
    "   1   0  utrace_stop: update utrace->stopped (read)",
    "   2   0  utrace_stop: update utrace->stopped = 1",
  ]);
});

test("events of the machine, and each softirq calls its function anew", () => {
  const events = [
    event("exe", PREEMPT),
    event("exe", SWITCH, { cpu: 1 }),
    event("exe", TIMER),
    event("tracer", SOFTIRQ),
    row("softirq", FREE, { address: OBJECT }),
    event("tracer", SOFTIRQ),
    row("softirq", FREE, { address: LOCK }),
  ];
  expect(interleaving(makeRun(1, events))).toBe(
    `step cpu  exe/5118             softirq/1
   1   0  -- preempted --
   2   1  -- runs on cpu 1 --
   3   0  -- timer expires --
   4   1                       -- softirq --
                               call utrace_free
   5   1                       utrace_free: free ffff88017c31e780
   6   1                       -- softirq --
                               call utrace_free
   7   1                       utrace_free: free ffff88017c31e7b0`,
  );
});

test("a column too narrow for the function drops it where it is known, then cuts", () => {
  const narrow = [row("exe", LOAD, { ...stopped, result: 1 }), row("tracer", LOAD, { ...stopped, result: 1 })];
  expect(interleaving(makeRun(1, narrow), { width: 70 })).toBe(
    `step cpu  exe/5118                    tracer/5377
          call utrace_stop < utrace…
   1   0  load utrace->stopped = 1
                                      call utrace_control
   2   1                              load utrace->stopped = 1`,
  );
  for (const line of interleaving(makeRun(805, rows, found(811)), { width: 80 }).split("\n")) {
    expect(line.length).toBeLessThanOrEqual(80);
  }
});

test("a run that was not recorded says so", () => {
  expect(interleaving(makeRun(0, []))).toBe("(no history: the run was not recorded)");
});

test("under tso: what went into the store buffer, what came from there, and when each store arrives", () => {
  const shared = struct("shared", { x: u32, y: u32 });
  const { x, y } = shared.fields;
  let memory: Ptr = 0;
  const stores = kernel(function* stores() {
    yield* store(memory, x, 1);
    yield* load(memory, x);
    yield* store(memory, y, 1);
    yield* smp_mb();
  });
  const reads = kernel(function* reads() {
    yield* load(memory, x);
    yield* load(memory, y);
  });
  const program: Program = {
    name: "tso",
    options: { config: {}, cpus: 2, memory: "tso", checks: new Set(), stepsMax: 100 },
    setup(machine) {
      memory = machine.allocStaticStruct(shared);
      machine.spawn(0, { comm: "stores" }, stores);
      machine.spawn(0, { comm: "reads" }, reads);
    },
  };
  const schedule = parseSchedule("c0 c1:1 s0*2 s1 f0 s0*2 s1");
  const run = execute(program, new ReplayStrategy(schedule), { record: true });
  expect(interleaving(run, { all: true })).toBe(
    `step cpu  stores/1                                  reads/2
   0   0  -- runs on cpu 0 --
   1   1                                            -- runs on cpu 1 --
          call stores
   2   0  stores: store shared->x (buffered)
   3   0  stores: load shared->x (own store) = 1
                                                    call reads
   4   1                                            reads: load shared->x = 0
   5   0  -- shared->x of step 2 reaches memory --
   6   0  stores: store shared->y (buffered)
   7   0  -- shared->y of step 6 reaches memory --
   7   0  stores: barrier
   8   1                                            reads: load shared->y = 1`,
  );
});

test("from and first: rows from a step on, and not more than so many", () => {
  expect(interleaving(makeRun(805, rows), { from: 808, first: 3 })).toBe(
    `step cpu  softirq/1                           exe/5118
          ... 1 step of exe/5118, 2 of tracer/5377
 808   1  -- softirq --
          call utrace_free
 809   1  utrace_free: free ffff88017c31e780
 810   0                                      -- runs on cpu 0 --
          ... 2 steps of exe/5118`,
  );
});
