/**
 * Programs outside that call agents over HTTP, each with a token of its own and the agents that it may call. Made, changed and
 * taken back while the gateway runs: a change is kept in the store before it is obeyed, and obeyed before it is answered, by the
 * kernel (what waits is refused at delivery) and by the edge (open answers end). ADR 0034.
 */
import { createHash, randomBytes } from "node:crypto";
import { callerPairings } from "../../auth/compile-pairings.ts";
import type { CallerKey, EdgeForKernel } from "../edge/port.ts";
import type { CallerRow } from "../kernel/envelope.ts";
import { failure } from "../kernel/errors.ts";
import type { Kernel } from "../kernel/kernel.ts";
import { limits } from "../kernel/limits.ts";
import type { Store } from "../store/port.ts";
import { checkAgentPattern } from "./agent-pattern.ts";
import { makeAuditNote } from "./audit-trail.ts";
import type { Logger } from "./driver.ts";
import { makeInTurn } from "./in-turn.ts";

export interface CallersDeps {
  /** What the store kept at the start, oldest first. Their pairings are in the registry. */
  readonly kept: readonly CallerRow[];
  readonly agents: ReadonlyMap<string, unknown>;
  readonly store: Pick<Store, "keepCaller" | "dropCaller" | "audit">;
  readonly kernel: () => Pick<Kernel, "grant" | "revoke">;
  readonly edge: () => Pick<EdgeForKernel, "setCallers"> | undefined;
  readonly newId: () => string;
  readonly nowMs: () => number;
  readonly log: Logger;
}

export interface AskedCaller {
  readonly name: string;
  /** Ids or `*` patterns. */
  readonly agents: readonly string[];
  /** Milliseconds since the epoch. */
  readonly untilMs?: number;
}

/** As operators see it: without the hash. */
export type CallerView = Omit<CallerRow, "tokenHash">;

export interface Callers {
  /** In force now, oldest first. */
  list(): readonly CallerView[];
  /** What the edge tells callers by. */
  keys(): readonly CallerKey[];
  /** `by` is the client that asks, here and below, for the audit trail. The token is told here and never again. */
  add(asked: AskedCaller, by: string): Promise<{ readonly caller: CallerView; readonly token: string }>;
  /** Other agents than before, under the same token. */
  allow(name: string, agents: readonly string[], by: string): Promise<CallerView>;
  /** Another token; the old one opens nothing any more. */
  rotate(name: string, by: string): Promise<{ readonly caller: CallerView; readonly token: string }>;
  /** These three throw `CLOISTER_CALLER_UNKNOWN`. */
  revoke(name: string, by: string): Promise<CallerView>;
}

/** Would be taken for the operator's own calls in the keys of sessions. */
const reservedName = "operator";

