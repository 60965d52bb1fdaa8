/** The world of a thread program: its memory before the first step, and what its code sees of it. */
import type { Context } from "../../context.ts";
import { plain_task } from "../../kernelStructs.ts";
import { ARENA, Memory, PAGE_SIZE, SHADOW_OK, SHADOW_REDZONE } from "../../memory.ts";
import { type KernelFunction, namedFunction, type Ptr, running } from "../../op.ts";
import type { SpawnOptions } from "../../primitives.ts";
import { Cache } from "../../slab.ts";
import { type AnyStruct, type Config, type Field, type Layout, layoutFor, roundUp } from "../../struct.ts";
import type { Thread } from "./automaton.ts";
import type { Places } from "./places.ts";
import { lockStruct, type ThreadBody, type ThreadProgram, type Variable, variableStruct, type World } from "./world.ts";

/** A thread that the program declared. */
export interface DeclaredThread {
  readonly comm: string;
  readonly task: Ptr;
  readonly daemon: boolean;
  readonly functionId: number;
  readonly body: Thread["body"];
}

/** Memory, variables and threads of one program. */
export class ThreadWorld implements World {
  readonly memory = new Memory();
  readonly config: Config;
  readonly stateField: Field = plain_task.fields.state;
  globals: unknown = null;
  layout: Layout;
  readonly variables: Variable[] = [];
  readonly threads: DeclaredThread[] = [];
  private readonly caches: Cache[] = [];
  private readonly bootObjects = new Map<Ptr, string>();
  private next: Ptr;
  private end: Ptr;

  constructor(
    readonly program: ThreadProgram,
    private readonly places: Places,
  ) {
    this.config = program.config ?? {};
    this.layout = layoutFor(this.config);
    this.next = this.memory.allocPage();
    this.end = this.next + PAGE_SIZE;
    program.setup(this);
    this.layout = layoutFor(this.config);
  }

  /** The machine-wide registers that kernel code reads are this world's from here on. */
  enter(context: Context): void {
    running.context = context;
    running.offset = this.layout.offset;
    running.config = this.config;
    running.globals = this.globals;
  }

  offsetOf(address: Ptr): number {
    return address - ARENA;
  }

  allocStatic(bytes: number): Ptr {
    const size = roundUp(bytes, 16);
    if (this.next + size > this.end) {
      this.next = this.memory.allocPage();
      if (this.next === 0) throw new Error("[sim bug] a thread program needs more memory than there is");
      this.end = this.next + PAGE_SIZE;
    }
    const address = this.next;
    this.next += size;
    this.memory.setShadow(address, size, SHADOW_OK);
    return address;
  }

  allocStaticStruct(declared: AnyStruct): Ptr {
    return this.allocStatic(layoutFor(this.config).sizeOf(declared));
  }

  variable(name: string, initial = 0): Variable {
    const declared = variableStruct(name);
    const variable = { name, ptr: this.allocStaticStruct(declared), field: declared.fields.value };
    if (initial !== 0) this.poke(variable.ptr, variable.field, initial);
    this.variables.push(variable);
    return variable;
  }

  array(name: string, length: number, initial = 0): Variable[] {
    return Array.from({ length }, (_, i) => this.variable(`${name}[${i}]`, initial));
  }

  lock(name: string): Variable {
    const declared = lockStruct(name);
    return { name, ptr: this.allocStaticStruct(declared), field: declared.fields.lock };
  }

  thread(name: string, body: ThreadBody): void {
    const task = this.plainTask();
    this.threads.push({ comm: name, task, daemon: false, functionId: namedFunction(name).id, body });
  }

  spawn<A extends readonly unknown[]>(
    task: Ptr,
    options: SpawnOptions,
    main: KernelFunction<A, void>,
    ...args: A
  ): Ptr {
    const address = task !== 0 ? task : this.plainTask();
    const daemon = options.daemon ?? false;
    const body = () => main.body(...args);
    this.threads.push({ comm: options.comm, task: address, daemon, functionId: main.info.id, body });
    return address;
  }

  plainTask(): Ptr {
    return this.allocStaticStruct(plain_task);
  }

  createCache(declared: AnyStruct): Cache {
    const cache = new Cache(declared.name, layoutFor(this.config).sizeOf(declared), { debug: false }, 1);
    this.caches.push(cache);
    return cache;
  }

  cacheIndex(cache: Cache): number {
    return this.caches.indexOf(cache);
  }

  allocAtBoot(cache: Cache): Ptr {
    const object = this.placeObject(cache);
    this.memory.setShadow(object, cache.size, SHADOW_OK);
    this.bootObjects.set(object, cache.name);
    return object;
  }

  /** Objects that are there from the beginning. */
  get objectsAtBoot(): ReadonlyMap<Ptr, string> {
    return this.bootObjects;
  }

  /** Room for an object that is not allocated yet. */
  placeObject(cache: Cache): Ptr {
    const object = this.allocStatic(cache.slot);
    this.memory.setShadow(object, cache.slot, SHADOW_REDZONE);
    this.places.addObject(object - ARENA, object - ARENA + cache.slot);
    return object;
  }

  poke(pointer: Ptr, field: Field, value: number): void {
    const layout = layoutFor(this.config);
    const at = pointer + (layout.offset[field.id] as number) - ARENA;
    this.memory.store(at, layout.size[field.id] as number, layout.code[field.id] as number, value);
  }

  peek(pointer: Ptr, field: Field): number {
    const layout = layoutFor(this.config);
    const at = pointer + (layout.offset[field.id] as number) - ARENA;
    return this.memory.load(at, layout.size[field.id] as number, layout.code[field.id] as number);
  }
}
