/**
 * A gateway in this process, with the real kernel, real cells and the LMDB store in its thread; without an edge, so that
 * what is between agents is measured and HTTP is not.
 */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { findPaths, loadConfig, resolveConfig } from "../runtime/config/index.ts";
import { limits } from "../runtime/kernel/limits.ts";
import type { Store, StoreCounters, StorePlaces } from "../runtime/store/port.ts";
import { startStoreThread } from "../runtime/store/thread.ts";
import { makeGateway } from "../runtime/supervisor/gateway.ts";
import { readKept } from "../runtime/supervisor/kept.ts";
import { type CellAssets, loadCellAssets } from "../runtime/thread/cell-assets.ts";
import { quietEdge } from "../test/support/quiet-edge.ts";

export interface GatewayHere {
  /** Says something to the agent's main session and gives its answer. */
  say(agentId: string, text: string): Promise<string>;
  /** Calls a method as an operator would; rejects when it is refused. */
  rpc(method: string, params: object): Promise<unknown>;
  /** Ends all idle cells, as idleness does after a while, and waits until they are gone. */
  passivate(): Promise<void>;
  /** The counters of its store. */
  counters(): Promise<StoreCounters>;
  close(): Promise<void>;
}

export interface GatewayHereOptions {
  /** A warning that the measurement brings about: it is not printed. */
  readonly expected?: string;
  readonly changeAssets?: (assets: CellAssets) => CellAssets;
  /** Default: the LMDB store in its thread. */
  readonly openStore?: (places: StorePlaces) => Promise<Store>;
}

const answerMsMax = 60_000;
const pollMs = 2;

const complain = (fields: object, message: string): void => console.error(message, fields);

export async function openGatewayHere(
  config: object,
  { changeAssets = (assets) => assets, openStore = openInThread, expected }: GatewayHereOptions = {},
): Promise<GatewayHere> {
  const stateDir = await mkdtemp(path.join(tmpdir(), "cloister-bench-"));
  await writeFile(path.join(stateDir, "cloister.json"), JSON.stringify(config));
  const paths = await findPaths({ env: {}, homeDir: stateDir, flags: { stateDir } });
  const resolved = resolveConfig(await loadConfig({ ...paths, env: {} }));
  const agents = resolved.agents.map(({ id, sessionsDir }) => ({ agentId: id, sessionsDir }));
  const store = await openStore({ stateDir, agents });
  const gateway = makeGateway({
    config: resolved,
    store,
    assets: changeAssets(await loadCellAssets()),
    ...(await readKept(store, { error: complain })),
    withWorkspace: [],
    operatorKey: "ab".repeat(32),
    liveCellsMax: 100,
    startBroker: () => Promise.reject(new Error("the benchmarks ask no models")),
    startMcp: () => Promise.reject(new Error("the benchmarks have no MCP servers")),
    startTools: () => Promise.reject(new Error("the benchmarks call no tools of the tools thread")),
    startMemory: () => Promise.reject(new Error("the benchmarks search no memory")),
    startChannel: () => Promise.reject(new Error("nothing is measured here that has a channel")),
    version: "bench",
    process: {
      pid: process.pid,
      bootId: "bench",
      startedAtMs: Date.now(),
      onStopOrder: () => undefined,
      checkConfig: () => Promise.resolve(),
    },
    configFile: { files: new Map(), read: () => Promise.resolve({ config: resolved, files: new Map() }) },
    log: {
      debug: () => undefined,
      info: () => undefined,
      warn: (fields, message) => (message === expected ? undefined : complain(fields, message)),
      error: complain,
    },
  });
  gateway.attachEdge(quietEdge());
  await gateway.resume();

  const client = { connId: "bench", clientId: "bench", mode: "bench", scopes: ["operator.admin"] };
  const rpc = async (method: string, params: object): Promise<unknown> => {
    const result = await gateway.doors.rpc(client, method, params);
    if (result.ok) return result.payload;
    throw new Error(`Calling ${method}: ${result.refusal.message}`);
  };
  return {
    rpc,
    async say(agentId, text) {
      const sessionKey = `agent:${agentId}:${resolved.session.mainKey}`;
      const { runId } = (await rpc("chat.send", { sessionKey, message: text })) as { readonly runId: string };
      const result = await gateway.doors.waitRun(runId, answerMsMax);
      if (result.status === "ok" && result.reply !== null && result.reply !== undefined) return result.reply;
      throw new Error(`Telling ${agentId}: found ${JSON.stringify(result)}, wanted an answer.`);
    },
    async passivate() {
      const { driver } = gateway;
      while (driver.liveCells > 0) {
        driver.kernel.tick(Date.now() + 2 * limits.passivateAfterMs);
        await sleep(pollMs);
      }
    },
    counters: () => store.counters(),
    async close() {
      await gateway.drain(0);
      await store.close();
      await rm(stateDir, { recursive: true, force: true });
    },
  };
}

function openInThread(places: StorePlaces): Promise<Store> {
  return startStoreThread({
    places,
    options: {},
    onLost: (reason) => {
      throw new Error(reason);
    },
  });
}
