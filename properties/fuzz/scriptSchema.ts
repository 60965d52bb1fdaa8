/**
 * What a script looks like as data from outside: a token may come from anywhere. What kernel code makes of its numbers
 * is its own business.
 */
import { z } from "zod";
import { ANSWERS, type Script } from "../../scenarios/programs/script.ts";

/** More tasks and steps than any program needs, so that no text can ask for more than that. */
const TASKS_MAX = 16;
const STEPS_MAX = 64;

const number = z.int32();
const index = number.min(0);
const signal = number.min(1).max(31);

const ownCalls = [
  z.object({ do: z.literal("control"), action: index }),
  z.object({ do: z.literal("events"), mask: index }),
  z.object({ do: z.enum(["barrier", "examine"]) }),
] as const;
const nap = z.object({ do: z.literal("nap") });
const slot = { slot: index };

const engine = z.object({
  answers: z.partialRecord(z.enum(ANSWERS), index),
  inside: z.nullable(
    z.object({
      callback: z.enum(ANSWERS),
      call: z.discriminatedUnion("do", [...ownCalls, nap, z.object({ do: z.literal("look") })]),
    }),
  ),
  follows: index,
});
const targetStep = z.discriminatedUnion("do", [
  z.object({ do: z.enum(["user", "call", "exec", "fork", "thread", "exit thread"]) }),
  z.object({ do: z.enum(["handle", "ignore"]), signal }),
]);
const tracerStep = z.discriminatedUnion("do", [
  z.object({ do: z.literal("user") }),
  nap,
  z.object({ do: z.literal("attach"), ...slot, target: index, engine: index, flags: index }),
  ...ownCalls.map((call) => call.extend(slot)),
  z.object({ do: z.literal("await"), ...slot }),
  z.object({ do: z.literal("put"), ...slot }),
]);
const senderStep = z.object({ signal, target: index, naps: index });

const perTask = <T extends z.ZodType>(step: T) => z.array(z.array(step).max(STEPS_MAX)).max(TASKS_MAX);
const schema = z.object({
  engines: z.array(engine).max(TASKS_MAX),
  targets: perTask(targetStep),
  tracers: perTask(tracerStep),
  senders: perTask(senderStep),
  waits: z.boolean(),
  leaves: z.boolean(),
  crowded: z.boolean(),
});

/**
 * Makes sure that a script is one.
 *
 * @throws Error saying which part of it is not, in one line.
 */
export function checkedScript(value: unknown): Script {
  const { data, error } = schema.safeParse(value);
  if (data !== undefined) return data;
  const [part = "parts"] = error.issues[0]?.path ?? [];
  throw new Error(`its ${String(part)} are not as they should be`);
}
