/** Numbers and kernel addresses: what eight bytes mean, and what a read-modify-write makes of them. */
import fc from "fast-check";
import { beforeEach, describe, expect, test } from "vitest";
import { ARENA, hexPointer, Memory, PAGE_SIZE, SHADOW_FREED, SHADOW_OK, SHADOW_PAGE_FREE, WILD } from "./memory.ts";
import { globalsOf, type KernelBody, kernel, type Ptr } from "./op.ts";
import {
  add,
  assign_bits,
  atomic_add_return,
  atomic_andnot,
  atomic_or,
  clear_bits,
  cmpxchg,
  load,
  set_bits,
  store,
  xchg,
} from "./primitives.ts";
import { execute } from "./run.ts";
import { GuidedStrategy } from "./strategies/replay.ts";
import { bitAlias, bits, int, long, PLAIN, POINTER, ptr, SIGNED, struct, u8, u16, u32, ulong, when } from "./struct.ts";
import { Stage, stepwise, tiny } from "./tinyProgram.ts";

const AT = 64;
let memory: Memory;
beforeEach(() => {
  memory = new Memory();
});

const bytesAt = (at: number, length = 8): string =>
  Array.from(memory.bytes.subarray(at, at + length), (byte) => byte.toString(16).padStart(2, "0")).join(" ");
const poke = (at: number, ...bytes: number[]): void => memory.bytes.set(bytes, at);
const all = (byte: number, length = 8): number[] => Array(length).fill(byte);

describe("pointers", () => {
  for (const [what, value, bytes, hex] of [
    ["NULL", 0, "00 00 00 00 00 00 00 00", "0000000000000000"],
    ["a small number", 0x1234, "34 12 00 00 00 00 00 00", "0000000000001234"],
    ["the first address of the arena", ARENA, "00 00 00 7c 01 88 ff ff", "ffff88017c000000"],
    ["an address in the arena", ARENA + 0x4567, "67 45 00 7c 01 88 ff ff", "ffff88017c004567"],
    ["an address in the kernel text", 0x80345678 | 0, "78 56 34 80 ff ff ff ff", "ffffffff80345678"],
    ["-1, the owner of a free lock", -1, "ff ff ff ff ff ff ff ff", "ffffffffffffffff"],
    ["an error pointer, -ESRCH", -3, "fd ff ff ff ff ff ff ff", "fffffffffffffffd"],
  ] as const) {
    test(`${what} is ${hex} in memory, and comes back as the same number`, () => {
      memory.store(AT, 8, POINTER, value);
      expect(bytesAt(AT)).toBe(bytes);
      expect(memory.load(AT, 8, POINTER)).toBe(value);
      expect([memory.hex(value), hexPointer(value)]).toEqual([hex, hex]);
    });
  }

  for (const [what, bytes, hex] of [
    ["poison", all(0x6b), "6b6b6b6b6b6b6b6b"],
    ["poison with one byte changed", [0x6c, ...all(0x6b, 7)], "6b6b6b6b6b6b6b6c"],
    ["half an overwritten pointer", [0, 0, 0, 0, 1, 0x88, 0xff, 0xff], "ffff880100000000"],
    ["a low word that only looks like the arena", [0, 0, 0, 0x7c, 0, 0, 0, 0], "000000007c000000"],
    ["an address of the direct map outside the arena", [0, 0, 0, 0x90, 1, 0x88, 0xff, 0xff], "ffff880190000000"],
    ["a vmalloc address", [0, 0x10, 0, 0, 0, 0xc2, 0xff, 0xff], "ffffc20000001000"],
    ["a low word of -1 without its high word", [...all(0xff, 4), ...all(0, 4)], "00000000ffffffff"],
    [
      "the largest negative number that no text address has",
      [...all(0xff, 3), 0x7f, ...all(0xff, 4)],
      "ffffffff7fffffff",
    ],
  ] as const) {
    test(`${what} keeps all eight bytes: ${hex}`, () => {
      poke(AT, ...bytes);
      const value = memory.load(AT, 8, POINTER);
      expect(value).toBeGreaterThanOrEqual(WILD);
      expect(memory.hex(value)).toBe(hex);
      memory.store(AT + 8, 8, POINTER, value);
      expect(bytesAt(AT + 8)).toBe(bytesAt(AT));
      expect(memory.load(AT + 8, 8, POINTER)).toBe(value);
    });
  }

  test("equal wild values are equal numbers, different ones are not", () => {
    poke(AT, ...all(0x6b));
    poke(AT + 8, ...all(0x5a));
    poke(AT + 16, ...all(0x6b));
    const [a, b, c] = [0, 8, 16].map((off) => memory.load(AT + off, 8, POINTER));
    expect(a).toBe(c);
    expect(a).not.toBe(b);
  });

  test("&wild->field is the wild address plus the offset, in hexadecimal and in memory", () => {
    poke(AT, ...all(0x6b));
    const wild = memory.load(AT, 8, POINTER);
    expect(memory.hex(wild + 0x70)).toBe("6b6b6b6b6b6b6bdb");
    expect(memory.hex(wild - 0x6c)).toBe("6b6b6b6b6b6b6aff");
    memory.store(AT, 8, POINTER, wild + 0x70);
    expect(bytesAt(AT)).toBe("db 6b 6b 6b 6b 6b 6b 6b");
    expect(memory.load(AT, 8, POINTER)).toBe(wild + 0x70);
  });

  test("an offset carries into the high word", () => {
    poke(AT, ...all(0xff, 4), ...all(0x6b, 4));
    const wild = memory.load(AT, 8, POINTER);
    memory.store(AT, 8, POINTER, wild + 2);
    expect(bytesAt(AT)).toBe("01 00 00 00 6c 6b 6b 6b");
    expect(memory.hex(wild + 2)).toBe("6b6b6b6c00000001");
  });

  test("any eight bytes survive a load and a store, as a pointer and as an integer", () => {
    const bytes = fc.array(fc.oneof(fc.constantFrom(0, 0x6b, 0x7c, 0x80, 0x88, 0xff), fc.nat(255)), {
      minLength: 8,
      maxLength: 8,
    });
    fc.assert(
      fc.property(bytes, fc.constantFrom(PLAIN, POINTER, SIGNED), (eight, code) => {
        poke(AT, ...eight);
        const value = memory.load(AT, 8, code);
        memory.store(AT + 8, 8, code, value);
        expect(bytesAt(AT + 8)).toBe(bytesAt(AT));
        expect(memory.load(AT + 8, 8, code)).toBe(value);
        if (code === POINTER) expect(memory.hex(value)).toBe(Buffer.from(eight).reverse().toString("hex"));
      }),
      { seed: 2008, numRuns: 2000 },
    );
  });
});

