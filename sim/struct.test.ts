/** Layouts against gcc's for x86_64, as pahole prints them. */
import { describe, expect, test } from "vitest";
import { kref, list_head, lockdep_map, rcu_head, rwlock_t, spinlock_t, thread_info } from "./kernelStructs.ts";
import { container_of, ref, running } from "./op.ts";
import {
  type AnyStruct,
  array,
  bitAlias,
  bits,
  type Config,
  type Field,
  fieldById,
  fieldLabel,
  int,
  layoutFor,
  PLAIN,
  POINTER,
  ptr,
  SIGNED,
  struct,
  u8,
  u16,
  u32,
  ulong,
  union,
  when,
} from "./struct.ts";

const PLAIN_CONFIG: Config = {};
const SPIN: Config = { DEBUG_SPINLOCK: true };
const LOCKDEP: Config = { DEBUG_SPINLOCK: true, LOCKDEP: true };

const sizeOf = (declared: AnyStruct, config: Config = PLAIN_CONFIG): number => layoutFor(config).sizeOf(declared);
/** Offset of a field, or null where the config has no such member. */
const offsetOf = (field: Field, config: Config = PLAIN_CONFIG): number | null => {
  const layout = layoutFor(config);
  return layout.present[field.id] === 1 ? (layout.offset[field.id] as number) : null;
};
const offsets = (fields: readonly Field[], config: Config = PLAIN_CONFIG): (number | null)[] =>
  fields.map((field) => offsetOf(field, config));
/** Offset, size, shift and mask of a bit-field. */
const bitsOf = (field: Field, config: Config = PLAIN_CONFIG): number[] => {
  const { offset, size, shift, mask } = layoutFor(config);
  return [offset, size, shift, mask].map((table) => table[field.id] as number);
};

describe("the structs of the machine", () => {
  for (const [name, declared] of [
    ["spinlock_t", spinlock_t],
    ["rwlock_t", rwlock_t],
  ] as const) {
    test(`${name} has 4, 24 or 48 bytes`, () => {
      expect([PLAIN_CONFIG, SPIN, LOCKDEP].map((config) => sizeOf(declared, config))).toEqual([4, 24, 48]);
    });

    test(`${name}: raw_lock, magic, owner_cpu, owner and dep_map lie where gcc puts them`, () => {
      const { raw_lock, magic, owner_cpu, owner, dep_map } = declared.fields;
      const members = [raw_lock, magic, owner_cpu, owner, dep_map];
      expect(offsets(members)).toEqual([0, null, null, null, null]);
      expect(offsets(members, SPIN)).toEqual([0, 4, 8, 16, null]);
      expect(offsets(members, LOCKDEP)).toEqual([0, 4, 8, 16, 24]);
      expect(offsets([dep_map.key, dep_map.class_cache, dep_map.name], LOCKDEP)).toEqual([24, 32, 40]);
    });
  }

  test("the small ones", () => {
    expect([kref, list_head, rcu_head, lockdep_map].map((declared) => sizeOf(declared))).toEqual([4, 16, 16, 24]);
    expect(offsets([list_head.fields.next, list_head.fields.prev])).toEqual([0, 8]);
    expect(offsets([rcu_head.fields.next, rcu_head.fields.func])).toEqual([0, 8]);
    const { task, flags, cpu, preempt_count } = thread_info.fields;
    expect(offsets([task, flags, cpu, preempt_count])).toEqual([0, 8, 16, 20]);
  });
});

const utrace = struct("utrace", {
  u: union({ dead: rcu_head, live: struct("live", { cloning: ptr }) }),
  attached: list_head,
  attaching: list_head,
  lock: spinlock_t,
  check_dead: kref,
  reporting: ptr,
  stopped: bits(1),
  report: bits(1),
  interrupt: bits(1),
  signal_handler: bits(1),
  death: bits(1),
  reap: bits(1),
  resume: bitAlias("report", 3),
});

