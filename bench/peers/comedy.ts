/** comedy: an actor asks its child, which lives in the same thread, in a worker thread or in a process of its own. */
import { fileURLToPath } from "node:url";
import comedy from "comedy";
import { findChildren } from "../process-figures.ts";
import { makePeer, type OpenMortalPeer } from "./peer.ts";

/** Two slashes: a path from the root of the file system, and not of the project. */
const definition = `/${fileURLToPath(new URL("./comedy-actor.ts", import.meta.url))}`;

export const openInMemory: OpenMortalPeer = () => open("in-memory");
export const openThreaded: OpenMortalPeer = () => open("threaded");
export const openForked: OpenMortalPeer = () => open("forked");

async function open(mode: "in-memory" | "threaded" | "forked"): ReturnType<OpenMortalPeer> {
  const system = comedy.createSystem({ loggerConfig: { categories: { Default: "Silent" } } });
  const root = await system.rootActor();
  const actor = await root.createChild(definition, { mode });
  return makePeer({
    ask: (text) => actor.sendAndReceive("ask", text),
    terminate: mode === "forked" ? killChildren : () => actor.destroy(),
    async close() {
      await system.destroy();
    },
  });
}

/** As an operator or the system's memory killer would. The library's own way is to ask it to end. */
async function killChildren(): Promise<void> {
  for (const pid of await findChildren(process.pid)) process.kill(pid, "SIGKILL");
}
