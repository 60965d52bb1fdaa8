/**
 * Single stepping is one flag for two tracers.
 *
 * Question: does a debugger's step end after one instruction? Not if a report of utrace's comes in between, at the end
 * of which nobody wants the task to step: that takes the flag away.
 */

import { PTRACE_SINGLESTEP } from "../model/linux/ptrace.ts";
import { utrace_control, utrace_set_events } from "../model/utrace/control.ts";
import { UTRACE_EVENT, UTRACE_REPORT } from "../model/utrace/events.ts";
import { conflict } from "./programs/conflict.ts";
import { instructions } from "./programs/debugged.ts";
import { makeBoard, ptracerMain, resumingSession } from "./programs/ptracer.ts";
import { detach, type Round, tracerMain, tracerMemory } from "./programs/tracer.ts";

const askForReport: Round = function* (target, engine) {
  yield* utrace_set_events(target, engine, UTRACE_EVENT.EXEC);
  yield* utrace_control(target, engine, UTRACE_REPORT);
  yield* detach(target, engine);
};

export const ptraceSingleStep = conflict(
  "ptrace-single-step",
  "Does a debugger's single step end after one instruction, while engines ask for reports?",
  (kernel) => {
    const board = makeBoard(kernel.machine);
    const task = kernel.process({ comm: "exe", pid: 5118, subject: true }, instructions, board, 5);
    const { ops, data } = tracerMemory(kernel.machine);
    const session = resumingSession(PTRACE_SINGLESTEP);
    kernel.process({ comm: "tool", pid: 5377 }, tracerMain, [kernel.getPid(task)], ops, data, 3, askForReport);
    kernel.process({ comm: "gdb", pid: 5382, subject: true }, ptracerMain, kernel.getPid(task), board, session);
  },
);