describe("integers", () => {
  test("8 bytes hold every whole number below 2^52, and -1", () => {
    const values = fc.oneof(
      fc.maxSafeNat().map((n) => n % 2 ** 52),
      fc.nat(),
      fc.integer({ min: -(2 ** 31), max: -1 }),
    );
    fc.assert(
      fc.property(values, (value) => {
        memory.store(AT, 8, PLAIN, value);
        expect(memory.load(AT, 8, PLAIN)).toBe(value);
        const bytes = new DataView(memory.bytes.buffer, AT, 8);
        expect(bytes.getBigInt64(0, true)).toBe(BigInt(value));
      }),
      { seed: 2008, numRuns: 2000 },
    );
  });

  test("jiffies just before and after 2^32 are exact: they do not wrap on 64 bits", () => {
    for (const jiffies of [0xffff1f00, 0xffffffff, 0x100000000, 0x100000005]) {
      memory.store(AT, 8, PLAIN, jiffies);
      expect(memory.load(AT, 8, PLAIN)).toBe(jiffies);
    }
  });

  test("an integer field takes an arena address as the number it is, not as a pointer", () => {
    memory.store(AT, 8, PLAIN, ARENA);
    expect(bytesAt(AT)).toBe("00 00 00 7c 00 00 00 00");
    expect(memory.load(AT, 8, PLAIN)).toBe(ARENA);
  });

  test("4 bytes are signed or not as their field says; 2 and 1 are not", () => {
    poke(AT, ...all(0xff));
    expect([memory.load(AT, 4, SIGNED), memory.load(AT, 4, PLAIN)]).toEqual([-1, 0xffffffff]);
    expect([memory.load(AT, 2, PLAIN), memory.load(AT, 1, PLAIN)]).toEqual([0xffff, 0xff]);
  });

  test("a store changes no byte beside its own", () => {
    poke(AT, ...all(0x11));
    memory.store(AT + 2, 2, PLAIN, 0x2222);
    memory.store(AT + 5, 1, PLAIN, 0x33);
    expect(bytesAt(AT)).toBe("11 11 22 22 11 33 11 11");
  });

  test("a field with the size of no scalar is refused: it is a struct, or absent under this config", () => {
    expect(() => memory.load(AT, 0, PLAIN)).toThrow("[sim bug] a load of 0 bytes");
    expect(() => memory.store(AT, 24, PLAIN, 1)).toThrow("[sim bug] a store of 24 bytes");
  });
});

