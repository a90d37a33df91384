/** The second half of the seeds of `kernel.test.ts`, in a process of its own. */
import { simulateWorlds } from "./worlds.ts";

simulateWorlds(1, 2);
