/** Entry of the memory's thread: SQLite answers synchronously, so that it has a thread of its own. It starts with the first search. */
import { serveTrustedThread } from "../../thread/trusted-thread.ts";
import { makeMemory } from "./host.ts";
import type { KernelForMemory } from "./port.ts";

serveTrustedThread<object, KernelForMemory>(async (_init, remote) => makeMemory((ask) => remote.embed(ask)));
