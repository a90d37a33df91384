/** Loads an actor's module as a gateway does, in a confined cell, and says what is wrong with one that cannot be: the file, what was found, what to do. */
import { mkdtemp, realpath, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import type { ResolvedAgent } from "../config/resolved.ts";
import { failure } from "../kernel/errors.ts";
import { initOf, prepareCell } from "../supervisor/cell-places.ts";
import { makeForeignPlaces } from "../supervisor/foreign-places.ts";
import { makeCellHost } from "../thread/cell-host.ts";
import type { ActorKitOptions } from "./actor-port.ts";
import { configOf, kitAssets } from "./actor-world.ts";
import { explainModule, invalidModule } from "./explain-module.ts";

/** @throws `CLOISTER_MODULE_INVALID` when it cannot be loaded. */
export async function loadModule(file: string, options: ActorKitOptions = {}): Promise<void> {
  const folder = await realpath(await mkdtemp(path.join(tmpdir(), "cloister-kit-")));
  try {
    const { id = "actor" } = options;
    const config = await configOf(folder, file, id, options);
    const [agent] = config.agents as readonly [ResolvedAgent];
    const assets = await kitAssets();
    // An actor has no part in skills.
    const skills = { of: () => Promise.reject(failure("CLOISTER_INTERNAL", "the kit has no skills")) };
    const place = await prepareCell(agent, makeForeignPlaces(config, Date.now), assets, skills).catch(() => {
      throw invalidModule(file, "there is no such file", "name the file of the module");
    });
    const ended = Promise.withResolvers<string | undefined>();
    const host = makeCellHost(assets, {
      ready: () => ended.resolve(undefined),
      invalid: (_id, _incarnation, reason) => ended.resolve(reason),
      frame: () => undefined,
      ending: (_id, _incarnation, reason) => ended.resolve(`its cell was ended while it was loaded: ${reason}`),
      exited: (_id, _incarnation, reason, detail) =>
        ended.resolve(`its cell ended while it was loaded: ${reason}: ${detail}`),
      hasWork: () => true,
    });
    const init = initOf(agent, place, config.session, { incarnation: 1, slots: [] }, undefined);
    host.start({ id, init, readable: place.readable, isSuspect: false, ...agent.isolation });
    const reason = await ended.promise;
    await host.close();
    if (reason !== undefined) throw explainModule(file, reason);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