describe("struct utrace as posted", () => {
  const { u, attached, attaching, lock, check_dead, reporting, stopped } = utrace.fields;
  for (const [name, config, size, places] of [
    ["no lock debugging", PLAIN_CONFIG, 72, [0, 0, 8, 0x10, 0x20, 0x30, null, null, null, null, 0x34, 0x38, 0x40]],
    ["DEBUG_SPINLOCK", SPIN, 96, [0, 0, 8, 0x10, 0x20, 0x30, 0x34, 0x38, 0x40, null, 0x48, 0x50, 0x58]],
    ["LOCKDEP", LOCKDEP, 120, [0, 0, 8, 0x10, 0x20, 0x30, 0x34, 0x38, 0x40, 0x48, 0x60, 0x68, 0x70]],
  ] as const) {
    test(`${name}: ${size} bytes, every member in its place`, () => {
      expect(sizeOf(utrace, config)).toBe(size);
      const members = [
        u,
        u.live.cloning,
        u.dead.func,
        attached,
        attaching,
        lock,
        lock.magic,
        lock.owner_cpu,
        lock.owner,
      ];
      expect(offsets([...members, lock.dep_map.key, check_dead, reporting, stopped], config)).toEqual(places);
    });
  }

  test("both words of the rcu_head lie over `cloning` and what follows it", () => {
    expect(offsets([u.dead.next, u.live.cloning, u.dead.func])).toEqual([0, 0, 8]);
  });

  test("the six flags are bits 0 to 5 of one byte", () => {
    const { report, interrupt, signal_handler, death, reap } = utrace.fields;
    const flags = [stopped, report, interrupt, signal_handler, death, reap];
    expect(flags.map((flag) => bitsOf(flag, LOCKDEP))).toEqual(flags.map((_, i) => [0x70, 1, i, 1]));
  });

  test("report, interrupt and signal_handler together are what AND 0xf1 clears", () => {
    const [offset, size, shift, mask] = bitsOf(utrace.fields.resume, LOCKDEP) as [number, number, number, number];
    expect([offset, size, ~(mask << shift) & 0xff]).toEqual([0x70, 1, 0xf1]);
  });
});

test("struct utrace_attached_engine has 48 bytes under every config", () => {
  const engine = struct("utrace_attached_engine", { kref, entry: list_head, ops: ptr, data: ptr, flags: ulong });
  const { entry, ops, data, flags } = engine.fields;
  for (const config of [PLAIN_CONFIG, SPIN, LOCKDEP]) {
    expect(sizeOf(engine, config)).toBe(48);
    expect(offsets([engine.fields.kref.refcount, entry, ops, data, flags], config)).toEqual([0, 8, 24, 32, 40]);
  }
});

describe("alignment", () => {
  test("a member lies at a multiple of its size, and the struct ends at one of its largest", () => {
    const mixed = struct("mixed", { a: u8, b: u16, c: u8, d: u32, e: u8, f: ulong, g: u8 });
    const { a, b, c, d, e, f, g } = mixed.fields;
    expect(offsets([a, b, c, d, e, f, g])).toEqual([0, 2, 4, 8, 12, 16, 24]);
    expect(sizeOf(mixed)).toBe(32);
  });

  test("a struct of bytes is not padded", () => {
    expect(sizeOf(struct("three", { a: u8, b: u8, c: u8 }))).toBe(3);
  });

  test("a struct inside another is aligned as its largest member, and keeps its own padding", () => {
    const outer = struct("outer", { a: u8, inner: struct("inner", { b: ulong, c: u8 }), d: u8 });
    const { inner, d } = outer.fields;
    expect(offsets([inner, inner.b, inner.c, d])).toEqual([8, 8, 16, 24]);
    expect(sizeOf(outer)).toBe(32);
  });

  test("an array is aligned as its elements, and a struct in it keeps its padding", () => {
    const arrays = struct("arrays", { a: u8, b: array(u16, 3), c: array(struct("elem", { x: u32, y: u8 }), 2), d: u8 });
    const { b, c, d } = arrays.fields;
    expect(offsets([b, c, d])).toEqual([2, 8, 24]);
    expect(sizeOf(arrays)).toBe(28);
  });

  test("a union is as large as its largest member, rounded up to its alignment", () => {
    const made = struct("with_union", { a: u8, u: union({ small: u16, text: array(u8, 9), word: u32 }), b: u8 });
    const { u, b } = made.fields;
    expect(offsets([u, u.small, u.text, u.word, b])).toEqual([4, 4, 4, 4, 16]);
    expect(sizeOf(made)).toBe(20);
  });

  test("a bit-field in a union lies at its start", () => {
    const made = struct("bit_union", { u: union({ word: ulong, flag: bits(3) }) });
    expect(bitsOf(made.fields.u.flag)).toEqual([0, 1, 0, 7]);
    expect(sizeOf(made)).toBe(8);
  });
});

describe("bit-fields", () => {
  test("they fill an unsigned int from bit 0 up and do not cross into the next", () => {
    const made = struct("flags", { a: bits(6), b: bits(3), c: bits(20), d: bits(4), e: bits(1) });
    const { a, b, c, d, e } = made.fields;
    // Byte access where one byte holds the field, else the whole unit.
    expect([a, b, c, d, e].map((field) => bitsOf(field))).toEqual([
      [0, 1, 0, 0x3f],
      [0, 4, 6, 7],
      [0, 4, 9, 0xfffff],
      [4, 1, 0, 15],
      [4, 1, 4, 1],
    ]);
    expect(sizeOf(made)).toBe(8);
  });

  test("they share a unit with a smaller member before and behind them, as in the ABI", () => {
    const made = struct("packed", { a: u8, b: bits(3), c: u8, d: u16, e: bits(1) });
    const { b, c, d, e } = made.fields;
    expect(offsets([c, d])).toEqual([2, 4]);
    expect([bitsOf(b), bitsOf(e)]).toEqual([
      [1, 1, 0, 7],
      [6, 1, 0, 1],
    ]);
    expect(sizeOf(made)).toBe(8);
  });

  test("one alone takes four bytes", () => {
    expect(sizeOf(struct("lone", { a: bits(1) }))).toBe(4);
  });

  test("an alias names an earlier bit-field, or the layout is refused", () => {
    const bad = struct("bad_alias", { a: bitAlias("b", 2), b: bits(2) });
    expect(() => layoutFor({ BAD: true })).toThrow("[sim bug] a names no earlier bit-field");
    // Mended, so that the other layouts of this file can be made.
    (bad.members as Record<string, unknown>).a = bits(2);
    expect(sizeOf(bad)).toBe(4);
  });
});

