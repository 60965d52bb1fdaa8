/** Random thread programs for tests: every op that a thread can take, on few places, so that threads meet. */
import { plain_task, rcu_head, rwlock_t } from "../../kernelStructs.ts";
import { container_of, globalsOf, kernel, type Ptr, type Request } from "../../op.ts";
import {
  call_rcu,
  choose,
  current,
  kmem_cache_free,
  load,
  rcu_read_lock,
  rcu_read_unlock,
  read_lock,
  read_unlock,
  schedule,
  smp_mb,
  spawn,
  store,
  synchronize_rcu,
  wake_up_state,
  write_lock_irq,
  write_unlock_irq,
} from "../../primitives.ts";
import { makeRng } from "../../rng.ts";
import type { Cache } from "../../slab.ts";
import { long, struct } from "../../struct.ts";
import {
  atomicAdd,
  compareExchange,
  increment,
  lock,
  read,
  type ThreadProgram,
  threadProgram,
  unlock,
  type Variable,
  write,
} from "./world.ts";

/** What a random thread does: one of {@link ACTS}, to one of two places. */
export interface Act {
  readonly op: keyof typeof ACTS;
  readonly of: number;
}

const node = struct("node", { value: long, rcu: rcu_head });
const NODE = node.fields;
const rw = struct("rw", { lock: rwlock_t });

/** What the acts act on. */
interface Scene {
  readonly places: readonly Variable[];
  readonly locks: readonly Variable[];
  readonly cache: Cache;
  readonly object: Ptr;
  readonly rwlock: Ptr;
  readonly tasks: readonly Ptr[];
}
type Code = Generator<Request, string, unknown>;

const node_free = kernel(function* node_free(rhead: Ptr) {
  yield* kmem_cache_free(scenes().cache, container_of(rhead, NODE.rcu));
});
const child = kernel(function* child(by: number) {
  yield* increment(scenes().places[0] as Variable, by);
});
const scenes = globalsOf<Scene>();
const place = (of: number): Variable => scenes().places[of] as Variable;

const ACTS = {
  *read(of: number): Code {
    return `${yield* read(place(of))}`;
  },
  *write(of: number, value: number): Code {
    yield* write(place(of), value);
    return "";
  },
  *atomic(of: number, value: number): Code {
    return `${yield* atomicAdd(place(of), value)}`;
  },
  *increment(of: number): Code {
    return `${yield* increment(place(of))}`;
  },
  *exchange(of: number, value: number): Code {
    return `${yield* compareExchange(place(of), 0, value)}`;
  },
  *barrier(of: number, value: number): Code {
    yield* write(place(of), value);
    yield* smp_mb();
    return `${yield* read(place(1 - of))}`;
  },
  *nested(of: number): Code {
    yield* lock(scenes().locks[of] as Variable);
    const seen = yield* read(place(of));
    yield* lock(scenes().locks[1 - of] as Variable);
    yield* unlock(scenes().locks[1 - of] as Variable);
    yield* unlock(scenes().locks[of] as Variable);
    return `${seen}`;
  },
  *locked(of: number): Code {
    yield* lock(scenes().locks[of] as Variable);
    const seen = yield* increment(place(of));
    yield* unlock(scenes().locks[of] as Variable);
    return `${seen}`;
  },
  *readers(of: number, value: number): Code {
    if (of === 0) {
      yield* read_lock(scenes().rwlock, rw.fields.lock);
      const seen = yield* read(place(0));
      yield* read_unlock(scenes().rwlock, rw.fields.lock);
      return `${seen}`;
    }
    yield* write_lock_irq(scenes().rwlock, rw.fields.lock);
    yield* write(place(0), value);
    yield* write_unlock_irq(scenes().rwlock, rw.fields.lock);
    return "";
  },
  *choose(of: number): Code {
    const value = yield* choose(2);
    yield* write(place(of), 7 + value);
    return `${value}`;
  },
  *object(of: number): Code {
    if (of === 0) return `${yield* load(scenes().object, NODE.value)}`;
    yield* kmem_cache_free(scenes().cache, scenes().object);
    return "";
  },
  *rcu(of: number): Code {
    if (of === 1) {
      yield* call_rcu(scenes().object, NODE.rcu, node_free);
      return "";
    }
    yield* rcu_read_lock();
    const seen = yield* load(scenes().object, NODE.value);
    yield* rcu_read_unlock();
    return `${seen}`;
  },
  *grace(of: number): Code {
    if (of === 1) {
      yield* synchronize_rcu();
      yield* write(place(0), 99);
      return "";
    }
    yield* rcu_read_lock();
    const seen = yield* read(place(0));
    const again = yield* read(place(0));
    yield* rcu_read_unlock();
    return `${seen}-${again}`;
  },
  *sleep(of: number): Code {
    if (of === 0) {
      yield* store(current(), plain_task.fields.state, 1);
      if ((yield* read(place(0))) === 0) yield* schedule();
      return "awake";
    }
    yield* write(place(0), 1);
    for (const task of scenes().tasks) yield* wake_up_state(task, 1);
    return "";
  },
  *spawn(of: number): Code {
    yield* spawn(0, { comm: `child${of}` }, child, of + 1);
    return "";
  },
};
/** The names of the acts. */
export const NAMES = Object.keys(ACTS) as (keyof typeof ACTS)[];

/** The program of a plan: what each thread does. */
export const programOf = (plan: readonly (readonly Act[])[]): ThreadProgram =>
  threadProgram("random", (world) => {
    const tasks: Ptr[] = [];
    const cache = world.createCache(node);
    world.globals = {
      places: world.array("place", 2),
      locks: [world.lock("lock0"), world.lock("lock1")],
      cache,
      object: world.allocAtBoot(cache),
      rwlock: world.allocStaticStruct(rw),
      tasks,
    } satisfies Scene;
    for (const [t, acts] of plan.entries()) {
      world.thread(`thread${t}`, function* () {
        let seen = "";
        for (const [i, { op, of }] of acts.entries()) seen += `${yield* ACTS[op](of, 10 * (t + 1) + i)},`;
        return seen;
      });
    }
  });

/** Plans for two or three threads of at most `most` acts each. */
export function randomPlans(seed: string, count: number, most: number): Act[][][] {
  const rng = makeRng(seed);
  const act = (): Act => ({ op: NAMES[rng.below(NAMES.length)] as Act["op"], of: rng.below(2) });
  const thread = (): Act[] => Array.from({ length: 1 + rng.below(most) }, act);
  return Array.from({ length: count }, () => Array.from({ length: 2 + rng.below(2) }, thread));
}
