/** A debugger in the manner of gdb or strace, written against ptrace and wait4. */
import { syscall, user_mode } from "../../model/linux/entry.ts";
import { do_wait, type WaitStatus } from "../../model/linux/exit.ts";
import { put_pid } from "../../model/linux/pid.ts";
import { PTRACE_ATTACH, sys_ptrace } from "../../model/linux/ptrace.ts";
import { do_group_exit } from "../../model/linux/signal.ts";
import { add, data_race, kernel, load, type Machine, type Ptr, store } from "../../sim/index.ts";
import type { Request } from "../../sim/op.ts";
import { struct, u32 } from "../../sim/struct.ts";

/** What a debugger and the program it debugs both know of: memory that they share in user mode, so plain on purpose. */
const debug_board = struct("debug_board", { armed: u32, stops: u32 });
const BOARD = debug_board.fields;

/** Makes a board. `armed`: the debugger wants to see everything from now on; `stops`: how often it was told of a stop. */
export const makeBoard = (machine: Machine): Ptr => machine.allocStaticStruct(debug_board);

/** The debugger wants to see everything from now on. */
export const arm = (board: Ptr) => data_race(store(board, BOARD.armed, 1));

/** It no longer does. */
export const disarm = (board: Ptr) => data_race(store(board, BOARD.armed, 0));

/** How many stops the debugger has seen; -1 as long as it does not want to see them all. */
export function* stopsSeen(board: Ptr): Generator<Request, number, unknown> {
  return (yield* data_race(load(board, BOARD.armed))) === 0 ? -1 : yield* data_race(load(board, BOARD.stops));
}

/** Counts a stop. */
export const countStop = (board: Ptr) => data_race(add(board, BOARD.stops, 1));

/** What a debugger does with its tracee once it is attached. */
export type Session = (pid: Ptr, board: Ptr) => Generator<Request, void, unknown>;

/** Whether a status of wait is that of a stop. */
export const isStop = (status: number): boolean => (status & 0xff) === 0x7f;

/** Waits for the tracee to stop, and counts it. False if it has died. */
export function* waitForStop(board: Ptr, status: WaitStatus): Generator<Request, boolean, unknown> {
  for (;;) {
    const pid = (yield* syscall(do_wait, 0, status)) as number;
    if (pid < 0 || !isStop(status.value)) return false;
    yield* countStop(board);
    return true;
  }
}

/** Attaches, does its work, and exits, which lets the tracee go. Owns a reference to the pid. */
export const ptracerMain = kernel(function* ptracer(pid: Ptr, board: Ptr, session: Session) {
  yield* user_mode(20_000);
  if ((yield* syscall(sys_ptrace, PTRACE_ATTACH, pid)) === 0) yield* session(pid, board);
  yield* put_pid(pid);
  yield* syscall(do_group_exit, 0);
});

/** Lets the tracee go on this way again and again, until it dies. */
export const resumingSession = (request: number): Session =>
  function* (pid, board) {
    const status: WaitStatus = { value: 0 };
    if (!(yield* waitForStop(board, status))) return;
    do {
      yield* arm(board);
      // The SIGSTOP of the attach, and SIGTRAP, are for the debugger alone.
      yield* syscall(sys_ptrace, request, pid);
    } while (yield* waitForStop(board, status));
  };
