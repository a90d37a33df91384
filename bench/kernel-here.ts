/**
 * The kernel with its real rights and bounds and nothing around it: no thread and no store. The agent `main` has the right to write to `raul`. The
 * journal and the stores answer when the one who measures says so, so that what is timed is the kernel alone.
 */
import type { AgentSpec } from "../runtime/kernel/agent-spec.ts";
import { doneBits, down, up } from "../runtime/kernel/frames.ts";
import { type Kernel, makeKernel } from "../runtime/kernel/kernel.ts";
import { limits } from "../runtime/kernel/limits.ts";
import { makePairingRegistry, type Pairing, type PairingRegistry } from "../runtime/kernel/pairings.ts";
import type { KernelSettings } from "../runtime/kernel/settings.ts";
import type { Effect } from "../runtime/kernel/state.ts";
import { defaultSupervision } from "../runtime/kernel/supervision.ts";
import { isSubagentKey, makeIsCanonicalKey } from "../runtime/routing/index.ts";
import { makeEnvelopeIds } from "../runtime/supervisor/envelope-ids.ts";

export interface KernelHere {
  readonly kernel: Kernel;
  /** A new turn of `main`, in its cell; the one before has ended. */
  begin(): void;
  /** One frame of the cell of `main`: so many messages to `raul`, each with this text to the session of its number. */
  send(messages: number, text: string): void;
  /** The journal has what was sent; `duplicate`: it had it before, so that nothing of it stays. */
  store(status: "stored" | "duplicate"): void;
  /** Carries on until nothing is left to do: each turn of `raul` ends at once. */
  handleAll(): void;
  /** Messages that were delivered to `raul`, and those that were given up, so far. */
  readonly counts: { readonly delivered: number; readonly buried: number };
}

/** By which `main` writes to `raul`. */
export const right: Pairing = {
  id: "operator:bench",
  subject: "agent:main",
  object: "agent:raul",
  verbs: ["send", "request"],
  origin: "operator",
};

/** A message of an operator to `main`. */
export const fromOperator = {
  from: { type: "operator", client: "bench" },
  agentId: "main",
  sessionKey: "agent:main:main",
  verb: "send",
  via: "door:operator",
  chain: [],
  provenance: { kind: "external_user", sourceChannel: "webchat" },
  replyRoute: { type: "none" },
} as const;

export const nowMs = 1_000;
const sessionsOfRaul = Array.from({ length: 50 }, (_, n) => `agent:raul:s${n}`);

export function makeSettings(): KernelSettings {
  return {
    limits,
    lanes: { main: 4, subagent: 8, cron: 4, background: 3 },
    liveCellsMax: limits.liveCellsMaxDefault,
    random: () => 0.5,
    whyNot: (subject, verb, object) => ({ message: `${subject} may not ${verb} ${object}`, remedy: "" }),
    isCanonicalKey: makeIsCanonicalKey(limits.canonicalKeysMax),
    isRunKey: isSubagentKey,
    bytesOf: (text) => Buffer.byteLength(text),
    isRepeatable: () => false,
    whyNotTool: () => undefined,
    describeTools: () => "[]",
    loops: {
      sameFailuresMax: limits.sameFailuresDefault,
      sameSessionMax: limits.sameSessionDefault,
      chainTokensMax: limits.chainTokensDefault,
      chainCostNanosMax: Number.MAX_SAFE_INTEGER,
    },
    asksForRights: false,
    queueOf: () => undefined,
    newId: makeEnvelopeIds(() => "be9c0000-0000-0000-0000-000000000000"),
  };
}

export const specOf = (id: string): AgentSpec => ({
  id,
  maxConcurrent: 4,
  clamp: "none",
  supervision: defaultSupervision(limits),
});

export function makeRights(): PairingRegistry {
  const pairings = makePairingRegistry();
  pairings.add(right);
  return pairings;
}

export function openKernelHere(): KernelHere {
  const counts = { delivered: 0, buried: 0 };
  const seqs = new Map<string, number>();
  let appends: Extract<Effect, { type: "append" }>[] = [];
  let waiting: (() => void)[] = [];
  let slot = 0;
  let turnOfMain = 0;
  let tickets = 0;
  let rows = 0;

  const frame = (agentId: string, records: readonly unknown[]): void => {
    const seq = (seqs.get(agentId) ?? 0) + 1;
    seqs.set(agentId, seq);
    kernel.frame(agentId, 1, [1, seq, ...records], nowMs);
  };
  const end = (agentId: string, turn: number): void =>
    frame(agentId, [up.done, 0, turn, 0, doneBits.reply, "ok", "", ""]);

  const carryOut = (effect: Effect): void => {
    if (effect.type === "append") appends.push(effect);
    else if (effect.type === "bury") counts.buried++;
    else if (effect.type === "start-cell") {
      const { agentId, incarnation, slots } = effect;
      if (agentId === "main") slot = slots.find(({ object }) => object === right.object)?.slot ?? 0;
      waiting.push(() => kernel.cellReady(agentId, incarnation, nowMs));
    } else if (effect.type === "begin") {
      const begun = { status: "begun", attempt: 1, sessionId: "s", body: "text", state: null } as const;
      waiting.push(() => kernel.begun(effect.agentId, effect.turn, begun, nowMs));
    } else if (effect.type === "commit") {
      waiting.push(() => kernel.committed(effect.agentId, effect.turn, { ok: true }, nowMs));
    } else if (effect.type === "post" && effect.record[0] === down.deliver) {
      const turn = effect.record[2];
      if (effect.agentId === "main") turnOfMain = turn;
      else {
        counts.delivered++;
        waiting.push(() => end("raul", turn));
      }
    }
  };
  const kernel = makeKernel(makeSettings(), [specOf("main"), specOf("raul")], makeRights(), carryOut);

  const handleAll = (): void => {
    while (waiting.length > 0) {
      const now = waiting;
      waiting = [];
      for (const next of now) next();
    }
  };
  const store = (status: "stored" | "duplicate"): void => {
    const all = appends;
    appends = [];
    for (const { envelope, ticket } of all) {
      const { id, runId } = envelope.header;
      const result = status === "stored" ? { status, seq: ++rows } : { status, envelopeId: id, runId };
      kernel.appended(envelope, ticket, result, nowMs);
    }
  };
  return {
    kernel,
    counts,
    store,
    handleAll,
    begin() {
      if (turnOfMain !== 0) end("main", turnOfMain);
      handleAll();
      kernel.admit({ ...fromOperator, body: "begin" }, ++tickets, nowMs);
      store("stored");
      handleAll();
    },
    send(messages, text) {
      frame(
        "main",
        Array.from({ length: messages }, (_, n) => {
          const session = sessionsOfRaul[n % sessionsOfRaul.length];
          return [up.send, n + 1, turnOfMain, slot, 0, session, String(n), text];
        }).flat(),
      );
      if (appends.length !== messages)
        throw new Error(`Sending in the kernel: found ${appends.length} of ${messages} messages accepted, wanted all.`);
    },
  };
}
