/**
 * Causes that the fuzzer has found and somebody has judged: each with the lifetimes that have it, how it shows, whose
 * defect it is, and the order of events that brings it about.
 *
 * A finding belongs to a cause if one of its signs fits. Signs look at the functions at work, at what was touched, and
 * at what the run's notes tell (`evidence.ts`), so that another defect with the same title is not taken for a known one.
 * What a patch mends is not known where that patch is applied.
 *
 * Every cause has a witness for each of its lifetimes in `witnesses/`; docs/fuzz-findings.md is written from both.
 */
import { UTRACE_EVENT_SIGNAL_ALL, UTRACE_INTERRUPT } from "../../model/utrace/events.ts";
import type { CaseParameters } from "./case.ts";
import type { Evidence } from "./evidence.ts";

/** Whose defect a cause is. */
export type Owner = "the posted code" | "a later fix" | "the prototype";

/** One judged cause. */
export interface KnownCause {
  /** Short, for tables and files. */
  readonly name: string;
  /** Lifetimes that it was found under; under others it is not known. */
  readonly lifetimes: readonly string[];
  /** Patches that mend it, each alone. */
  readonly mendedBy: readonly string[];
  /** How it shows. */
  readonly signs: readonly Sign[];
  readonly whose: Owner;
  /** Where it is: functions of kernel/utrace.c, or of the lifetime in question. */
  readonly where: readonly string[];
  /** The order that brings it about. */
  readonly order: string;
}

/** One way in which a cause shows. */
export type Sign = (evidence: Evidence) => boolean;

/** Kinds of a bad access: one and the same access is any of them, as the config wants. */
const BAD_ACCESS: ReadonlySet<string> = new Set(["use-after-free", "paging-fault", "lock-misuse", "slab-corruption"]);

const badAccess = ({ finding }: Evidence): boolean => BAD_ACCESS.has(finding.kind);
const bug = ({ finding }: Evidence): boolean => finding.kind === "bug-on";
/** The functions at work, innermost first, begin with these. */
const inside = ({ stack }: Evidence, ...functions: string[]): boolean =>
  `${stack} < `.startsWith(`${functions.join(" < ")} < `);
/** A function is among those at work. */
const under = ({ finding }: Evidence, name: string): boolean => finding.backtrace.some((frame) => frame.name === name);
/** A rule of the specification was broken. */
const breaks = ({ finding }: Evidence, rule: string): boolean =>
  finding.kind === "spec-divergence" && finding.title.endsWith(`(${rule})`);