describe("pages", () => {
  test("pages come in ascending order, the one given back last first", () => {
    const [a, b, c] = [memory.allocPage(), memory.allocPage(), memory.allocPage()];
    expect([a, b, c]).toEqual([ARENA, ARENA + PAGE_SIZE, ARENA + 2 * PAGE_SIZE]);
    memory.freePage(a as number, false);
    memory.freePage(b as number, false);
    expect([memory.allocPage(), memory.allocPage(), memory.allocPage()]).toEqual([b, a, ARENA + 3 * PAGE_SIZE]);
  });

  test("a page given back keeps its bytes until it is used again", () => {
    const page = memory.allocPage();
    poke(page - ARENA, 1, 2, 3);
    memory.freePage(page, true);
    expect(bytesAt(page - ARENA, 3)).toBe("01 02 03");
    expect(memory.mapped[0]).toBe(0);
    expect(memory.allocPage()).toBe(page);
    expect(memory.mapped[0]).toBe(1);
    expect(bytesAt(page - ARENA, 3)).toBe("01 02 03");
  });

  test("the shadow has one code for eight bytes, and how many of the last are in use", () => {
    memory.setShadow(ARENA, 64, SHADOW_FREED);
    memory.setShadow(ARENA + 8, 20, SHADOW_OK);
    expect(Array.from(memory.shadow.subarray(0, 9))).toEqual([
      SHADOW_FREED,
      SHADOW_OK,
      SHADOW_OK,
      4,
      ...all(SHADOW_FREED, 4),
      SHADOW_PAGE_FREE,
    ]);
  });
});

// --- Through the machine -------------------------------------------------------------------------------------------

const WORDS_T = struct("words", {
  pointer: ptr,
  unsignedLong: ulong,
  signedLong: long,
  unsigned: u32,
  signed: int,
  half: u16,
  byte: u8,
  one: bits(1),
  three: bits(3),
  two: bits(2),
  oneAndThree: bitAlias("one", 4),
  wide: bits(12),
  debug: when("DEBUG_SPINLOCK", u32),
});
const WORDS = WORDS_T.fields;
const world = globalsOf<{ words: Ptr }>();

/** The results of some ops, one after the other, on a struct of which each byte begins as `byte`. */
function resultsOf(ops: KernelBody<[words: Ptr], number[]>, byte = 0): { results: number[]; stage: Stage } {
  let results: number[] = [];
  const runs_ops = kernel(function* runs_ops() {
    results = yield* ops(world().words);
  });
  const stage = new Stage(
    tiny((machine) => {
      const words = machine.allocStaticStruct(WORDS_T);
      machine.memory.bytes.fill(byte, words - ARENA, words - ARENA + machine.layout.sizeOf(WORDS_T));
      machine.globals = { words };
      machine.spawn(0, { comm: "a" }, runs_ops);
    }),
  );
  stage.toEnd();
  return { results, stage };
}

