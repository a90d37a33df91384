/**
 * Calls of models between the kernel and the broker: starts the broker's thread with the first call, keeps which call is whose, and
 * ends those of turns and cells that are over. What a lost broker had in hand is asked once more, in the next one.
 */
import { nothingRead, type SecretsRead } from "../broker/secrets-read.ts";
import type { AgentBudgets } from "./agent-budgets.ts";
import type { BrokerForKernel, EmbedAsk, EmbedEnd, ModelSettings } from "../broker/port.ts";
import type { Kernel } from "../kernel/kernel.ts";
import { failure, isCoded, toRefusal } from "../kernel/errors.ts";
import type { ModelCall, ModelEnd } from "../kernel/model-call.ts";
import { stoppedRefusal } from "../kernel/posts.ts";

/** The thread as this side sees it. Calls of one that ended reject with `CLOISTER_THREAD_LOST`. */
export interface BrokerThread {
  readonly remote: BrokerForKernel;
  readonly stop: () => Promise<void>;
}

export interface ModelsDeps {
  readonly kernel: () => Pick<Kernel, "modelText" | "modelAnswered">;
  readonly settings: () => ModelSettings;
  /** `onText` hears pieces of answers, by the number of the call. */
  readonly start: (settings: ModelSettings, onText: (id: number, text: string) => void) => Promise<BrokerThread>;
  /** What agents may take in a day. */
  readonly budgets: Pick<AgentBudgets, "whyNot" | "book">;
  readonly nowMs: () => number;
}

export interface Models {
  ask(call: ModelCall): void;
  /** Vectors of an agent's notes. They count for its budget of the day, and for no turn. Never rejects. */
  embed(ask: EmbedAsk): Promise<EmbedEnd>;
  /** What the turn still waits for is wanted no more. */
  endTurn(agentId: string, turn: number): void;
  endCell(agentId: string, incarnation: number): void;
  /** The configuration is another one. */
  changed(): void;
  /** As the broker's. */
  profileNames(agentId: string, providerId: string): Promise<readonly string[]>;
  /** As the broker's. */
  readonly profileType: BrokerForKernel["profileType"];
  /** As the broker's. While there is none there is nothing to read. Never rejects. */
  readSecrets(): Promise<SecretsRead>;
  close(): Promise<void>;
}

interface Open {
  readonly call: ModelCall;
  isEnded: boolean;
  /** Pieces of its text were told: a broker that takes the call over tells none, since those cannot be taken back. */
  hasTold: boolean;
}

export function makeModels({ kernel, settings, start, budgets, nowMs }: ModelsDeps): Models {
  const open = new Map<number, Open>();
  /** Numbers of the calls of one entry: most have none. */
  const byAgent = new Map<string, Set<number>>();
  let nextId = 1;
  let thread: Promise<BrokerThread> | undefined;
  let isClosed = false;

  const onText = (id: number, text: string): void => {
    const found = open.get(id);
    if (found?.isEnded !== false) return;
    found.hasTold = true;
    kernel().modelText(found.call, text);
  };

  /** Without a pause before it is kept: calls of the same moment share one thread. */
  const broker = (): Promise<BrokerThread> => {
    if (isClosed) throw failure("CLOISTER_GATEWAY_DRAINING", "the gateway is shutting down");
    return (thread ??= start(settings(), onText));
  };

  /** It is gone, or did not start: the next call starts another, unless somebody has done so already. */
  const forget = (gone: Promise<BrokerThread>): void => {
    if (thread === gone) thread = undefined;
  };

  const withBroker = async <T>(work: (remote: BrokerForKernel) => Promise<T>): Promise<T> => {
    const asked = broker();
    const { remote } = await asked.catch((error: unknown) => {
      forget(asked);
      throw error;
    });
    return work(remote).catch((error: unknown) => {
      if (isLost(error)) forget(asked);
      throw error;
    });
  };

  const once = (id: number, { header, model, authProfile, wantsText, request, tools }: ModelCall): Promise<ModelEnd> =>
    withBroker(async (remote) => {
      const found = open.get(id);
      if (found?.isEnded !== false) return { ok: false, refusal: stoppedRefusal };
      const { agentId } = header;
      const asked = { id, agentId, model, wantsText: wantsText && !found.hasTold, request, tools };
      return remote.ask(authProfile === undefined ? asked : { ...asked, authProfile });
    });

  const ask = async (id: number, call: ModelCall): Promise<ModelEnd> => {
    try {
      const spent = await budgets.whyNot(call.header.agentId, call.sinceMs);
      if (spent !== undefined) return { ok: false, refusal: spent };
      return await once(id, call).catch((error: unknown) => {
        if (isLost(error) && !isClosed) return once(id, call);
        throw error;
      });
    } catch (error) {
      return { ok: false, refusal: toRefusal(error) };
    }
  };

  const end = (wanted: Iterable<number>): void => {
    for (const id of wanted) {
      const found = open.get(id);
      if (found === undefined || found.isEnded) continue;
      found.isEnded = true;
      // A broker that is gone has ended it already.
      void thread?.then(({ remote }) => remote.cancel(id)).catch(() => undefined);
    }
  };

  const ofAgent = (agentId: string, isMeant: (call: ModelCall) => boolean): number[] =>
    [...(byAgent.get(agentId) ?? [])].filter((id) => {
      const found = open.get(id);
      return found !== undefined && isMeant(found.call);
    });

  return {
    ask(call) {
      const id = nextId++;
      open.set(id, { call, isEnded: false, hasTold: false });
      const own = byAgent.get(call.agentId) ?? new Set();
      byAgent.set(call.agentId, own.add(id));
      void ask(id, call).then((answer) => {
        open.delete(id);
        own.delete(id);
        if (own.size === 0 && byAgent.get(call.agentId) === own) byAgent.delete(call.agentId);
        if (answer.used !== undefined) budgets.book(call.header.agentId, answer.used);
        // The end of the gateway is no answer: the turn is handled again, and asks again.
        if (!isClosed) kernel().modelAnswered(call, answer, nowMs());
      });
    },
    async embed(wanted) {
      try {
        const spent = await budgets.whyNot(wanted.agentId);
        if (spent !== undefined) return { ok: false, refusal: spent };
        const made = await withBroker((remote) => remote.embed(wanted));
        if (made.ok) budgets.book(wanted.agentId, made.used);
        return made;
      } catch (error) {
        return { ok: false, refusal: toRefusal(error) };
      }
    },
    endTurn: (agentId, turn) => end(ofAgent(agentId, (call) => call.turn === turn)),
    endCell: (agentId, incarnation) => end(ofAgent(agentId, (call) => call.incarnation === incarnation)),
    changed() {
      // One that is lost, or cannot start, is started with the settings of then.
      void thread?.then(({ remote }) => remote.configure(settings())).catch(() => undefined);
    },
    profileNames: (...about) => withBroker((remote) => remote.profileNames(...about)),
    profileType: (...about) => withBroker((remote) => remote.profileType(...about)),
    async readSecrets() {
      const read = await thread?.then(({ remote }) => remote.readSecrets()).catch(() => undefined);
      return read ?? nothingRead;
    },
    async close() {
      isClosed = true;
      end([...open.keys()]);
      await (await thread?.catch(() => undefined))?.stop();
    },
  };
}

function isLost(error: unknown): boolean {
  return isCoded(error) && error.code === "CLOISTER_THREAD_LOST";
}
