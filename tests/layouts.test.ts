/**
 * Layouts, right to the byte: the sizes of the thread's table, and every declared struct of the kernel against gcc and
 * pahole, offset by offset, under each lifetime.
 */
import { describe, expect, test } from "vitest";
import * as linux from "../model/linux/structs.ts";
import { type Lifetime, layoutOf } from "../model/utrace/lifetime.ts";
import { LIFETIMES } from "../model/utrace/lifetimes/index.ts";
import * as utraceStructs from "../model/utrace/structs.ts";
import * as machine from "../sim/kernelStructs.ts";
import { Cache } from "../sim/slab.ts";
import type { AnyStruct, Config } from "../sim/struct.ts";
import { cSource, type Variant } from "./layouts/cSource.ts";
import { compile, differences, missingTools, parsePahole } from "./layouts/pahole.ts";

/** Every struct that these modules export, by tag. */
const STRUCTS: readonly AnyStruct[] = [machine, utraceStructs, linux].flatMap((module) =>
  Object.values(module as Readonly<Record<string, unknown>>).filter(
    (value): value is AnyStruct => (value as { type?: unknown } | null)?.type === "struct",
  ),
);

const CONFIGS: Readonly<Record<string, Config>> = {
  plain: {},
  utrace_debug: { UTRACE_DEBUG: true },
  spin: { DEBUG_SPINLOCK: true, UTRACE_DEBUG: true },
  lockdep: { DEBUG_SPINLOCK: true, LOCKDEP: true },
  crash: { DEBUG_SPINLOCK: true, LOCKDEP: true, UTRACE_DEBUG: true },
};

const NONE = null;
const lifetime = (name: string): Lifetime => LIFETIMES.get(name) as Lifetime;
const { task_struct } = linux;
const { utrace, utrace_attached_engine } = utraceStructs;
const sizeof = (declared: AnyStruct, under: Lifetime | null, config: Config = {}): number =>
  layoutOf(under, config).sizeOf(declared);
/** What `/sys/kernel/slab` calls the cache after: the slot size. */
const slab = (under: Lifetime | null): number =>
  new Cache("task_struct", sizeof(task_struct, under), { debug: false, align: linux.ARCH_MIN_TASKALIGN }, 1).slot;

describe("the thread's table (Alexey Dobriyan, 2008-09-03), from the declarations", () => {
  test.each([
    ["without utrace", NONE, 1384, 1392],
    ["with a pointer", lifetime("pointer"), 1400, 1408],
    ["embedded", lifetime("embedded"), 1456, 1456],
  ] as const)("task_struct %s", (_, under, size, slot) => {
    expect([sizeof(task_struct, under), slab(under)]).toEqual([size, slot]);
  });

  test("struct utrace has 72 bytes, embedded 64, and its engines 48", () => {
    expect(sizeof(utrace, lifetime("pointer"), { UTRACE_DEBUG: true })).toBe(72);
    expect(sizeof(utrace, lifetime("embedded"), { UTRACE_DEBUG: true })).toBe(64);
    expect(sizeof(utrace_attached_engine, lifetime("pointer"))).toBe(48);
  });

  test("and 120 under the config of the crash dump", () => {
    expect(sizeof(utrace, lifetime("pointer"), CONFIGS.crash)).toBe(120);
  });
});

const missing = missingTools();
const needed = missing.length === 0 ? "" : ` [skipped: no ${missing.join(", ")}; apt-get install gcc dwarves]`;

/** Each config under each lifetime, and without utrace. */
const VARIANTS: readonly (Variant & { readonly under: Lifetime | null; readonly user: Config })[] = Object.entries(
  CONFIGS,
).flatMap(([name, user]) =>
  [NONE, ...LIFETIMES.values()].map((under) => ({
    suffix: `__${name}_${under?.name ?? "none"}`,
    config: layoutOf(under, user).config,
    under,
    user,
  })),
);

describe.skipIf(missing.length > 0)(`gcc and pahole agree${needed}`, () => {
  const types = missing.length > 0 ? new Map() : compile(cSource(STRUCTS, VARIANTS));

  test.each(VARIANTS)("with every offset, size and bit of every struct ($suffix)", (variant) => {
    const layout = layoutOf(variant.under, variant.user);
    expect(STRUCTS.flatMap((declared) => differences(types, declared, variant, layout))).toEqual([]);
  });

  test("and would disagree: a layout of another config is found out, member by member", () => {
    const variant = VARIANTS.find(({ suffix }) => suffix === "__crash_pointer") as (typeof VARIANTS)[number];
    const other = layoutOf(variant.under, { DEBUG_SPINLOCK: true, LOCKDEP: true });
    const found = differences(types, utrace, variant, other);
    expect(found).toContain("utrace__crash_pointer sizeof: gcc 120, layout 112");
    expect(found).toContain("utrace__crash_pointer reporting offset: gcc 104, layout 96");
    expect(found).toContain("utrace__crash_pointer stopped first bit: gcc 896, layout 832");
    expect(found).toContain("utrace__crash_pointer check_dead present: gcc 1, layout 0");
  });

  test("and would disagree: a declaration that C reads otherwise is found out", () => {
    const variant = VARIANTS.find(({ suffix }) => suffix === "__plain_pointer") as (typeof VARIANTS)[number];
    const source = cSource([utrace], [variant]);
    const moved = source
      .replace("\tvoid * reporting;\n", "")
      .replace("unsigned int stopped", "char x; unsigned stopped");
    const found = differences(compile(moved), utrace, variant, layoutOf(variant.under, variant.user));
    expect(found).toContain("utrace__plain_pointer reporting offset: gcc undefined, layout 56");
    expect(found).toContain("utrace__plain_pointer report first bit: gcc 425, layout 513");
  });
});

test("pahole's text: members, arrays, bit-fields, unions", () => {
  const types = parsePahole(`struct a {
	long unsigned int          x[7];                 /*     0    56 */
	unsigned int               stopped:1;            /*    64: 0  4 */
	struct list_head           entry;                /*    72    16 */

	/* size: 88, cachelines: 2, members: 3 */
};
union u {
	struct rcu_head            dead;               /*     0    16 */
	void *                     live;               /*     0     8 */
};
`);
  expect(types.get("a")).toEqual({
    size: 88,
    members: new Map([
      ["x", { offset: 0, size: 56, bit: null }],
      ["stopped", { offset: 64, size: 4, bit: 0 }],
      ["entry", { offset: 72, size: 16, bit: null }],
    ]),
  });
  expect(types.get("u")).toEqual({
    size: 16,
    members: new Map([
      ["dead", { offset: 0, size: 16, bit: null }],
      ["live", { offset: 0, size: 8, bit: null }],
    ]),
  });
});
