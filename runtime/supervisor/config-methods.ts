/** What operators' clients may do with the configuration, and with agents as parts of it. Shapes as in protocol.md. */
import { mkdir, rename } from "node:fs/promises";
import path from "node:path";
import {
  addAgent,
  applyEdits,
  bindAgent,
  type FileChange,
  isConfigFailure,
  lookUpKey,
  mergePatch,
  parseText,
  readAuthored,
  redactValue,
  removeAgent,
  type ResolvedAgent,
  summarizePlan,
  updateAgent,
  valueOf,
} from "../config/index.ts";
import type { Client } from "../edge/port.ts";
import { failure, toRefusal } from "../kernel/errors.ts";
import { limits } from "../kernel/limits.ts";
import { agentIdOfName } from "../routing/index.ts";
import { checkChange } from "./config-check.ts";
import type { Applied, ConfigDesk, ReadsConfig, Written } from "./config-desk.ts";
import type { ConfigProposals } from "./config-proposals.ts";
import type { Logger } from "./driver.ts";
import { forgetSessions, forgetTimes } from "./forget-agent.ts";
import type { Grants } from "./grants.ts";
import type { LiveConfig } from "./live-config.ts";
import type { Handlers, Params } from "./method-handlers.ts";
import { ownFolders } from "./workspace/own-folders.ts";
import { openFolders } from "./workspace/seed.ts";

export interface ConfigMethodsDeps {
  readonly desk: ConfigDesk;
  readonly live: LiveConfig;
  readonly read: ReadsConfig;
  readonly grants: Pick<Grants, "live" | "revoke">;
  readonly proposals: ConfigProposals;
  readonly store: Parameters<typeof forgetTimes>[0];
  readonly onSessionChanged: (sessionKey: string, agentId: string, reason: string) => void;
  readonly nowMs: () => number;
  readonly log: Logger;
}

type Names =
  | "config.get"
  | "config.schema.lookup"
  | "config.check"
  | "secrets.reload"
  | "config.proposals"
  | "config.proposals.show"
  | "config.proposals.apply"
  | "config.proposals.reject"
  | "config.set"
  | "config.apply"
  | "config.patch"
  | "agents.create"
  | "agents.update"
  | "agents.delete";

