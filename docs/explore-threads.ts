/** Explores a program of two threads in every schedule, and shows what came of them. `exploring.md` explains it. */
import { threadSteps } from "../reports/threadSteps.ts";
import {
  exploreThreads,
  hunt,
  increment,
  lock,
  onMachine,
  read,
  replayThreads,
  smp_mb,
  type ThreadProgram,
  threadProgram,
  unlock,
  write,
} from "../sim/index.ts";

/** Two threads that each add one to a counter. */
const counter = (careful: boolean): ThreadProgram =>
  threadProgram(careful ? "counter under a lock" : "counter", (world) => {
    const held = world.lock("held");
    const count = world.variable("count");
    for (const name of ["one", "two"]) {
      world.thread(name, function* () {
        if (careful) yield* lock(held);
        yield* increment(count);
        if (careful) yield* unlock(held);
      });
    }
  });

/** Each thread says that it is there, and looks whether the other is. */
const dekker = (barriers: boolean): ThreadProgram =>
  threadProgram(barriers ? "dekker with barriers" : "dekker", (world) => {
    const [x, y] = [world.variable("x"), world.variable("y")];
    for (const [name, mine, other] of [
      ["one", x, y],
      ["two", y, x],
    ] as const) {
      world.thread(name, function* () {
        yield* write(mine, 1);
        if (barriers) yield* smp_mb();
        return yield* read(other);
      });
    }
  });

for (const program of [counter(false), counter(true)]) {
  const { executions, complete, outcomes } = exploreThreads(program);
  console.log(`${program.name}: ${executions} executions, ${complete ? "every schedule" : "incomplete"}`);
  for (const { variables, count } of outcomes) console.log(`  count = ${variables.count} in ${count}`);
}

for (const program of [dekker(false), dekker(true)]) {
  for (const memory of ["sc", "tso"] as const) {
    const { outcomes } = exploreThreads(program, { memory });
    const both = outcomes.find(({ returned }) => returned.one === "0" && returned.two === "0");
    console.log(
      `${program.name} under ${memory}: neither sees the other: ${both === undefined ? "never" : "possible"}`,
    );
    if (both !== undefined) console.log(threadSteps(replayThreads(program, both.witness, memory)));
  }
}

const found = hunt(onMachine(counter(true)), {
  strategy: "random",
  seed: "1",
  first: 0,
  runs: 1000,
  keepGoing: false,
  kinds: [],
});
console.log(`on the machine: ${found.executions} runs, ${found.findings.length} findings`);
