/** Causes that the fuzzer has found and somebody has judged: defects of the posted code, each with where and in what order. */

/** One judged cause. */
export interface KnownCause {
  /** Short, for the table. */
  readonly name: string;
  /** Causes as the fuzzer words them that come from this. */
  readonly causes: readonly RegExp[];
  /** Whose defect it is, the function, and the order that brings it about. */
  readonly judgement: string;
}

/** All of them. */
export const KNOWN_CAUSES: readonly KnownCause[] = [
  {
    name: "struct-left-to-the-other",
    causes: [/^spec-divergence:__put_task_struct:.*task-leaves-nothing/, /^leak:[^:]*:unreferenced object of utrace$/],
    judgement:
      "pointer as posted: utrace_reset finds task->utrace cleared by release_task and leaves the free to it; utrace_release_task finds the list empty and leaves the free to the detach. Nobody frees.",
  },
  {
    name: "stop-on-freed-struct",
    causes: [
      /^(use-after-free|paging-fault|bug-on|slab-corruption|lock-misuse|double-free|invalid-free):(utrace_stop|utrace_wakeup|utrace_free|finish_utrace_stop|utrace_get_signal|finish_resume_report|utrace_resume):.*(use-after-free|paging request|:490|:2275|poison|Poison|bad magic|lock)/,
      /^slab-corruption:/,
      /^use-after-free:(utrace_report_exit|utrace_report_syscall_entry|start_report|finish_report|utrace_reset|start_callback|finish_callback|get_utrace_lock):/,
    ],
    judgement:
      "pointer as posted: nothing keeps the struct in utrace_stop, nor over utrace_reset in the middle of a report; a detach wakes the task, clears the pointer, and RCU frees the struct before the task looks at it again. The thread's three crashes.",
  },
  {
    name: "stop-after-last-detach",
    causes: [/^hung-task:utrace_stop:/, /^deadlock:utrace_stop:/],
    judgement:
      "posted core, every lifetime: a detach marks the engine while its callback's UTRACE_STOP is already in report.action; finish_resume_report takes the engine off, and utrace_stop stops all the same. No engine is left to resume it.",
  },
  {
    name: "null-callback",
    causes: [
      /^paging-fault:(utrace_report_\w+|REPORT_CALLBACKS|utrace_get_signal):BUG: unable to handle kernel NULL pointer/,
    ],
    judgement:
      "posted core, every lifetime: start_callback reads the old flags, mark_engine_detached stores utrace_detached_ops, start_callback reads those: an engine that wants the event but not QUIESCE is called through a NULL pointer of utrace_detached_ops.",
  },
  {
    name: "cloning-after-give-up",
    causes: [/^(use-after-free|paging-fault):utrace_report_clone:(?!.*NULL)/],
    judgement:
      "pointer as posted: utrace_report_clone stores u.live.cloning = NULL after a pass that may have given the struct up; by then that word is the rcu_head, or freed.",
  },
  {
    name: "jctl-on-stale-struct",
    causes: [/^(use-after-free|paging-fault|lock-misuse):utrace_report_jctl:(?!.*NULL)/],
    judgement:
      "pointer as posted: utrace_report_jctl takes the lock of a struct that a detach of the stopped task has given up, does not look at task->utrace again, and reports on it after the RCU read section.",
  },
  {
    name: "interrupt-before-sigpending",
    causes: [/^bug-on:utrace_resume:/],
    judgement:
      "posted core, every lifetime: utrace_control(INTERRUPT) stores utrace->interrupt before it sets TIF_SIGPENDING; a task on its way to user mode that sees the first and not the second is at BUG_ON(!signal_pending) in utrace_resume.",
  },
  {
    name: "two-free",
    causes: [/struct-taken|struct-freed|struct-empty/, /^(double-free|invalid-free):/, /^bug-on:rcu_utrace_free:/],
    judgement:
      "prototype only, the rule before the posted one: the last detach and the reap each take the struct to be theirs to free, and both do. The thread recalls it as the double free.",
  },
  {
    name: "second-sigkill",
    causes: [/^warn-on:utrace_stop:/],
    judgement:
      "the posted fix f357a74067b, which embedded and lazy have: a task that stops in report_exit has taken its SIGKILL already; another one is queued for the group and wakes it, and the WARN_ON looks for it in the private set alone.",
  },
  {
    name: "sigcont-forgets-stop",
    causes: [/stopped-no-user-code/, /^bug-on:start_report:/, /report-unstopped/, /^bug-on:utrace_stop:/],
    judgement:
      "posted core, every lifetime: utrace_do_stop takes a job control stop for quiescence and sets utrace->stopped; after SIGCONT utrace_get_signal returns early when no engine wants signals, and the task runs user code with the flag set. Its next event is BUG_ON(utrace->stopped).",
  },
];

/** The judgement that a cause belongs to. */
export const knownCause = (cause: string): KnownCause | undefined =>
  KNOWN_CAUSES.find(({ causes }) => causes.some((pattern) => pattern.test(cause)));