export function makeConfigMethods(deps: ConfigMethodsDeps): Handlers<Names> {
  const { desk, live, proposals, nowMs, log } = deps;
  const admit = makeWriteGuard(nowMs);

  const write = async (
    client: Client,
    method: Names,
    change: FileChange,
    { baseHash, force = false }: { readonly baseHash?: string; readonly force?: boolean },
  ): Promise<Described> => {
    admit(client, method);
    return describe(await desk.write(change, { base: baseHash, force, by: client.clientId }));
  };

  /** Of what is there: nothing of it was shown that could have changed meanwhile. */
  const edit = (client: Client, method: Names, change: (value: unknown) => unknown): Promise<Described> =>
    write(client, method, { edit: change }, { baseHash: "any" });

  const replace = (method: "config.set" | "config.apply") => (params: Params<typeof method>, client: Client) =>
    write(client, method, { raw: params.raw }, params);

  const get = async () => {
    const authored = await readAuthored(live.current().configPath);
    const told = { path: authored.file, exists: authored.text !== undefined, hash: authored.hash };
    try {
      const parsed = redactValue(valueOf(authored));
      const { config } = await deps.read();
      const { warnings, notActive } = config;
      return {
        ...told,
        valid: true,
        parsed,
        config: parsed,
        issues: [],
        warnings,
        notActive,
        ...desk.status(),
        hash: authored.hash,
      };
    } catch (error) {
      const { code, message } = toRefusal(error);
      const issues = isConfigFailure(error) ? error.issues : [{ path: "(root)", message }];
      return { ...told, valid: false, code, issues, warnings: [], ...desk.status(), hash: authored.hash };
    }
  };

  /** To a folder of the state directory, unless another agent has something there. */
  const discard = async (agent: ResolvedAgent): Promise<void> => {
    const { id } = agent;
    const { stateDir } = live.current();
    const folder = path.join(stateDir, "trash", `${id}-${new Date(nowMs()).toISOString().replaceAll(":", "-")}`);
    await mkdir(folder, { recursive: true, mode: 0o700 });
    for (const [name, place] of Object.entries(ownFolders(agent, live.current()))) {
      await rename(place, path.join(folder, name)).catch((error: NodeJS.ErrnoException) => {
        if (error.code !== "ENOENT")
          log.warn({ agent: id, place, code: error.code }, "a folder of a deleted agent stays");
      });
    }
    log.info({ agent: id, folder }, "the folders of a deleted agent are in the trash");
  };

  /** Nothing is left of the agent. A turn that ended meanwhile may have set more. */
  const putAway = async (agent: ResolvedAgent, withFiles: boolean): Promise<void> => {
    await forgetTimes(deps.store, agent.id);
    if (!withFiles) return;
    await discard(agent);
    await forgetSessions(deps.store, agent.id, nowMs(), (key) => deps.onSessionChanged(key, agent.id, "delete"));
  };

  return {
    "config.get": get,
    "secrets.reload": async (_, { clientId: by }) => ({ ok: true, ...(await desk.readSecrets(by)) }),
    "config.schema.lookup": ({ path: key }) => lookUpKey(key),
    "config.check": (edits) => checkChange(deps, { edit: (value) => applyEdits(value, edits) }),
    "config.proposals": async () => ({ ts: nowMs(), proposals: await proposals.list() }),
    "config.proposals.show": ({ id }) => proposals.show(id),
    "config.proposals.apply": async ({ id, hash, force = false }, client) => {
      admit(client, "config.proposals.apply");
      return { id, ...describe(await proposals.apply(id, { hash, force, by: client.clientId })) };
    },
    "config.proposals.reject": async ({ id }, client) => {
      await proposals.reject(id, client.clientId);
      return { ok: true, id };
    },
    "config.set": replace("config.set"),
    "config.apply": replace("config.apply"),
    "config.patch": ({ raw, replacePaths = [], set, unset, ...asked }, client) => {
      const patch = raw === undefined ? undefined : parseText("the patch", raw);
      const change = (value: unknown): unknown =>
        patch === undefined ? applyEdits(value, { set, unset }) : mergePatch(value, patch, replacePaths);
      return write(client, "config.patch", { edit: change }, asked);
    },
    "agents.create": async ({ name, id = agentIdOfName(name), bind = [], emoji, avatar, theme, ...fields }, client) => {
      const written = await edit(client, "agents.create", (value) => {
        const added = addAgent(value, { id, name, ...fields, identity: identityOf({ emoji, avatar, theme }) });
        return bind.length === 0 ? added : bindAgent(added, id, bind);
      });
      const agent = live.agents.get(id);
      const files = agent === undefined ? [] : await openFolders(agent, nowMs());
      return { ...written, agentId: id, name, workspace: agent?.workspace, files };
    },
    "agents.update": async ({ agentId, emoji, avatar, theme, ...fields }, client) => {
      const identity = identityOf({ emoji, avatar, theme });
      const change = (value: unknown): unknown => updateAgent(value, { id: agentId, ...fields, identity });
      return { ...(await edit(client, "agents.update", change)), agentId: agentIdOfName(agentId) };
    },
    "agents.delete": async ({ agentId, deleteFiles = true }, client) => {
      const id = agentIdOfName(agentId);
      const agent = live.agents.get(id);
      // An agent without work is gone before this is answered.
      const undo = desk.whenGone(id, (gone) => putAway(gone, deleteFiles));
      const change = (value: unknown): unknown => removeAgent(value, id);
      const written = await edit(client, "agents.delete", change).catch((error: unknown) => {
        undo();
        throw error;
      });
      // The next agent of this name is another one.
      for (const grant of deps.grants.live())
        if (grant.from === id || grant.to === id) await deps.grants.revoke(grant.id, client.clientId);
      const due = await forgetTimes(deps.store, id);
      if (due > 0) log.info({ agent: id, due }, "the jobs and timers of a deleted agent are removed");
      // It is there until the gateway starts again; nobody is told then that it has gone.
      if (written.status !== "applied") undo();
      const isLeft = agent !== undefined && deleteFiles && written.status !== "applied";
      return { ...written, agentId: id, ...(isLeft ? { filesLeft: ownFolders(agent, live.current()) } : {}) };
    },
  };
}

function identityOf(fields: Readonly<Record<string, string | undefined>>): Record<string, string> | undefined {
  const given = Object.entries(fields).filter((field): field is [string, string] => field[1] !== undefined);
  return given.length === 0 ? undefined : Object.fromEntries(given);
}

/** What is answered to a change; the rest depends on what became of it. */
type Described = { readonly status: Applied["status"] } & Readonly<Record<string, unknown>>;

function describe({ file, hash, isRewritten, applied }: Written): Described {
  const told = { ok: true, path: file, hash, status: applied.status, ...(isRewritten ? { commentsLost: true } : {}) };
  if (applied.status === "restarting") return { ...told, restart: applied.restart };
  if (applied.status !== "applied") return { ...told, restart: [] };
  return { ...told, ...summarizePlan(applied.plan) };
}

/** Bounds how often one client writes, each method apart. */
function makeWriteGuard(nowMs: () => number): (client: Client, method: string) => void {
  const recent = new Map<string, number[]>();
  return ({ clientId, deviceId = "" }, method) => {
    const atMs = nowMs();
    for (const [key, times] of recent) if ((times.at(-1) ?? 0) <= atMs - limits.configWritesMs) recent.delete(key);
    const key = JSON.stringify([method, clientId, deviceId]);
    const times = (recent.get(key) ?? []).filter((time) => time > atMs - limits.configWritesMs);
    if (times.length >= limits.configWritesMax)
      throw Object.assign(
        failure(
          "CLOISTER_BUSY",
          `${clientId} changed the configuration ${times.length} times in a minute; the bound is reached`,
        ),
        { retryAfterMs: (times[0] ?? atMs) + limits.configWritesMs - atMs },
      );
    recent.set(key, [...times, atMs]);
  };
}
