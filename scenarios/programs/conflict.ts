/** A scenario in which ptrace and utrace act on one thread. */
import type { BootedKernel } from "../../model/boot.ts";
import type { Scenario } from "../scenario.ts";
import { world } from "../world.ts";
import { observeClaims } from "./claims.ts";

/** Makes one; all come from the same remark of the posting. */
export const conflict = (name: string, title: string, populate: (kernel: BootedKernel) => void): Scenario => ({
  name,
  title,
  source: "Roland McGrath, 2008-08-26 15:01 and 15:02: in this version utrace and ptrace do not play well together",
  known: ["use-after-free", "slab-corruption", "bug-on", "deadlock", "hung-task", "lock-misuse", "leak", "property"],
  program: (parameters) =>
    world(name, parameters, (kernel) => {
      kernel.allowPtrace();
      observeClaims(kernel.machine);
      populate(kernel);
    }),
});
