/** Calls of models and the broker's thread: one thread for all, another when it is lost, and none that is forgotten. */
import { expect, test } from "vitest";
import { nothingRead } from "../../../runtime/broker/secrets-read.ts";
import type { BrokerAsk, ModelSettings } from "../../../runtime/broker/port.ts";
import type { EnvelopeHeader } from "../../../runtime/kernel/envelope.ts";
import { failure } from "../../../runtime/kernel/errors.ts";
import type { ModelCall, ModelEnd } from "../../../runtime/kernel/model-call.ts";
import { type BrokerThread, makeModels } from "../../../runtime/supervisor/models.ts";

const answered: ModelEnd = { ok: true, json: "{}", used: { input: 1, output: 1 }, model: "p/m" };
const settings = {} as ModelSettings;

type Answer = (asked: BrokerAsk, tell: (text: string) => void) => ModelEnd | Error;

/** `answers`: of each thread that is started, in order; `undefined` is one that does not start. */
function open(...answers: readonly (Answer | undefined)[]) {
  const started: { readonly asks: BrokerAsk[]; isStopped: boolean }[] = [];
  const ends: ModelEnd[] = [];
  const texts: string[] = [];
  const pending: (() => void)[] = [];
  const models = makeModels({
    budgets: { whyNot: async () => undefined, book: () => undefined },
    settings: () => settings,
    nowMs: () => 0,
    kernel: () => ({
      modelText: (_call, text) => void texts.push(text),
      modelAnswered: (_call, end) => {
        ends.push(end);
        pending.shift()?.();
      },
    }),
    start: async (_settings, onText): Promise<BrokerThread> => {
      const answer = answers[started.length];
      const thread = { asks: [] as BrokerAsk[], isStopped: false };
      started.push(thread);
      if (answer === undefined) throw failure("CLOISTER_THREAD_LOST", "cannot start");
      return {
        remote: {
          ask: async (asked) => {
            thread.asks.push(asked);
            const end = answer(asked, (text) => onText(asked.id, text));
            if (end instanceof Error) throw end;
            return end;
          },
          cancel: async () => undefined,
          embed: async () => ({ ok: true, vectors: [], used: { input: 1, output: 0 } }),
          configure: async () => undefined,
          profileNames: async () => [],
          profileType: async () => undefined,
          readSecrets: async () => nothingRead,
        },
        stop: async () => void (thread.isStopped = true),
      };
    },
  });
  /** Asks so often at once, and waits for all answers. */
  const ask = async (times = 1, more: Partial<ModelCall> = {}): Promise<readonly ModelEnd[]> => {
    const from = ends.length;
    const all = Array.from({ length: times }, () => new Promise<void>((resolve) => void pending.push(resolve)));
    for (let turn = 0; turn < times; turn++) models.ask({ ...callOf(turn), ...more });
    await Promise.all(all);
    return ends.slice(from);
  };
  return { models, ask, started, texts };
}

function callOf(turn: number): ModelCall {
  const header = { agentId: "main" } as EnvelopeHeader;
  const fixed = {
    type: "model",
    agentId: "main",
    incarnation: 1,
    sinceMs: 0,
    key: 0,
    model: "",
    named: "",
    wantsText: true,
  } as const;
  return { ...fixed, ref: turn + 1, turn, header, request: "{}", tools: "" };
}

const lost = (): Error => failure("CLOISTER_THREAD_LOST", "the thread ended");

test("calls of the same moment share one thread, which ends with the gateway", async () => {
  const { models, ask, started } = open(() => answered);
  expect(await ask(3)).toEqual([answered, answered, answered]);
  await models.close();
  expect(started).toMatchObject([{ asks: [{ id: 1 }, { id: 2 }, { id: 3 }], isStopped: true }]);
});

test("the credential that was chosen for the session goes with the call, and with no other", async () => {
  const { ask, started } = open(() => answered);
  await ask(1, { model: "p/m", authProfile: "work" });
  await ask(1, { model: "p/m" });
  expect(started[0]?.asks.map(({ model, authProfile }) => [model, authProfile])).toEqual([
    ["p/m", "work"],
    ["p/m", undefined],
  ]);
});

test("calls that a lost thread had in hand are made once more, all of them in one further thread", async () => {
  const { models, ask, started } = open(lost, () => answered);
  expect(await ask(3)).toEqual([answered, answered, answered]);
  expect(await ask()).toEqual([answered]);
  await models.close();
  expect(started.map(({ asks }) => asks.map(({ id }) => id))).toEqual([
    [1, 2, 3],
    [1, 2, 3, 4],
  ]);
  expect(started[1]?.isStopped).toBe(true);
});

test("a call that loses two threads is refused, and the next one gets a third", async () => {
  const { ask, started } = open(lost, lost, () => answered);
  expect(await ask()).toMatchObject([{ ok: false, refusal: { code: "CLOISTER_THREAD_LOST" } }]);
  expect(await ask()).toEqual([answered]);
  expect(started).toHaveLength(3);
});

test("a thread that does not start is no thread: the next call starts another", async () => {
  const { ask, started } = open(undefined, undefined, () => answered);
  expect(await ask(2)).toMatchObject([{ ok: false }, { ok: false }]);
  expect(started).toHaveLength(2);
  expect(await ask()).toEqual([answered]);
});

test("text that was told before a thread was lost is not told again", async () => {
  const says: Answer = ({ wantsText }, tell) => {
    if (wantsText) tell("Hello");
    return answered;
  };
  const { ask, started, texts } = open((asked, tell) => {
    says(asked, tell);
    return lost();
  }, says);
  await ask();
  expect(started.map(({ asks }) => asks.map(({ wantsText }) => wantsText))).toEqual([[true], [false]]);
  expect(texts).toEqual(["Hello"]);
});
