/**
 * The store of a gateway that may end at any of its writes. Each write of the agent that is watched is two points: before it, when nothing is stored, and
 * after it, when it is and nobody has heard. From the moment of the end nothing that this gateway asks is answered, until it is let go of; then all of it is
 * refused.
 */
import type { Envelope } from "../kernel/envelope.ts";
import { failure } from "../kernel/errors.ts";
import type { StepRow } from "../kernel/steps.ts";
import type { AppendResult, Dedupe, StepRecord, Store, TurnBegin, TurnCommit } from "../store/port.ts";

export interface StorePoint {
  readonly what: string;
  readonly at: "before" | "after";
}

/** What was stored, as it was stored. Nothing that a crash took is told. */
export interface StoreEvents {
  accepted(envelope: Envelope, dedupe: Dedupe | undefined): void;
  delivered(envelopeId: string, attempt: number): void;
  recorded(steps: StepRecord): void;
  committed(turn: TurnCommit): void;
  buried(envelopeId: string, fate: Parameters<Store["bury"]>[1], reason: string): void;
}

export interface WatchedStore {
  readonly store: Store;
  /** Calls that are not answered yet. */
  readonly open: number;
  /** Resolves with the end. */
  readonly whenCut: Promise<void>;
  /** The end, now. */
  cut(): void;
  /** Everything that was asked since the end is refused. */
  release(): void;
}

type Call = (...args: unknown[]) => Promise<unknown>;

/** `reach` is told each point and says whether the gateway ends there. */
export function watchStore(
  inner: Store,
  agentId: string,
  events: StoreEvents,
  reach: (point: StorePoint) => boolean,
  onCut: () => void,
): WatchedStore {
  let isCut = false;
  let open = 0;
  const end = Promise.withResolvers<void>();
  const gone = Promise.withResolvers<never>();
  // Who asked nothing since the end does not hear of it.
  gone.promise.catch(() => undefined);
  const cut = (): void => {
    if (isCut) return;
    isCut = true;
    end.resolve();
    onCut();
  };
  const ends = (what: string | undefined, at: StorePoint["at"]): boolean => {
    if (what === undefined || !reach({ what, at })) return false;
    cut();
    return true;
  };

  const carryOut = async (name: keyof Store, call: Call, args: readonly unknown[]): Promise<unknown> => {
    const what = whatOf(name, args, agentId);
    if (isCut || ends(what, "before")) return gone.promise;
    open++;
    try {
      // Asked at once: the order of the calls is that of their effects.
      const result = await call.apply(inner, [...args]);
      if (isCut) return gone.promise;
      note(events, name, args, result);
      return ends(what, "after") ? gone.promise : result;
    } catch (error) {
      if (isCut) return gone.promise;
      throw error;
    } finally {
      open--;
    }
  };

  const store = new Proxy(inner, {
    get(target, name: keyof Store) {
      const call = target[name] as Call | undefined;
      if (typeof call !== "function" || name === "close") return call?.bind(target);
      return (...args: unknown[]) => carryOut(name, call, args);
    },
  });
  return {
    store,
    get open() {
      return open;
    },
    whenCut: end.promise,
    cut,
    release: () => gone.reject(failure("CLOISTER_STORE_FAILED", "the gateway of this store has ended")),
  };
}

/** What the call is to store of the agent; undefined: it is no point. */
function whatOf(name: keyof Store, args: readonly unknown[], agentId: string): string | undefined {
  const [first] = args as [Record<string, unknown> | undefined];
  if (name === "append") {
    const { header } = first as unknown as Envelope;
    return header.from.type === "agent" && header.from.agentId === agentId
      ? `the message to ${header.sessionKey}`
      : undefined;
  }
  if (first?.["agentId"] !== agentId) return undefined;
  if (name === "recordSteps") return whatOfStep((first as unknown as StepRecord).rows.at(-1));
  if (name === "schedule") return `the timer ${JSON.stringify(first["name"])}`;
  if (name === "monitor") return `the watch over ${String(first["target"])}`;
  if (name === "take") return "what was said meanwhile";
  return name === "commit" ? "the end of the turn" : undefined;
}

function whatOfStep(row: StepRow | undefined): string {
  const name = JSON.stringify(row?.name);
  const what = row?.op === "model" ? "the model" : `${row?.op ?? "step"} ${name}`;
  return `the ${row?.result === undefined ? "start" : "result"} of ${what}`;
}

function note(events: StoreEvents, name: keyof Store, args: readonly unknown[], result: unknown): void {
  if (name === "append") {
    if ((result as AppendResult).status === "stored") events.accepted(...(args as [Envelope, Dedupe | undefined]));
  } else if (name === "fire" || name === "spawn") events.accepted(args[1] as Envelope, undefined);
  else if (name === "begin") {
    const { attempt } = result as { readonly attempt?: number };
    if (attempt !== undefined) events.delivered((args[0] as TurnBegin).envelopeId, attempt);
  } else if (name === "recordSteps") events.recorded(args[0] as StepRecord);
  else if (name === "commit") events.committed(args[0] as TurnCommit);
  else if (name === "bury") {
    const [envelopeId, fate, reason] = args as Parameters<Store["bury"]>;
    events.buried(envelopeId, fate, reason);
  }
}
