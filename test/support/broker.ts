/** A broker in this thread, on a clock that jumps over pauses. */
import { mkdtempSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { makeBoundedFetch, type FetchBounds } from "../../runtime/broker/bounded-fetch.ts";
import { makeBroker } from "../../runtime/broker/broker.ts";
import type { BrokerForKernel, ModelSettings, ProviderSettings } from "../../runtime/broker/port.ts";
import type { ModelEnd } from "../../runtime/kernel/model-call.ts";
import type { ModelAnswer, ModelRequest } from "../../runtime/thread/model-port.ts";

export interface TestBroker {
  readonly broker: BrokerForKernel;
  readonly pieces: string[];
  readonly pauses: number[];
  readonly logged: { readonly level: string; readonly message: string; readonly fields: object }[];
  readonly agentDir: (agentId: string) => string;
  readonly ask: (
    request?: Partial<ModelRequest>,
    asked?: { readonly agentId?: string; readonly id?: number; readonly authProfile?: string },
  ) => Promise<ModelEnd>;
  readonly answer: (request?: Partial<ModelRequest>) => Promise<ModelAnswer>;
  readonly pass: (ms: number) => void;
}

export interface TestBrokerOptions extends Partial<Omit<ModelSettings, "providers">> {
  readonly bounds?: FetchBounds;
  /** Called at each pause, before it is over. */
  readonly onPause?: (ms: number) => void;
}

export function provider(id: string, more: Partial<ProviderSettings> = {}): ProviderSettings {
  return { id, api: "scripted", headers: {}, models: {}, ...more };
}

export function openBroker(
  providers: readonly ProviderSettings[],
  { bounds, onPause, ...settings }: TestBrokerOptions = {},
): TestBroker {
  const stateDir = mkdtempSync(path.join(os.tmpdir(), "cloister-broker-"));
  const agentDir = (agentId: string): string => path.join(stateDir, agentId);
  const pieces: string[] = [];
  const pauses: number[] = [];
  const logged: TestBroker["logged"] = [];
  let nowMs = 1_000_000;
  let nextId = 1;
  const [first] = providers;
  const broker = makeBroker({
    settings: {
      providers: Object.fromEntries(providers.map((each) => [each.id, each])),
      agents: { main: { primary: `${first?.id ?? "none"}/m`, fallbacks: [], agentDir: agentDir("main") } },
      catalogue: [],
      defaultAgentId: "main",
      stateDir,
      authOrder: {},
      variables: {},
      ...settings,
    },
    remote: {
      text: (_id, text) => void pieces.push(text),
      log: (level, message, fields) => void logged.push({ level, message, fields }),
    },
    fetch: makeBoundedFetch(bounds),
    clock: {
      nowMs: () => nowMs,
      random: () => 0,
      pause: async (ms, signal) => {
        pauses.push(ms);
        nowMs += ms;
        onPause?.(ms);
        signal.throwIfAborted();
      },
    },
  });
  const ask: TestBroker["ask"] = (request = {}, { agentId = "main", id = nextId++, ...chosen } = {}) => {
    const { model = "", ...rest } = { messages: [{ role: "user" as const, text: "hello" }], ...request };
    return broker.ask({ id, agentId, model, ...chosen, wantsText: true, request: JSON.stringify(rest), tools: "" });
  };
  return {
    broker,
    pieces,
    pauses,
    logged,
    agentDir,
    ask,
    async answer(request) {
      const end = await ask(request);
      if (!end.ok) throw new Error(`${end.refusal.code}: ${end.refusal.message}`);
      return JSON.parse(end.json) as ModelAnswer;
    },
    pass: (ms) => void (nowMs += ms),
  };
}
