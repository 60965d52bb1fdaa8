/** A worker thread of a fuzzing campaign: takes a chunk of programs, gives what they showed. Called by tinypool. */
export { fuzzChunk as default } from "./fuzzing.ts";
