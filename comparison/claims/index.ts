/** The claims of the thread that can be settled: bytes by arithmetic, code by searches. */
import { CODE_CLAIMS } from "./codeClaims.ts";
import type { ClaimExaminer } from "./examine.ts";
import { SIZE_CLAIMS } from "./sizeClaims.ts";

/** All claims, in the order in which they are shown. */
export const CLAIMS: readonly ClaimExaminer[] = [...SIZE_CLAIMS, ...CODE_CLAIMS];
