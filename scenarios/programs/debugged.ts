/** Programs that are debugged, and notice when their debuggers miss something. */
import { syscall, user_mode } from "../../model/linux/entry.ts";
import { do_exit } from "../../model/linux/exit.ts";
import { CLONE_THREAD, do_fork } from "../../model/linux/fork.ts";
import {
  do_group_exit,
  lock_siglock_irq,
  SIGNAL_GROUP_EXIT,
  SIGNAL_STOP_CONTINUED,
  SIGSTOP,
  send_sig_thread,
  sigmask,
  unlock_siglock_irq,
} from "../../model/linux/signal.ts";
import { SIGNAL, TASK } from "../../model/linux/structs.ts";
import { current, kernel, load, type Ptr } from "../../sim/index.ts";
import type { Request } from "../../sim/op.ts";
import { claim } from "./claims.ts";
import { stopsSeen } from "./ptracer.ts";

/** A system call that does nothing. */
const sys_getpid = kernel(function* sys_getpid() {
  return yield* load(current(), TASK.pid);
});

/** Does something that the owner of the board must see, if it wants to see everything. */
function* watched(board: Ptr, title: string, deed: () => Generator<Request, unknown, unknown>) {
  const before = yield* stopsSeen(board);
  yield* deed();
  const after = yield* stopsSeen(board);
  yield* claim(before < 0 || after < 0 || after > before, title);
}

/** Makes system calls. */
export const systemCalls = kernel(function* exe_system_calls(board: Ptr, rounds: number, title: string) {
  for (let round = 0; round < rounds; round++) {
    yield* user_mode(50_000);
    yield* watched(board, title, () => syscall(sys_getpid));
  }
  yield* syscall(do_group_exit, 0);
});

/** Takes single instructions. */
export const instructions = kernel(function* exe_instructions(board: Ptr, rounds: number) {
  for (let round = 0; round < rounds; round++) {
    yield* watched(board, "a tracer's single step was lost: the tracee ran on", () => user_mode(50_000));
  }
  yield* syscall(do_group_exit, 0);
});

/** Works, and looks in the end whether a handler of `sig` ran of which its tracer was not told. */
export const handlesSignal = kernel(function* exe_handles_signal(board: Ptr, sig: number) {
  for (let round = 0; round < 4; round++) yield* user_mode(50_000);
  const handled = ((yield* load(current(), TASK.blocked)) & sigmask(sig)) !== 0;
  // The first stop is that of the attach.
  const seen = yield* stopsSeen(board);
  yield* claim(!handled || seen !== 1, "a signal was delivered to a tracee whose tracer was never asked");
  yield* syscall(do_group_exit, 0);
});

/** Whether a group stop is over for all that it counted, with nobody having continued it. Under the siglock. */
const stopIsComplete = kernel(function* stop_is_complete() {
  yield* lock_siglock_irq(current());
  const signal = yield* load(current(), TASK.signal);
  const begun = (yield* load(signal, SIGNAL.group_exit_code)) === SIGSTOP;
  const complete = begun && (yield* load(signal, SIGNAL.group_stop_count)) === 0;
  const ended = ((yield* load(signal, SIGNAL.flags)) & (SIGNAL_STOP_CONTINUED | SIGNAL_GROUP_EXIT)) !== 0;
  yield* unlock_siglock_irq(current());
  return complete && !ended;
});

/** A thread that looks, after it has perhaps begun one itself, whether a group stop went by without it: whoever can look has not stopped. */
const bystander = kernel(function* exe_bystander(raises: boolean) {
  for (let round = 0; round < 5; round++) {
    yield* user_mode(30_000);
    if (round === 1 && raises) yield* syscall(send_sig_thread, SIGSTOP, current());
    yield* claim(!(yield* stopIsComplete()), "a group stop is complete, but a thread that it counted runs on");
  }
  yield* syscall(do_exit, 0);
});

const raising = kernel(function* exe_raising() {
  yield* bystander(true);
});
const watching = kernel(function* exe_watching() {
  yield* bystander(false);
});

/** Three threads: the leader makes system calls, the others look out for group stops that they missed. */
export const threadsUnderJobControl = kernel(function* exe_threads() {
  yield* syscall(do_fork, CLONE_THREAD, "exe", raising);
  yield* syscall(do_fork, CLONE_THREAD, "exe", watching);
  for (let round = 0; round < 3; round++) {
    yield* user_mode(50_000);
    yield* syscall(sys_getpid);
  }
  yield* syscall(do_exit, 0);
});