describe("read-modify-write", () => {
  test("set_bits and clear_bits give the new value, unsigned, and leave the other bits of a word of 8 bytes", () => {
    const { results } = resultsOf(function* (p) {
      yield* store(p, WORDS.unsignedLong, 0x100000000 + 0x80000001);
      return [
        yield* set_bits(p, WORDS.unsignedLong, 2),
        yield* clear_bits(p, WORDS.unsignedLong, 1),
        yield* load(p, WORDS.unsignedLong),
      ];
    });
    expect(results).toEqual([0x180000003, 0x180000002, 0x180000002]);
  });

  test("bit 31 of an unsigned long does not spread into the high word", () => {
    const { stage } = resultsOf(function* (p) {
      yield* store(p, WORDS.unsignedLong, 0x80000000);
      yield* set_bits(p, WORDS.unsignedLong, 1);
      yield* atomic_or(p, WORDS.unsignedLong, 2);
      return [];
    });
    const { words } = stage.machine.globals as { words: Ptr };
    expect(stage.hex(words + 8, 8)).toBe("03 00 00 80 00 00 00 00");
  });

  test("setting and clearing bits of a poisoned word changes those bits and no others", () => {
    const { stage, results } = resultsOf(function* (p) {
      yield* set_bits(p, WORDS.unsignedLong, 0x10);
      yield* clear_bits(p, WORDS.unsignedLong, 0x01);
      yield* atomic_or(p, WORDS.unsignedLong, 0x80);
      yield* atomic_andnot(p, WORDS.unsignedLong, 0x02);
      return [(yield* load(p, WORDS.unsignedLong)) >= WILD ? 1 : 0];
    }, 0x6b);
    const { words } = stage.machine.globals as { words: Ptr };
    expect(stage.hex(words + 8, 8)).toBe("f8 6b 6b 6b 6b 6b 6b 6b");
    expect(results).toEqual([1]);
  });

  test("an unsigned int wraps to the unsigned range and an int to the signed one, in the result too", () => {
    const { results } = resultsOf(function* (p) {
      yield* store(p, WORDS.signed, 0x7fffffff);
      return [
        yield* atomic_add_return(p, WORDS.unsigned, -1),
        yield* add(p, WORDS.unsigned, 2),
        yield* set_bits(p, WORDS.unsigned, 0x80000000),
        yield* atomic_add_return(p, WORDS.signed, 1),
        yield* add(p, WORDS.half, -1),
        yield* add(p, WORDS.byte, 257),
      ];
    });
    expect(results).toEqual([0xffffffff, 1, 0x80000001, -0x80000000, 0xffff, 1]);
  });

  test("atomic_or, atomic_andnot, xchg and cmpxchg give the old value; cmpxchg stores only on a match", () => {
    const { results } = resultsOf(function* (p) {
      return [
        yield* atomic_or(p, WORDS.unsigned, 5),
        yield* atomic_andnot(p, WORDS.unsigned, 1),
        yield* xchg(p, WORDS.unsigned, 9),
        yield* cmpxchg(p, WORDS.unsigned, 8, 1),
        yield* cmpxchg(p, WORDS.unsigned, 9, 2),
        yield* load(p, WORDS.unsigned),
      ];
    });
    expect(results).toEqual([0, 5, 4, 9, 9, 2]);
  });

  test("xchg and cmpxchg of pointers know an arena address and -1", () => {
    const { results } = resultsOf(function* (p) {
      return [
        yield* xchg(p, WORDS.pointer, p),
        (yield* cmpxchg(p, WORDS.pointer, p, -1)) - p,
        yield* cmpxchg(p, WORDS.pointer, -1, 0),
        yield* load(p, WORDS.pointer),
      ];
    });
    expect(results).toEqual([0, 0, -1, 0]);
  });

  test("a bit-field is changed within its byte, and its neighbours stay", () => {
    const { results, stage } = resultsOf(function* (p) {
      yield* assign_bits(p, WORDS.three, 5);
      yield* assign_bits(p, WORDS.two, 3);
      return [
        yield* load(p, WORDS.one),
        yield* load(p, WORDS.three),
        yield* load(p, WORDS.two),
        yield* load(p, WORDS.oneAndThree),
        yield* set_bits(p, WORDS.three, 2),
        yield* clear_bits(p, WORDS.three, 1),
        yield* assign_bits(p, WORDS.oneAndThree, 1),
        yield* assign_bits(p, WORDS.wide, 0xabc),
        yield* load(p, WORDS.wide),
        yield* load(p, WORDS.two),
      ];
    });
    expect(results).toEqual([0, 5, 3, 10, 7, 6, 1, 0xabc, 0xabc, 3]);
    const { words } = stage.machine.globals as { words: Ptr };
    expect(stage.peek(words, WORDS.byte)).toBe(0);
    expect(stage.peek(words, WORDS.three)).toBe(0);
  });

  test("a value too large for its bit-field is cut off and touches no neighbour", () => {
    const { results } = resultsOf(function* (p) {
      yield* assign_bits(p, WORDS.two, 3);
      return [yield* assign_bits(p, WORDS.three, 0xff), yield* load(p, WORDS.one), yield* load(p, WORDS.two)];
    });
    expect(results).toEqual([7, 0, 3]);
  });

  for (const [name, update, outcomes] of [
    ["set_bits, a load and a store, can lose a bit to another CPU", set_bits, [1, 2, 3]],
    ["atomic_or, one locked instruction, cannot", atomic_or, [3]],
  ] as const) {
    test(name, () => {
      const sets = kernel(function* sets(bit: number) {
        yield* update(world().words, WORDS.unsigned, bit);
      });
      const program = tiny((machine) => {
        machine.globals = { words: machine.allocStaticStruct(WORDS_T) };
        for (const bit of [1, 2]) machine.spawn(0, { comm: "sets" }, sets, bit);
      });
      const seen = new Set<number>();
      for (let seed = 0; seed < 200; seed++) {
        const { machine } = new Stage(program).toEnd(stepwise(seed));
        seen.add(machine.peek((machine.globals as { words: Ptr }).words, WORDS.unsigned));
      }
      expect([...seen].sort()).toEqual(outcomes);
    });
  }
});

test("a load of a member that this config has not is a bug of the model, and says so", () => {
  expect(() =>
    resultsOf(function* (p) {
      return [yield* load(p, WORDS.debug)];
    }),
  ).toThrow("[sim bug] a load of 0 bytes: no scalar, or a member this config has not");
});

test("a stray store of one run is not seen by the next, which gets the same memory", () => {
  const far = 100 * PAGE_SIZE;
  let seen = -1;
  const strays = kernel(function* strays() {
    seen = yield* load(world().words + far, WORDS.unsigned);
    yield* store(world().words + far, WORDS.unsigned, 7);
  });
  const program = tiny(
    (machine) => {
      machine.globals = { words: machine.allocStaticStruct(WORDS_T) };
      machine.spawn(0, { comm: "a" }, strays);
    },
    { checks: [] },
  );
  for (let run = 0; run < 3; run++) {
    execute(program, new GuidedStrategy([]));
    expect(seen).toBe(0);
  }
});