describe("members under a config", () => {
  const made = struct("optional", {
    a: u32,
    debug: when("DEBUG", u32),
    b: u32,
    both: when((config) => config.A === true && config.B === true, list_head),
  });
  const { a, debug, b, both } = made.fields;

  test("they take no room where they are not configured", () => {
    expect(offsets([a, debug, b, both])).toEqual([0, null, 4, null]);
    expect(sizeOf(made)).toBe(8);
  });

  test("they move what follows where they are", () => {
    expect(offsets([a, debug, b, both], { DEBUG: true })).toEqual([0, 4, 8, null]);
    expect(offsets([a, debug, b, both, both.prev], { A: true, B: true })).toEqual([0, null, 4, 8, 16]);
    expect(sizeOf(made, { DEBUG: true })).toBe(12);
    expect(sizeOf(made, { A: true, B: true })).toBe(24);
  });

  test("an option set to false is one that is not set, and the order of options does not matter", () => {
    expect(layoutFor({ A: true, DEBUG: false })).toBe(layoutFor({ A: true }));
    expect(layoutFor({ A: true, B: true })).toBe(layoutFor({ B: true, A: true }));
    expect(layoutFor({ A: true })).not.toBe(layoutFor({ B: true }));
  });
});

describe("declarations", () => {
  test("a member under #ifdef and #else is there under both, as one or the other", () => {
    const inner = struct("inner", { a: ulong, b: ulong });
    const outer = struct("outer", { first: u32, either: when("EMBEDDED", inner, ptr), last: u8 });
    const { fields } = outer;
    expect([sizeOf(outer), sizeOf(outer, { EMBEDDED: true })]).toEqual([24, 32]);
    expect(offsets([fields.either, fields.either.b, fields.last])).toEqual([8, null, 16]);
    expect(offsets([fields.either, fields.either.b, fields.last], { EMBEDDED: true })).toEqual([8, 16, 24]);
  });

  test("a chain of #elif is there under the first that holds, or not at all", () => {
    const { fields } = struct("chain", { at: when("A", ulong, when("B", u8)) });
    const size = (config: Config): number => layoutFor(config).size[fields.at.id] as number;
    expect([size({}), size({ B: true }), size({ A: true, B: true })]).toEqual([0, 1, 8]);
  });

  test("two structs of one tag are two structs, as when a lifetime declares its own", () => {
    const short = struct("same_tag", { a: u32 });
    const long = struct("same_tag", { a: u32, b: ulong });
    expect([sizeOf(short), sizeOf(long)]).toEqual([4, 16]);
    expect(offsets([short.fields.a, long.fields.b])).toEqual([0, 8]);
  });

  test("a struct declared after a layout was made is not in it", () => {
    const layout = layoutFor(PLAIN_CONFIG);
    const late = struct("late", { a: u32 });
    expect(() => layout.sizeOf(late)).toThrow("[sim bug] struct late declared after its layout was made");
    expect(sizeOf(late)).toBe(4);
  });

  test("a field is known by its struct and its path", () => {
    const { owner } = utrace.fields.lock;
    expect(fieldById(owner.id)).toBe(owner);
    expect(fieldLabel(owner.id)).toBe("utrace->lock.owner");
    expect(() => fieldById(1_000_000)).toThrow("[sim bug] no field 1000000");
  });

  test("pointers, integers and signed integers are told apart", () => {
    const made = struct("codes", { p: ptr, i: int, u: u32, l: ulong });
    const { code } = layoutFor(PLAIN_CONFIG);
    const { p, i, u, l } = made.fields;
    expect([p, i, u, l].map((field) => code[field.id])).toEqual([POINTER, SIGNED, PLAIN, PLAIN]);
  });

  test("ref and container_of undo each other under the layout of the running machine", () => {
    const { offset } = running;
    running.offset = layoutFor(LOCKDEP).offset;
    const member = ref(0x7c001000, utrace.fields.lock.owner);
    expect(member).toBe(0x7c001040);
    expect(container_of(member, utrace.fields.lock.owner)).toBe(0x7c001000);
    running.offset = offset;
  });
});