/** All of them. */
export const KNOWN_CAUSES: readonly KnownCause[] = [
  {
    name: "struct-left-to-the-other",
    lifetimes: ["pointer"],
    mendedBy: [],
    signs: [
      (evidence) =>
        breaks(evidence, "task-leaves-nothing") &&
        inside(evidence, "__put_task_struct") &&
        evidence.enginesLeft === 0 &&
        !evidence.lastStructGivenUp,
    ],
    whose: "the posted code",
    where: ["utrace_reset", "utrace_release_task"],
    order:
      "release_task takes the pointer away under task_lock; a detach takes the last engine off, finds that the pointer is not its own any more, and leaves the free to release_task; that takes the lock, finds the list empty, and takes the struct to be on its way to be freed. Nobody frees it.",
  },
  {
    name: "stop-on-freed-struct",
    lifetimes: ["pointer"],
    mendedBy: ["stop-relookup"],
    signs: [
      (evidence) =>
        (badAccess(evidence) || bug(evidence)) &&
        inside(evidence, "utrace_stop") &&
        evidence.structGivenUpBy === "another",
    ],
    whose: "the posted code",
    where: ["utrace_stop"],
    order:
      "a task stops; a detach wakes it (or a SIGKILL does, and a detach comes next), takes the last engine off and gives the struct up; a grace period ends; only then the task runs again, and utrace_stop looks at `stopped` in the struct whose address it kept over the sleep. The thread's three crashes.",
  },
  {
    name: "stop-after-last-detach",
    lifetimes: ["pointer", "embedded", "lazy", "prototype"],
    mendedBy: ["no-stop-after-last-detach", "recheck-before-stop"],
    signs: [
      (evidence) =>
        evidence.finding.kind === "hung-task" && inside(evidence, "utrace_stop") && evidence.stop.attached === 0,
      (evidence) =>
        (badAccess(evidence) || bug(evidence)) &&
        inside(evidence, "utrace_stop") &&
        evidence.structGivenUpBy === "itself",
      (evidence) =>
        breaks(evidence, "call-has-reason") && / stop=stopped /.test(evidence.message) && evidence.stop.attached === 0,
    ],
    whose: "the posted code",
    where: ["finish_resume_report", "utrace_report_exit", "utrace_report_syscall_entry"],
    order:
      "a callback asks for UTRACE_STOP, which goes into report.action; its engine is detached before the pass is over; utrace_reset at the end of the pass takes it off, and with it the last that could end a stop; the task stops all the same. Where the struct goes with the last engine, it stops on a struct that is given up.",
  },
  {
    name: "null-callback",
    lifetimes: ["pointer", "embedded", "lazy", "prototype"],
    mendedBy: [],
    signs: [
      ({ finding, stack }) =>
        finding.details.type === "fault" &&
        finding.details.fault === "null" &&
        finding.access === "utrace_engine_ops->report_quiesce" &&
        /^utrace_report_/.test(stack),
    ],
    whose: "the posted code",
    where: ["start_callback", "mark_engine_detached"],
    order:
      "start_callback reads the engine's old flags, without QUIESCE; a detach stores utrace_detached_ops; start_callback reads those, makes no report_quiesce, and gives them to its caller, which calls the event's own callback in them: NULL. The comment above mark_engine_detached says that for any event report_quiesce comes first.",
  },
  {
    name: "cloning-after-give-up",
    lifetimes: ["pointer", "prototype"],
    mendedBy: ["cloning-before-finish"],
    signs: [
      (evidence) =>
        badAccess(evidence) &&
        inside(evidence, "utrace_report_clone") &&
        evidence.finding.access === "utrace->u.live.cloning" &&
        evidence.structGivenUpBy === "itself",
    ],
    whose: "the posted code",
    where: ["utrace_report_clone"],
    order:
      "the last engine leaves in report_clone, so finish_report gives the struct up; then `cloning = NULL` is stored into it: into its rcu_head, or after a grace period into freed memory.",
  },
  {
    name: "jctl-on-stale-struct",
    lifetimes: ["pointer", "prototype"],
    mendedBy: [],
    signs: [
      (evidence) =>
        (badAccess(evidence) || bug(evidence)) &&
        under(evidence, "utrace_report_jctl") &&
        evidence.structGivenUpBy === "another",
    ],
    whose: "the posted code",
    where: ["utrace_report_jctl"],
    order:
      "a task in a job control stop counts as quiescent, so a detach gives its struct up; SIGCONT; the report of that reads the pointer, waits for the lock of the struct that is being given up, does not look at task->utrace again, and makes its report on it after the RCU read section.",
  },
  {
    name: "jctl-after-give-up",
    lifetimes: ["pointer", "prototype"],
    mendedBy: [],
    signs: [
      (evidence) =>
        badAccess(evidence) && inside(evidence, "utrace_report_jctl") && evidence.structGivenUpBy === "itself",
    ],
    whose: "the posted code",
    where: ["utrace_report_jctl"],
    order:
      "the last engine leaves in report_jctl, so finish_report gives the struct up; the task is in TASK_STOPPED still, and sets `stopped` under the lock of the struct that it has just given up.",
  },
  {
    name: "interrupt-before-sigpending",
    lifetimes: ["pointer", "lazy", "prototype"],
    mendedBy: ["sigpending-in-resume"],
    signs: [
      (evidence) =>
        bug(evidence) && inside(evidence, "utrace_resume") && evidence.calls("utrace_control", UTRACE_INTERRUPT).atWork,
    ],
    whose: "the posted code",
    where: ["utrace_control", "utrace_resume"],
    order:
      "utrace_control(INTERRUPT) sets utrace->interrupt; the target, on its way to user mode, sees that in utrace_resume; TIF_SIGPENDING is set after that: BUG_ON(!signal_pending(task)).",
  },
  {
    name: "interrupt-without-events",
    lifetimes: ["pointer", "prototype"],
    mendedBy: ["sigpending-in-resume"],
    signs: [
      (evidence) => {
        const { atWork, beforeAnyEvents } = evidence.calls("utrace_control", UTRACE_INTERRUPT);
        return bug(evidence) && inside(evidence, "utrace_resume") && !atWork && beforeAnyEvents;
      },
    ],
    whose: "the posted code",
    where: ["utrace_control", "tracehook_force_sigpending"],
    order:
      "the first engine has no events yet, so task->utrace_flags is 0; utrace_control(INTERRUPT) sets utrace->interrupt and TIF_SIGPENDING; recalc_sigpending asks utrace only if utrace_flags is not 0, and takes TIF_SIGPENDING back, while `interrupt` stays (and a second INTERRUPT does nothing); somebody sets events; the next utrace_resume finds `interrupt` without TIF_SIGPENDING: BUG_ON(!signal_pending(task)).",
  },
  {
    name: "report-unannounced",
    lifetimes: ["pointer", "prototype"],
    mendedBy: ["notify-at-attach"],
    signs: [
      (evidence) =>
        breaks(evidence, "stopped-no-user-code") &&
        evidence.stopAskedBy === "itself" &&
        evidence.reportUnannounced &&
        !evidence.stopOverlookedInSignals,
    ],
    whose: "the posted code",
    where: ["utrace_attach_task", "finish_report"],
    order:
      "an attach in the middle of a pass sets utrace->report, but not TIF_NOTIFY_RESUME; a callback of the pass asks for UTRACE_STOP; finish_report finds `report` set, and takes TIF_NOTIFY_RESUME for set too; the task goes back to user mode without a stop.",
  },
  {
    name: "stop-nobody-wants",
    lifetimes: ["pointer", "embedded", "lazy", "prototype"],
    mendedBy: ["recheck-before-stop"],
    signs: [
      (evidence) =>
        evidence.finding.kind === "hung-task" &&
        inside(evidence, "utrace_stop") &&
        evidence.stop.attached > 0 &&
        evidence.stop.wanting === 0,
    ],
    whose: "the posted code",
    where: ["start_callback", "finish_callback", "utrace_stop"],
    order:
      "an engine's wish to stop is in report.action (its report_quiesce answered UTRACE_STOP, or utrace_control(STOP) had marked it when start_callback looked); the event's own callback of the same engine answers UTRACE_RESUME, which takes the mark back, but not report.action; the task stops in report_exit or before its system call, and no engine wants it to.",
  },
  {
    name: "exit-stop-outlives-kill",
    lifetimes: ["pointer", "embedded", "lazy", "prototype"],
    mendedBy: [],
    signs: [
      (evidence) =>
        evidence.finding.kind === "hung-task" &&
        /^(utrace_stop < )+utrace_report_exit < /.test(evidence.stack) &&
        evidence.isAbandoned &&
        evidence.stop.wanting > 0,
    ],
    whose: "the posted code",
    where: ["utrace_report_exit", "utrace_stop"],
    order:
      "a SIGKILL comes to a task that is exiting already, or ends it and is taken from its private set; utrace_stop in report_exit looks for one in the private set alone, and stops; the next SIGKILL finds that one still pending for the group, so it is dropped before anybody is woken. Nothing but an engine ends that stop, though a SIGKILL is promised to.",
  },
  {
    name: "sigcont-forgets-stop",
    lifetimes: ["pointer", "embedded", "lazy", "prototype"],
    mendedBy: [],
    signs: [
      (evidence) =>
        breaks(evidence, "stopped-no-user-code") &&
        evidence.finding.backtrace.length === 1 &&
        evidence.stopAskedBy === "another",
      (evidence) => bug(evidence) && inside(evidence, "start_report") && !under(evidence, "utrace_report_jctl"),
    ],
    whose: "the posted code",
    where: ["utrace_get_signal"],
    order:
      "utrace_control or utrace_set_events takes a job control stop for quiescence and sets utrace->stopped; SIGCONT or SIGKILL wakes the task; nobody wants signals, so utrace_get_signal returns before it clears the flag; the task goes on with it set, to user code, and its next event is BUG_ON(utrace->stopped).",
  },
  {
    name: "report-while-stopped",
    lifetimes: ["pointer", "embedded", "lazy", "prototype"],
    mendedBy: [],
    signs: [
      (evidence) =>
        (badAccess(evidence) || breaks(evidence, "callback-attached") || breaks(evidence, "marked-on-list")) &&
        under(evidence, "utrace_get_signal") &&
        !under(evidence, "utrace_stop") &&
        evidence.takenAwaySince("report-begin"),
      (evidence) =>
        breaks(evidence, "detach-done") &&
        evidence.message.includes(`report=${UTRACE_EVENT_SIGNAL_ALL} `) &&
        evidence.takenAwaySince("report-begin"),
      (evidence) =>
        bug(evidence) &&
        inside(evidence, "utrace_stop", "finish_resume_report", "utrace_get_signal") &&
        evidence.structGivenUpBy === "nobody",
    ],
    whose: "the posted code",
    where: ["utrace_get_signal"],
    order:
      "utrace->stopped was set in a job control stop, and a report asked for; SIGCONT or SIGKILL; utrace_get_signal makes the report that was asked for, and clears the flag only where it dequeues a signal. In that pass the task counts as quiescent: a detach takes engines off the list that it walks, and frees them; a stop at its end is BUG_ON(utrace->stopped).",
  },
  {
    name: "stop-lost-after-handler",
    lifetimes: ["pointer", "embedded", "lazy", "prototype"],
    mendedBy: [],
    signs: [
      (evidence) =>
        breaks(evidence, "stopped-no-user-code") &&
        evidence.stopAskedBy === "itself" &&
        evidence.stopOverlookedInSignals,
    ],
    whose: "the posted code",
    where: ["utrace_get_signal"],
    order:
      "an engine wants signals, but not QUIESCE; its report_signal answers UTRACE_STOP for a signal that a handler takes, so the stop waits for the report after the handler's set-up; that pass of utrace_get_signal goes by every engine without QUIESCE, and does not look at ENGINE_STOP as start_callback does; the task goes on to user code, though the engine holds it stopped.",
  },
  {
    name: "second-sigkill",
    lifetimes: ["embedded", "lazy"],
    mendedBy: [],
    signs: [
      ({ finding, stack }) => finding.kind === "warn-on" && stack.startsWith("utrace_stop < utrace_report_exit < "),
    ],
    whose: "a later fix",
    where: ["utrace_stop (finish_utrace_stop, f357a74067b)"],
    order:
      "a task has taken its SIGKILL and stops in report_exit; another SIGKILL is queued for the group and wakes it; the WARN_ON of f357a74067b looks for a SIGKILL in the private set alone.",
  },
  {
    name: "two-free",
    lifetimes: ["prototype"],
    mendedBy: ["taker-frees"],
    signs: [
      (evidence) => breaks(evidence, "struct-taken"),
      ({ finding }) => finding.kind === "double-free" || finding.kind === "invalid-free",
      (evidence) => bug(evidence) && inside(evidence, "rcu_utrace_free"),
    ],
    whose: "the prototype",
    where: ["check_dead_utrace"],
    order:
      "the last detach and the reap, or two detaches, each find no engine left, take the struct to be theirs to free, and both do.",
  },
  {
    name: "walk-without-resync",
    lifetimes: ["prototype"],
    mendedBy: ["stop-relookup"],
    signs: [
      (evidence) =>
        (badAccess(evidence) || breaks(evidence, "callback-attached") || breaks(evidence, "marked-on-list")) &&
        under(evidence, "utrace_stop") &&
        evidence.takenAwaySince("task-stopped"),
      (evidence) => breaks(evidence, "stop-wanted") && inside(evidence, "utrace_wakeup", "utrace_reset"),
    ],
    whose: "the prototype",
    where: ["utrace_quiescent"],
    order:
      "a detach finds a task stopped, and takes its engine off the list and away; the task, woken by a SIGKILL meanwhile, does not wait for the lock, and makes its pass of report_quiesce over the same list.",
  },
  {
    name: "release-without-rcu",
    lifetimes: ["prototype"],
    mendedBy: ["taker-frees"],
    signs: [
      (evidence) =>
        badAccess(evidence) &&
        inside(evidence, "utrace_release_task") &&
        evidence.finding.access === "utrace->lock" &&
        evidence.structGivenUpBy === "another",
    ],
    whose: "the prototype",
    where: ["utrace_release_task"],
    order:
      "release_task takes the pointer away; a detach, by the earlier rule, frees the struct all the same; a grace period ends; release_task takes the lock, without an RCU read section since it read the pointer (Peter Zijlstra, 2008-10-06).",
  },
];

/** A cause by its name. */
export const knownCause = (name: string): KnownCause | undefined => KNOWN_CAUSES.find((one) => one.name === name);

/** The judged causes that a finding under these parameters belongs to: one, or it is new, or two are not told apart. */
export function causesOf(evidence: Evidence, { lifetime = "", patches = "none" }: CaseParameters): KnownCause[] {
  const applied = new Set(patches.split(","));
  return KNOWN_CAUSES.filter(
    ({ lifetimes, mendedBy, signs }) =>
      lifetimes.includes(lifetime) &&
      !mendedBy.some((patch) => applied.has("all") || applied.has(patch)) &&
      signs.some((fits) => fits(evidence)),
  );
}
