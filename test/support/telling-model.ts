/** A model that says what the test says, when it says it: the gateway asks it as its broker. */
import { nothingRead } from "../../runtime/broker/secrets-read.ts";
import type { BrokerForKernel } from "../../runtime/broker/port.ts";
import type { ModelAnswer } from "../../runtime/thread/model-port.ts";
import type { GatewayParts } from "../../runtime/supervisor/gateway-parts.ts";
import { answerOf } from "./assistant.ts";

export interface TellingModel {
  readonly startBroker: GatewayParts["startBroker"];
  /** Pieces of the answer that is asked for. */
  tell(text: string): void;
  /** Answers the questions in their order, also before they are asked. */
  /** What each question named, in their order; empty: nothing. */
  readonly asked: readonly string[];
  answer(said: string | Partial<ModelAnswer>): void;
}

/** Each question is answered with `begin` at once, and then as the test says. */
export function makeTellingModel(begin = ""): TellingModel {
  let onText = (_id: number, _text: string): void => undefined;
  let tell = (_text: string): void => undefined;
  const answers: PromiseWithResolvers<Partial<ModelAnswer>>[] = [];
  const answerTo = (question: number) => (answers[question] ??= Promise.withResolvers());
  const asked: string[] = [];
  let answered = 0;
  const remote: BrokerForKernel = {
    async ask({ id, model }) {
      const question = asked.push(model) - 1;
      tell = (text) => onText(id, text);
      if (begin !== "") tell(begin);
      const said = await answerTo(question).promise;
      return { ok: true, json: JSON.stringify(answerOf(said)), used: { input: 1, output: 1 }, model: "fake/m" };
    },
    cancel: async () => undefined,
    embed: () => Promise.reject(new Error("this test has no vectors")),
    configure: async () => undefined,
    profileNames: async () => [],
    profileType: async () => undefined,
    readSecrets: async () => nothingRead,
  };
  return {
    startBroker: async (_settings, hear) => {
      onText = hear;
      return { remote, stop: async () => undefined };
    },
    asked,
    tell: (text) => tell(text),
    answer: (said) => answerTo(answered++).resolve(typeof said === "string" ? { text: said } : said),
  };
}
