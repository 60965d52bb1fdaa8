/**
 * Fuzzing utrace from a vitest suite of your own: arbitraries for programs, and one token for what they show.
 *
 *     import { anyCase, programOf, formatToken } from "utrace-sim/fuzz";
 */
export {
  anyCase,
  anyCaseParameters,
  anyEngine,
  anyMask,
  anyOwnCall,
  anyScript,
  anyTargetStep,
  anyTracer,
  anyTracerStep,
} from "./arbitraries.ts";
export { type CaseParameters, type FuzzCase, programOf } from "./case.ts";
export {
  causeOf,
  Fuzzer,
  type FuzzFinding,
  type FuzzOptions,
  type FuzzRound,
  type FuzzSize,
  type RawFinding,
  simplerThan,
} from "./fuzzer.ts";
export { BadToken, formatToken, parseToken, type Reproduction, TOKEN_VERSION } from "./token.ts";
