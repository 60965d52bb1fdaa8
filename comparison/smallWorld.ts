/**
 * A world small enough to count its states: a task that exits, one tracer that attaches to it once and detaches, and
 * the parent that reaps it. The same for every lifetime.
 */

import { shortLife } from "../scenarios/programs/target.ts";
import { justDetach, tracerMain, tracerMemory } from "../scenarios/programs/tracer.ts";
import type { Parameters } from "../scenarios/scenario.ts";
import { world } from "../scenarios/world.ts";
import type { Program } from "../sim/index.ts";

/** The program of the small world. */
export const smallWorld = (parameters: Parameters): Program =>
  world("small-world", parameters, (booted) => {
    const task = booted.process({ comm: "exe", pid: 5118, subject: true }, shortLife);
    const { ops, data } = tracerMemory(booted.machine);
    booted.process({ comm: "tracer", pid: 5377 }, tracerMain, [booted.getPid(task)], ops, data, 1, justDetach);
  });
