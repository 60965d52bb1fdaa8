/**
 * What a run that ended in a finding shows besides the finding: which functions were at work, and what its notes tell of
 * the struct, the engines and the calls in question. Judged causes are told apart by it.
 *
 * A run that a fuzzer makes keeps no notes. They come from a second run along the same schedule, made when a sign asks
 * for them first.
 */
import { UTRACE_DETACH, UTRACE_EVENT_SIGNAL_ALL } from "../../model/utrace/events.ts";
import { execute, type Finding, type Program } from "../../sim/index.ts";
import { GuidedStrategy } from "../../sim/strategies/replay.ts";

/** What kernel code said of itself. */
interface Said {
  readonly task: string;
  readonly subject: string;
  readonly pointer: number;
  readonly value: number;
}

const isDetach = ({ subject, value }: Said): boolean => subject === "utrace_control" && value === UTRACE_DETACH;

/** Where an engine was attached. */
interface Attached {
  readonly utrace: number;
  readonly target: number;
}

/** Which engine was attached to which task, and which struct was whose, as these notes tell. */
function attachmentsIn(notes: readonly Said[]) {
  const engines = new Map<number, Attached>();
  const structs = new Map<number, number>();
  const targets = new Map<string, number>();
  for (const { task, subject, pointer, value } of notes) {
    if (subject === "utrace_attach_task") targets.set(task, pointer);
    if (subject !== "engine-attached") continue;
    const target = targets.get(task) ?? 0;
    engines.set(pointer, { utrace: value, target });
    structs.set(value, target);
  }
  return { engines, structs };
}

/** Who did something to the task of a finding: it itself, or another. */
export type Who = "itself" | "another" | "nobody";

/** A finding, and what led to it. */
export class Evidence {
  private said: readonly Said[] | null = null;

  constructor(
    readonly finding: Finding,
    private readonly program: Program,
    private readonly schedule: Int32Array,
  ) {}

  /** Kernel functions, innermost first: `utrace_stop < utrace_report_exit < do_exit`. */
  get stack(): string {
    return this.finding.backtrace.map(({ name }) => name).join(" < ");
  }

  /** The text of a divergence from the specification; else empty. */
  get message(): string {
    const { details } = this.finding;
    return details.type === "message" ? details.message : "";
  }

  /** Cache of the object that was touched; empty if it is no object, or none any more. */
  get cache(): string {
    const { details } = this.finding;
    return details.type === "memory" ? (details.object?.cache ?? "") : "";
  }

  /** Who gave up the struct that the finding is about; of a finding about none, the last struct of its task. */
  get structGivenUpBy(): Who {
    const { pointer } = this.finding;
    const { taskAddress, task } = this.about;
    const { structs } = this.attachments;
    const own = [...structs].filter(([, of]) => of === taskAddress).map(([utrace]) => utrace);
    const about = structs.has(pointer) ? pointer : own.at(-1);
    const dying = this.notes.findLast((one) => one.subject === "struct-dying" && one.pointer === about);
    if (dying === undefined) return "nobody";
    return dying.task === task ? "itself" : "another";
  }

  /** Whether the last struct of the task it is about was given up; another before it may have been at the same address. */
  get lastStructGivenUp(): boolean {
    const { taskAddress } = this.about;
    const live = this.notes.findLastIndex(({ subject, value }) => subject === "struct-live" && value === taskAddress);
    const last = this.notes[live]?.pointer;
    return this.notes.slice(live + 1).some(({ subject, pointer }) => subject === "struct-dying" && pointer === last);
  }

  /**
   * Engines that could end the stop that the task it is about is in: those attached when it began, and how many of
   * them wanted it. None, if the task gave up the struct itself in the pass before.
   */
  get stop(): { readonly attached: number; readonly wanting: number } {
    const { taskAddress, task } = this.about;
    const isAbout = (subject: string) => (one: Said) => one.subject === subject && one.pointer === taskAddress;
    const end = this.notes.findLastIndex(isAbout("task-stopped"));
    const before = this.notes.slice(0, Math.max(end, 0));
    const pass = before.slice(Math.max(before.findLastIndex(isAbout("report-begin")), 0));
    if (pass.some((one) => one.subject === "struct-dying" && one.task === task)) return { attached: 0, wanting: 0 };
    const wants = [...this.enginesAfter(before).values()];
    return { attached: wants.length, wanting: wants.filter((wish) => wish).length };
  }

  /** Who last asked for a stop of the task it is about: a callback of its own, or a call of another. */
  get stopAskedBy(): Who {
    const { taskAddress, task } = this.about;
    const { engines } = this.attachments;
    const asked = this.notes.findLast(
      ({ subject, pointer, value }) =>
        subject === "wants-stop" && value !== 0 && engines.get(pointer)?.target === taskAddress,
    );
    if (asked === undefined) return "nobody";
    return asked.task === task ? "itself" : "another";
  }

  /**
   * Whether the engine that asked last for a stop of the task it is about did so in a callback, and the task has made a
   * later pass in the signal path without a callback of it.
   */
  get stopOverlookedInSignals(): boolean {
    const { taskAddress, task } = this.about;
    const asked = this.notes.findLastIndex(({ subject, task: by, value }) => {
      return subject === "wants-stop" && by === task && value !== 0;
    });
    if (asked < 0) return false;
    const engine = this.notes[asked]?.pointer;
    const since = this.notes.slice(asked);
    const pass = since.findLastIndex(({ subject, pointer, value }) => {
      return subject === "report-begin" && pointer === taskAddress && value === UTRACE_EVENT_SIGNAL_ALL;
    });
    return (
      pass >= 0 && !since.slice(pass).some(({ subject, pointer }) => subject === "callback-begin" && pointer === engine)
    );
  }

