/** Kernel lists against arrays. */
import fc from "fast-check";
import { expect, test } from "vitest";
import { list_head } from "../../sim/index.ts";
import { Play } from "../testProgram.ts";
import {
  INIT_LIST_HEAD,
  list_add,
  list_add_tail,
  list_del_init,
  list_empty,
  list_move,
  list_next,
  list_splice_tail_init,
} from "./list.ts";

const ENTRIES = 6;

test("two lists under any sequence of operations are what two arrays are under the same", () => {
  const play = new Play({ cpus: 1, checks: ["kasan"] });
  const place = (): number => play.machine.allocStaticStruct(list_head);
  const heads = [place(), place()] as const;
  const entries = Array.from({ length: ENTRIES }, place);
  const operation = fc.record({
    what: fc.constantFrom("add", "add_tail", "del", "move", "splice"),
    entry: fc.nat({ max: ENTRIES - 1 }),
    list: fc.nat({ max: 1 }),
  });
  fc.assert(
    fc.property(fc.array(operation, { maxLength: 20 }), (operations) => {
      const arrays: [number[], number[]] = [[], []];
      const read: [number[], number[]] = [[], []];
      const backwards: [number[], number[]] = [[], []];
      play.call(function* () {
        for (const list of [...heads, ...entries]) yield* INIT_LIST_HEAD(list);
        for (const { what, entry, list } of operations) {
          const [at, head, array] = [entries[entry] as number, heads[list] as number, arrays[list] as number[]];
          const other = arrays[1 - list] as number[];
          const listed = arrays.find((those) => those.includes(at));
          const remove = (): void => void listed?.splice(listed.indexOf(at), 1);
          if (what === "splice") {
            yield* list_splice_tail_init(heads[1 - list] as number, head);
            array.push(...other.splice(0));
          } else if (listed === undefined && what === "add") {
            yield* list_add(at, head);
            array.unshift(at);
          } else if (listed === undefined && what === "add_tail") {
            yield* list_add_tail(at, head);
            array.push(at);
          } else if (listed !== undefined && what === "del") {
            yield* list_del_init(at);
            remove();
          } else if (listed !== undefined && what === "move") {
            yield* list_move(at, head);
            remove();
            array.unshift(at);
          }
        }
        for (const [i, head] of heads.entries()) {
          for (let at = yield* list_next(head); at !== head; at = yield* list_next(at)) read[i]?.push(at);
          expect(yield* list_empty(head)).toBe(arrays[i]?.length === 0);
        }
      });
      for (const [i, head] of heads.entries()) {
        for (let at = play.peek(head, list_head.fields.prev); at !== head; at = play.peek(at, list_head.fields.prev)) {
          backwards[i]?.unshift(at);
        }
      }
      expect(read).toEqual(arrays);
      expect(backwards).toEqual(arrays);
    }),
    { numRuns: 100, seed: 20080826 },
  );
});
