/**
 * How deep generators are nested when kernel code asks for an op, on average: frames of kernel functions, and the
 * inline helpers between them. A program of its own, as looking makes everything after it slow.
 */
import { SCENARIOS } from "../scenarios/index.ts";
import { resolveParameters } from "../scenarios/parameters.ts";
import type { Scenario } from "../scenarios/scenario.ts";
import { makeStrategy } from "../sim/hunt.ts";
import { CALL, request, running } from "../sim/op.ts";
import { execute } from "../sim/run.ts";

Error.stackTraceLimit = 100;
let kind = 0;
let nested = 0;
let asked = 0;
Object.defineProperty(request, "kind", {
  get: () => kind,
  set(value: number) {
    kind = value;
    if (value === CALL) return;
    asked++;
    // The innermost kernel function is resumed by the machine; what lies above it on the stack are inline helpers.
    const resumptions = (new Error().stack ?? "").match(/\.next \(<anonymous>\)/g)?.length ?? 1;
    nested += running.context.depth + resumptions;
  },
});
const scenario = SCENARIOS.find((s) => s.name === "attach-detach-exec") as Scenario;
const program = scenario.program(resolveParameters({}));
for (let i = 0; i < 20; i++) execute(program, makeStrategy("random", `nesting/${i}`));
console.log((nested / asked).toFixed(2));
