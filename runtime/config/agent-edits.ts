/** Changes of the file that are about one agent: pure functions of its authored value. Source: behaviour §6.6. */
import { failure } from "../kernel/errors.ts";
import { normalizeAgentId } from "../routing/ids.ts";
import { isMap } from "./is-map.ts";

export interface AgentDraft {
  readonly id: string;
  readonly name?: string | undefined;
  readonly workspace?: string | undefined;
  readonly agentDir?: string | undefined;
  readonly model?: string | undefined;
  readonly module?: string | undefined;
  readonly identity?: Readonly<Record<string, string>> | undefined;
}

type Value = Record<string, unknown>;

/** @throws CLOISTER_REQUEST_INVALID when the id is taken or is none */
export function addAgent(value: unknown, draft: AgentDraft): unknown {
  const id = checkId(draft.id);
  const { agents, list } = read(value);
  if (idsOf(value).includes(id))
    throw failure(
      "CLOISTER_REQUEST_INVALID",
      `the agent ${id} is in the configuration already`,
      "cloister agents list",
    );
  // A file without agents has the one agent main, which is to stay.
  const before =
    list.length === 0 && Object.keys(mapOf(agents["entries"])).length === 0 && id !== "main" ? [{ id: "main" }] : list;
  return { ...mapOf(value), agents: { ...agents, list: [...before, entryOf({ ...draft, id })] } };
}

/** Fields that are left out stay. @throws CLOISTER_AGENT_UNKNOWN */
export function updateAgent(value: unknown, draft: AgentDraft): unknown {
  const id = normalizeAgentId(draft.id);
  const { id: _id, ...fields } = entryOf(draft);
  return changeEntry(value, id, (entry) => {
    const identity = isMap(fields["identity"])
      ? { identity: { ...mapOf(entry["identity"]), ...fields["identity"] } }
      : {};
    return { ...entry, ...fields, ...identity };
  });
}

/**
 * Without the agent, and without every mention of it that would give the next agent of this name what this one had.
 * @throws CLOISTER_AGENT_UNKNOWN, CLOISTER_REQUEST_INVALID for the only agent
 */
export function removeAgent(value: unknown, agentId: string): unknown {
  const id = normalizeAgentId(agentId);
  if (!idsOf(value).includes(id)) throw unknownAgent(agentId);
  if (idsOf(value).length === 1)
    throw failure(
      "CLOISTER_REQUEST_INVALID",
      `${id} is the only agent, and a gateway has at least one`,
      "add another one first",
    );
  const { agents, list } = read(value);
  const is = (other: unknown): boolean => typeof other === "string" && normalizeAgentId(other) === id;
  const entries = Object.fromEntries(Object.entries(mapOf(agents["entries"])).filter(([key]) => !is(key)));
  const next = {
    ...mapOf(value),
    agents: {
      ...agents,
      list: list.filter((entry) => !is(mapOf(entry)["id"])),
      ...(agents["entries"] === undefined ? {} : { entries }),
    },
  };
  return prune(next, is);
}