export function makeCallers(deps: CallersDeps): Callers {
  const { store, kernel, nowMs } = deps;
  let rows = deps.kept;

  const isLive = ({ untilMs }: CallerRow): boolean => untilMs === undefined || untilMs > nowMs();
  const live = (): readonly CallerRow[] => rows.filter(isLive);
  const audit = makeAuditNote(store, deps.log, nowMs);

  /** One change at a time: a name is looked up and written without another change in between. */
  const inTurn = makeInTurn();

  const find = (name: string): CallerRow => {
    const row = live().find((one) => one.name === name.toLowerCase());
    if (row === undefined)
      throw failure("CLOISTER_CALLER_UNKNOWN", `no caller in force has the name ${name}`, "cloister callers list");
    return row;
  };

  const keys = (): readonly CallerKey[] =>
    live().map(({ id, name, tokenHash, untilMs }) => ({
      id,
      name,
      tokenHash,
      ...(untilMs === undefined ? {} : { untilMs }),
    }));

  const obey = async (): Promise<void> => {
    await deps.edge()?.setCallers(keys());
  };

  const put = async (row: CallerRow): Promise<void> => {
    await store.keepCaller(row);
    const before = rows.find(({ id }) => id === row.id);
    rows = before === undefined ? [...rows, row] : rows.map((one) => (one === before ? row : one));
    const held = new Set(before === undefined ? [] : callerPairings(before).map(({ id }) => id));
    for (const pairing of callerPairings(row)) if (!held.delete(pairing.id)) kernel().grant(pairing, nowMs());
    for (const id of held) kernel().revoke(id, nowMs());
    await obey();
  };

  const checkAgents = (agents: readonly string[]): readonly string[] => [
    ...new Set(agents.map((id) => checkAgentPattern("agents", id, deps.agents))),
  ];

  const check = (asked: AskedCaller): void => {
    const name = asked.name.toLowerCase();
    if (!/^[a-z0-9][a-z0-9_-]{0,63}$/u.test(name) || name === reservedName)
      throw failure(
        "CLOISTER_REQUEST_INVALID",
        `name: found ${JSON.stringify(asked.name)}, wanted up to 64 letters, digits, "_" and "-", and not "${reservedName}"`,
      );
    if (live().some((one) => one.name === name))
      throw failure(
        "CLOISTER_REQUEST_INVALID",
        `name: found "${name}", which is a caller already`,
        `cloister callers allow ${name} …, cloister callers rotate ${name}, or cloister callers revoke ${name} first`,
      );
    if (asked.untilMs !== undefined && asked.untilMs <= nowMs())
      throw failure(
        "CLOISTER_REQUEST_INVALID",
        `until: found ${new Date(asked.untilMs).toISOString()}, wanted a time that is still to come`,
      );
    if (live().length >= limits.callersMax)
      throw failure(
        "CLOISTER_BUSY",
        `${live().length} callers are in force; the bound is ${limits.callersMax}`,
        "revoke some (`cloister callers list`)",
      );
  };

  return {
    list: () => live().map(viewOf),
    keys,
    add: (asked, by) =>
      inTurn(async () => {
        check(asked);
        const agents = checkAgents(asked.agents);
        // The kernel has ended the rights of those whose time is over; here they leave the disk.
        for (const row of rows) if (!isLive(row)) await store.dropCaller(row.id);
        rows = live();
        const token = newToken();
        const row: CallerRow = {
          id: deps.newId(),
          name: asked.name.toLowerCase(),
          tokenHash: hashOf(token),
          agents,
          ...(asked.untilMs === undefined ? {} : { untilMs: asked.untilMs }),
          createdAtMs: nowMs(),
          by,
        };
        await put(row);
        audit({ type: "caller_added", subject: by, object: row.name, detail: describe(row) });
        return { caller: viewOf(row), token };
      }),
    allow: (name, agents, by) =>
      inTurn(async () => {
        const row = { ...find(name), agents: checkAgents(agents) };
        await put(row);
        audit({ type: "caller_changed", subject: by, object: row.name, detail: describe(row) });
        return viewOf(row);
      }),
    rotate: (name, by) =>
      inTurn(async () => {
        const token = newToken();
        const row = { ...find(name), tokenHash: hashOf(token) };
        await put(row);
        audit({ type: "caller_rotated", subject: by, object: row.name, detail: describe(row) });
        return { caller: viewOf(row), token };
      }),
    revoke: (name, by) =>
      inTurn(async () => {
        const row = find(name);
        await store.dropCaller(row.id);
        rows = rows.filter(({ id }) => id !== row.id);
        for (const { id } of callerPairings(row)) kernel().revoke(id, nowMs());
        await obey();
        audit({ type: "caller_revoked", subject: by, object: row.name, detail: describe(row) });
        return viewOf(row);
      }),
  };
}

function viewOf({ tokenHash: _hidden, ...row }: CallerRow): CallerView {
  return row;
}

/** 256 bits; the head lets the log's redaction and secret scanners know it. */
const newToken = (): string => `clt_${randomBytes(32).toString("base64url")}`;

const hashOf = (token: string): string => createHash("sha256").update(token, "utf8").digest("hex");

function describe({ name, agents, untilMs }: CallerRow): string {
  const end = untilMs === undefined ? "" : ` until ${new Date(untilMs).toISOString()}`;
  return `${name} → ${agents.join(", ")}${end}`;
}
