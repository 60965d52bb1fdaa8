/**
 * Fuzzing utrace from a vitest suite of your own: arbitraries for programs, and one token for what they show.
 *
 *     import { anyCase, programOf, formatToken } from "utrace-sim/fuzz";
 */
export {
  anyCaseParameters,
  anyEngine,
  anyMask,
  anyOwnCall,
  anyTargetStep,
  anyTracer,
  anyTracerStep,
} from "./arbitraries.ts";
export { type CaseParameters, type FuzzCase, programOf } from "./case.ts";
export { Evidence } from "./evidence.ts";
export {
  Fuzzer,
  type FuzzFinding,
  type FuzzOptions,
  type FuzzRound,
  type FuzzSize,
  type Judged,
  judge,
  type RawFinding,
  simplerThan,
  symptomOf,
} from "./fuzzer.ts";
export { causesOf, KNOWN_CAUSES, type KnownCause, knownCause } from "./known.ts";
export { anyCase, anyScript, SHAPES } from "./shapes.ts";
export { BadToken, formatToken, parseToken, type Reproduction, TOKEN_VERSION } from "./token.ts";