/** Where a list names agents, its mentions go; a rule about the agent alone goes as a whole. */
function prune(value: Value, is: (other: unknown) => boolean): Value {
  const without = (list: unknown): unknown => (Array.isArray(list) ? list.filter((item) => !is(item)) : list);
  const next: Value = { ...value };
  if (Array.isArray(next["bindings"]))
    next["bindings"] = next["bindings"].filter((row: unknown) => !is(mapOf(row)["agentId"]));
  const tools = mapOf(next["tools"]);
  if (isMap(tools["agentToAgent"])) {
    const { allow, grants, ...rest } = tools["agentToAgent"];
    next["tools"] = {
      ...tools,
      agentToAgent: {
        ...rest,
        ...(allow === undefined ? {} : { allow: without(allow) }),
        ...(Array.isArray(grants)
          ? { grants: grants.filter((row: unknown) => !is(mapOf(row)["from"]) && !is(mapOf(row)["to"])) }
          : {}),
      },
    };
  }
  const proposing = mapOf(mapOf(next["tools"])["config"]);
  if (Array.isArray(proposing["propose"]))
    next["tools"] = { ...mapOf(next["tools"]), config: { ...proposing, propose: without(proposing["propose"]) } };
  const hooks = mapOf(next["hooks"]);
  if (Array.isArray(hooks["allowedAgentIds"]))
    next["hooks"] = { ...hooks, allowedAgentIds: without(hooks["allowedAgentIds"]) };
  if (isMap(next["broadcast"])) next["broadcast"] = pruneBroadcast(next["broadcast"], is, without);
  const agents = mapOf(next["agents"]);
  const spawns = (entry: unknown): unknown => {
    const subagents = mapOf(mapOf(entry)["subagents"]);
    if (!Array.isArray(subagents["allowAgents"])) return entry;
    return { ...mapOf(entry), subagents: { ...subagents, allowAgents: without(subagents["allowAgents"]) } };
  };
  next["agents"] = {
    ...agents,
    ...(agents["defaults"] === undefined ? {} : { defaults: spawns(agents["defaults"]) }),
    ...(Array.isArray(agents["list"]) ? { list: agents["list"].map(spawns) } : {}),
    ...(isMap(agents["entries"])
      ? { entries: Object.fromEntries(Object.entries(agents["entries"]).map(([key, entry]) => [key, spawns(entry)])) }
      : {}),
  };
  return next;
}

/** A group that only had this agent is one no more. */
function pruneBroadcast(broadcast: Value, is: (other: unknown) => boolean, without: (list: unknown) => unknown): Value {
  const kept = Object.entries(broadcast).flatMap(([key, entry]): [string, unknown][] => {
    const ids: unknown = Array.isArray(entry) ? entry : mapOf(entry)["agents"];
    if (!Array.isArray(ids) || !ids.some(is)) return [[key, entry]];
    const left = without(ids);
    if (Array.isArray(left) && left.length === 0) return [];
    if (Array.isArray(entry)) return [[key, left]];
    const { triggers, ...rest } = mapOf(entry);
    const rules = Object.entries(mapOf(triggers)).filter(([by]) => !is(by));
    return [
      [
        key,
        {
          ...rest,
          agents: left,
          ...(isMap(triggers) ? { triggers: Object.fromEntries(rules.map(([by, to]) => [by, without(to)])) } : {}),
        },
      ],
    ];
  });
  return Object.fromEntries(kept);
}

/** A rule `<channel>`, `<channel>:<account>` or `<channel>:*` as `--bind` takes it. */
export function parseBind(text: string): { readonly channel: string; readonly accountId?: string } {
  const { channel, account } = /^(?<channel>[\w-]+)(?::(?<account>\*|[\w.@+-]+))?$/.exec(text.trim())?.groups ?? {};
  if (channel === undefined)
    throw failure(
      "CLOISTER_REQUEST_INVALID",
      `bind: found ${JSON.stringify(text)}, wanted <channel>, <channel>:<account> or <channel>:*`,
      "e.g. webhook:home",
    );
  return { channel: channel.toLowerCase(), ...(account === undefined ? {} : { accountId: account }) };
}

/** One more rule for each. @throws CLOISTER_REQUEST_INVALID when another agent has the same: it is told, not taken from it */
export function bindAgent(value: unknown, agentId: string, binds: readonly string[]): unknown {
  const id = normalizeAgentId(agentId);
  if (!idsOf(value).includes(id)) throw unknownAgent(agentId);
  const rows = listOf(mapOf(value)["bindings"], "bindings");
  const added = binds.map(parseBind).filter((match) => {
    const same = rows.find((row) => isRule(row, match));
    const owner = mapOf(same)["agentId"];
    if (same === undefined) return true;
    if (typeof owner === "string" && normalizeAgentId(owner) === id) return false;
    throw failure(
      "CLOISTER_REQUEST_INVALID",
      `the rule for ${formatRule(match)} is ${String(owner)}'s already`,
      `cloister agents unbind --agent ${String(owner)} --bind ${formatRule(match)}`,
    );
  });
  return { ...mapOf(value), bindings: [...rows, ...added.map((match) => ({ agentId: id, match }))] };
}

