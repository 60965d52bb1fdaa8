/**
 * A thread program on the full machine: CPUs, preemption, interrupts, SLUB and all checks; for `hunt`, `execute` and
 * the reports.
 */
import { CHECK_NAMES } from "../../finding.ts";
import { spinlock_t } from "../../kernelStructs.ts";
import { pokeLock } from "../../locks.ts";
import type { Machine, MachineOptions } from "../../machine.ts";
import { type KernelFunction, namedFunction, type Ptr } from "../../op.ts";
import type { SpawnOptions } from "../../primitives.ts";
import type { Program } from "../../run.ts";
import type { Cache } from "../../slab.ts";
import type { AnyStruct, Config, Field } from "../../struct.ts";
import { Places } from "./places.ts";
import { ThreadWorld } from "./threadWorld.ts";
import { lockStruct, type ThreadBody, type ThreadProgram, type Variable, variableStruct, type World } from "./world.ts";

/**
 * The program as `hunt` and `execute` take it.
 *
 * @param options - What differs from two CPUs, kernel preemption, all checks and 10 000 steps at most.
 */
export function onMachine(program: ThreadProgram, options: Partial<MachineOptions> = {}): Program {
  // Declares the structs of all variables: a machine lays them out before it calls setup.
  new ThreadWorld(program, new Places(new Set()));
  const checks = new Set(CHECK_NAMES);
  const config = { PREEMPT: true, ...program.config, ...options.config };
  return {
    name: program.name,
    options: { cpus: 2, checks, stepsMax: 10_000, ...options, config },
    setup: (machine) => program.setup(new MachineWorld(machine)),
  };
}

/** A machine as a thread program sees it. */
class MachineWorld implements World {
  constructor(private readonly machine: Machine) {}

  get config(): Config {
    return this.machine.config;
  }
  get globals(): unknown {
    return this.machine.globals;
  }
  set globals(globals: unknown) {
    this.machine.globals = globals;
  }

  variable(name: string, initial = 0): Variable {
    const declared = variableStruct(name);
    const variable = { name, ptr: this.machine.allocStaticStruct(declared), field: declared.fields.value };
    if (initial !== 0) this.poke(variable.ptr, variable.field, initial);
    return variable;
  }

  array(name: string, length: number, initial = 0): Variable[] {
    return Array.from({ length }, (_, i) => this.variable(`${name}[${i}]`, initial));
  }

  lock(name: string): Variable {
    const declared = lockStruct(name);
    const variable = { name, ptr: this.machine.allocStaticStruct(declared), field: declared.fields.lock };
    pokeLock(this.machine, variable.ptr, spinlock_t);
    return variable;
  }

  thread(name: string, body: ThreadBody): void {
    const main = { info: namedFunction(name), body } as unknown as KernelFunction<[], void>;
    this.machine.spawn(0, { comm: name }, main);
  }

  spawn<A extends readonly unknown[]>(
    task: Ptr,
    options: SpawnOptions,
    main: KernelFunction<A, void>,
    ...args: A
  ): Ptr {
    return this.machine.spawn(task, options, main, ...args);
  }

  allocStaticStruct(declared: AnyStruct): Ptr {
    return this.machine.allocStaticStruct(declared);
  }
  createCache(declared: AnyStruct): Cache {
    return this.machine.createCache(declared);
  }
  allocAtBoot(cache: Cache): Ptr {
    return this.machine.allocAtBoot(cache);
  }
  poke(pointer: Ptr, field: Field, value: number): void {
    this.machine.poke(pointer, field, value);
  }
  peek(pointer: Ptr, field: Field): number {
    return this.machine.peek(pointer, field);
  }
}
