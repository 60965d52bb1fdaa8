/** `explore.js FAMILY N [broken]`: one exploration of a program of `programs.ts`, its result as JSON; for the bench. */
import { exploreThreads } from "../../sim/index.ts";
import { againstSpin } from "./programs.ts";

const [name = "", size, broken] = process.argv.slice(2);
const began = performance.now();
const cpuBegan = process.cpuUsage();
const program = againstSpin(name, Number(size), broken === "broken");
const { verdict, states, steps } = exploreThreads(program, { search: "states", stopAtFinding: true });
const searchMs = performance.now() - began;
const { user, system } = process.cpuUsage(cpuBegan);
const searchCpuMs = (user + system) / 1000;
const memoryMb = process.resourceUsage().maxRSS / 1024;
console.log(JSON.stringify({ verdict, states, steps, searchMs, searchCpuMs, memoryMb }));