/** Without the rules, or without all of the agent's. @throws CLOISTER_REQUEST_INVALID when it has none of them */
export function unbindAgent(value: unknown, agentId: string, binds: readonly string[] | "all"): unknown {
  const id = normalizeAgentId(agentId);
  const rows = listOf(mapOf(value)["bindings"], "bindings");
  const isOwn = (row: unknown): boolean => {
    const owner = mapOf(row)["agentId"];
    return typeof owner === "string" && normalizeAgentId(owner) === id;
  };
  const rules = binds === "all" ? undefined : binds.map(parseBind);
  const left = rows.filter((row) => !isOwn(row) || (rules !== undefined && !rules.some((rule) => isRule(row, rule))));
  if (left.length === rows.length)
    throw failure("CLOISTER_REQUEST_INVALID", `${id} has no such rule`, "cloister agents list --bindings");
  return { ...mapOf(value), bindings: left };
}

function isRule(row: unknown, { channel, accountId }: ReturnType<typeof parseBind>): boolean {
  const match = mapOf(mapOf(row)["match"]);
  const keys = Object.keys(match).filter((key) => match[key] !== undefined);
  return (
    keys.every((key) => key === "channel" || key === "accountId") &&
    match["channel"] === channel &&
    match["accountId"] === accountId
  );
}

const formatRule = ({ channel, accountId }: ReturnType<typeof parseBind>): string =>
  accountId === undefined ? channel : `${channel}:${accountId}`;

function changeEntry(value: unknown, id: string, change: (entry: Value) => Value): unknown {
  const { agents, list } = read(value);
  const is = (other: unknown): boolean => typeof other === "string" && normalizeAgentId(other) === id;
  if (list.some((entry) => is(mapOf(entry)["id"])))
    return {
      ...mapOf(value),
      agents: { ...agents, list: list.map((entry) => (is(mapOf(entry)["id"]) ? change(mapOf(entry)) : entry)) },
    };
  const entries = mapOf(agents["entries"]);
  const key = Object.keys(entries).find(is);
  if (key !== undefined)
    return { ...mapOf(value), agents: { ...agents, entries: { ...entries, [key]: change(mapOf(entries[key])) } } };
  // The one agent of a file that names none.
  if (id === "main" && idsOf(value).includes("main"))
    return { ...mapOf(value), agents: { ...agents, list: [change({ id: "main" })] } };
  throw unknownAgent(id);
}

/** Normalised ids of the agents that the file names; `main` when it names none. */
export function idsOf(value: unknown): readonly string[] {
  const { agents, list } = read(value);
  const ids = [...list.map((entry) => mapOf(entry)["id"]), ...Object.keys(mapOf(agents["entries"]))];
  const known = ids.filter((id) => typeof id === "string").map(normalizeAgentId);
  return known.length === 0 ? ["main"] : known;
}

function read(value: unknown): { readonly agents: Value; readonly list: readonly unknown[] } {
  const agents = mapOf(mapOf(value)["agents"]);
  return { agents, list: listOf(agents["list"], "agents.list") };
}

function listOf(value: unknown, key: string): readonly unknown[] {
  if (value === undefined) return [];
  if (Array.isArray(value)) return value;
  throw failure(
    "CLOISTER_REQUEST_INVALID",
    `${key} is no list in this file; it may come from an included one`,
    `change the file that has ${key}`,
  );
}

const mapOf = (value: unknown): Value => (isMap(value) ? value : {});

function checkId(text: string): string {
  const id = normalizeAgentId(text);
  if (/[\p{L}\p{N}]/u.test(text) && id !== "") return id;
  throw failure(
    "CLOISTER_REQUEST_INVALID",
    `id: found ${JSON.stringify(text)}, wanted letters, digits, "-" and "_"`,
    "give another id",
  );
}

function entryOf({ id, name, workspace, agentDir, model, module, identity }: AgentDraft): Value {
  const fields = { id, name, workspace, agentDir, model, module, identity };
  return Object.fromEntries(Object.entries(fields).filter(([, field]) => field !== undefined));
}

function unknownAgent(agentId: string): Error {
  return failure("CLOISTER_AGENT_UNKNOWN", `agent not found: ${agentId}`, "cloister agents list");
}