  /** How many engines are attached to the task it is about at its end. */
  get enginesLeft(): number {
    return this.enginesAfter(this.notes).size;
  }

  /** Whether another task took one of its engines or its struct away since the task it is about last did this. */
  takenAwaySince(deed: "report-begin" | "task-stopped"): boolean {
    const { task, taskAddress } = this.about;
    const began = this.notes.findLastIndex((one) => one.subject === deed && one.pointer === taskAddress);
    if (began < 0) return false;
    return this.notes.some(({ subject, task: by, pointer }, at) => {
      if (at < began || by === task) return false;
      if (subject !== "engine-detached" && subject !== "struct-dying") return false;
      // Whose it was then: the address may be another's since.
      const { engines, structs } = attachmentsIn(this.notes.slice(0, at));
      return (engines.get(pointer)?.target ?? structs.get(pointer)) === taskAddress;
    });
  }

  /**
   * Calls with this argument that other tasks made on engines of the task it is about: whether one is under way, or has
   * returned without a word from the task since; and whether any was made before an engine had asked for events.
   */
  calls(name: string, argument: number): { readonly atWork: boolean; readonly beforeAnyEvents: boolean } {
    const { taskAddress, task } = this.about;
    const { engines } = this.attachments;
    const open = new Set<string>();
    let justOver = false;
    let beforeAnyEvents = false;
    let events = 0;
    for (const { task: by, subject, pointer, value } of this.notes) {
      if (by === task) justOver = false;
      if (subject === `${name} returns` && open.delete(by)) justOver = true;
      if (engines.get(pointer)?.target !== taskAddress) continue;
      if (subject === "events-set") events |= value;
      if (subject !== name || value !== argument || by === task) continue;
      open.add(by);
      if (events === 0) beforeAnyEvents = true;
    }
    return { atWork: open.size > 0 || justOver, beforeAnyEvents };
  }

  /** Whether an attach asked for a report of the task it is about, and did not tell the task. */
  get reportUnannounced(): boolean {
    const { taskAddress } = this.about;
    const { structs } = this.attachments;
    return this.notes.some(
      ({ subject, pointer }) => subject === "report-unannounced" && structs.get(pointer) === taskAddress,
    );
  }

  /** Whether no other task has asked to detach the engines that want the task it is about stopped: their owners are gone. */
  get isAbandoned(): boolean {
    const { task } = this.about;
    return [...this.enginesAfter(this.notes)].every(([engine, wantsStop]) => {
      const attached = this.notes.findLastIndex((one) => one.subject === "engine-attached" && one.pointer === engine);
      const asked = this.notes
        .slice(attached)
        .some((one) => isDetach(one) && one.pointer === engine && one.task !== task);
      return !wantsStop || !asked;
    });
  }

  /** The traced task that the finding is about: the one that ran, unless a divergence is about another's. */
  private get about(): { readonly taskAddress: number; readonly task: string } {
    const named = /; task [0-9a-f]{8}([0-9a-f]{8}): /.exec(this.message)?.[1];
    if (named === undefined) return this.finding;
    const taskAddress = Number.parseInt(named, 16);
    const own = this.notes.find(({ subject, pointer }) => subject === "report-begin" && pointer === taskAddress);
    return { taskAddress, task: own?.task ?? "" };
  }

  /** Which engine was attached to which task, and which struct was whose, over the whole run. */
  private get attachments() {
    return attachmentsIn(this.notes);
  }

  /** Whether each engine of the task wants it stopped: of those not on their way off, on a struct not given up. */
  private enginesAfter(notes: readonly Said[]): ReadonlyMap<number, boolean> {
    const { taskAddress } = this.about;
    const { engines } = this.attachments;
    const wants = new Map<number, boolean>();
    for (const { subject, pointer, value } of notes) {
      if (subject === "engine-attached" && engines.get(pointer)?.target === taskAddress) wants.set(pointer, false);
      else if (subject === "engine-detaching" || subject === "engine-detached") wants.delete(pointer);
      else if (subject === "wants-stop" && wants.has(pointer)) wants.set(pointer, value !== 0);
      else if (subject === "struct-dying") {
        for (const engine of wants.keys()) if (engines.get(engine)?.utrace === pointer) wants.delete(engine);
      }
    }
    return wants;
  }

  private get notes(): readonly Said[] {
    this.said ??= this.listen();
    return this.said;
  }

  private listen(): readonly Said[] {
    const said: Said[] = [];
    const { program } = this;
    const heard = {
      ...program,
      setup(machine: Parameters<typeof program.setup>[0]) {
        program.setup(machine);
        const { onNote } = machine;
        machine.onNote = (context, subject, pointer, value) => {
          said.push({ task: context.comm, subject, pointer, value });
          onNote?.(context, subject, pointer, value);
        };
      },
    };
    execute(heard, new GuidedStrategy(this.schedule), { until: (findings) => findings.length > 0 });
    return said;
  }
}
