/** A worker thread of an exploration: one search, which shares states and work with those of the others. */
import { parentPort, workerData } from "node:worker_threads";
import { named, SCENARIOS } from "../scenarios/index.ts";
import { Explored, harvestOf, tallyOf } from "../sim/explore/machine/explore.ts";
import { CannotExplore } from "../sim/explore/machine/exploringMachine.ts";
import { Footprints } from "../sim/explore/machine/footprints.ts";
import type { Search } from "../sim/explore/machine/search.ts";
import { States } from "../sim/explore/machine/states.ts";
import { Work } from "../sim/explore/machine/work.ts";
import { type CrewOrder, type CrewReport, PUBLISHED, type WorkerSetup } from "./exploreCrew.ts";

/** Runs after which a search looks up: whether to stop, and what to show. */
const SLICE = 200;
/** Milliseconds to wait for work that another may give. */
const PATIENCE_MS = 1;

const setup = workerData as WorkerSetup;
const { memory, options, index } = setup;
const found = named(SCENARIOS).find(({ name }) => name === setup.scenario);
if (found === undefined) throw new Error(`[sim bug] worker knows no scenario "${setup.scenario}"`);
const explored = new Explored(found.program(setup.parameters), options.loopRounds);
const states = new States(memory.states, setup.statesMax, Atomics);
const work = new Work(memory.work, Atomics);
const footprints = memory.footprints === null ? null : new Footprints(explored.machine, memory.footprints, Atomics);
let search: Search | null = null;

function publish({ executions, steps, runs, done }: Search): void {
  setup.published.set([executions, steps, states.added, runs, done], index * PUBLISHED);
}

/** Works until nobody has anything left to do, or all are told to stop. */
function goThrough(own: Search, searches: number): void {
  for (;;) {
    const more = own.advance(SLICE);
    publish(own);
    if (states.full || footprints?.broken === true) work.stop();
    if (work.isStopped) return;
    if (more) continue;
    if (work.idle(searches)) return;
    for (;;) {
      const item = work.take();
      if (item !== null) {
        own.accept(item);
        break;
      }
      if (work.isStopped || work.isOver(searches)) return;
      work.wait(PATIENCE_MS);
    }
  }
}

function obey(order: CrewOrder): CrewReport {
  switch (order.type) {
    case "begin":
      states.begin();
      search = explored.search(states, work, footprints, options);
      return { type: "begun" };
    case "round": {
      const own = search as Search;
      own.roundSize = order.size;
      own.beginRound(order.round, order.firstOf, order.items);
      goThrough(own, order.searches);
      return { type: "round", tally: tallyOf(own, states), keys: [...own.sightings.keys()] };
    }
    case "harvest":
      return { type: "harvest", harvest: harvestOf(search as Search), items: (search as Search).left() };
  }
}

parentPort?.on("message", (order: CrewOrder) => {
  let report: CrewReport;
  try {
    report = obey(order);
  } catch (error) {
    work.stop();
    const refused = error instanceof CannotExplore;
    report = {
      type: "failed",
      refused,
      message: refused || !(error instanceof Error) ? String((error as Error).message) : String(error.stack),
    };
  }
  parentPort?.postMessage(report);
});
