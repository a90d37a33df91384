/** One actor in a gateway of its own, for tests of its author. */
import { makeActorKit } from "./actor-kit.ts";
import type { ActorKit, ActorKitOptions } from "./actor-port.ts";
import { openActorWorld, pathOfModule } from "./actor-world.ts";
import { loadModule } from "./load-module.ts";

/**
 * Opens a kit for the actor module of this file: a path, relative to the working directory, or a `file:` URL. The module runs in a confined cell of a real
 * gateway, which has no doors, no network and a clock that stands still until `advance` moves it. Close it in the end; `await using` does.
 *
 * ```ts
 * import { openActorKit } from "cloister/testing";
 * await using kit = await openActorKit(new URL("./shopping.ts", import.meta.url));
 * const { reply, state } = await kit.say("add milk");
 * ```
 *
 * @throws `CLOISTER_MODULE_INVALID` when the module cannot be loaded: with the file, what is wrong and the remedy. `CLOISTER_CONFIG_INVALID` when an option is
 *   none that an agent's configuration takes.
 */
export async function openActorKit(module: string | URL, options: ActorKitOptions = {}): Promise<ActorKit> {
  const file = pathOfModule(module);
  await loadModule(file, options);
  return makeActorKit(await openActorWorld(file, options));
}
