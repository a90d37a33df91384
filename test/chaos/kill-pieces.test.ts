/**
 * The real program is killed while an answer goes out in pieces, at each step of a piece's way to Telegram, and of the last message's. What a piece
 * says is neither lost nor said twice, but where Telegram had it and the gateway did not hear so: Telegram knows no keys, and the log tells it.
 */
import { readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { afterAll, expect, onTestFinished, test } from "vitest";
import { type Fault, makeMessage, openBotApi, type Step } from "../support/bot-api.ts";
import { endPrograms, launchProgram, makeStateDir } from "../support/program.ts";
import { until } from "./load.ts";

afterAll(endPrograms);

const token = "7000:SECRET";
const pieces = 4;
const patienceMs = 60_000;

/** Two paragraphs are longer than a piece may be: each goes by itself, however fast they are written. */
const writer = `
import { defineActor } from "cloister";
const paragraph = (note, at) => note + " paragraph " + at + ": " + "words ".repeat(8).trim() + ".";
export default defineActor({
  async message(ctx, { text }) {
    const parts = Array.from({ length: ${pieces} }, (_, at) => paragraph(text, at + 1));
    for (const [at, part] of parts.entries()) {
      ctx.stream((at === 0 ? "" : "\\n\\n") + part);
      await new Promise((resolve) => setTimeout(resolve, 150));
    }
    ctx.reply(parts.join("\\n\\n"));
  },
});
`;

/** `lost`: Telegram never gets it. `sent`: it has it, and the gateway has not heard so. `answered`: right after it could hear so. */
const moments = { lost: "came", sent: "done", answered: "answered" } as const;

test("kills between the steps of each piece lose none and say none twice but what is told", {
  timeout: 8 * patienceMs,
}, async () => {
  /** Paragraphs that arrived, in order. */
  const arrived: string[] = [];
  let onStep: (step: Step) => Promise<Fault | undefined> = async () => undefined;
  const api = await openBotApi((step) => {
    if (step.call.method === "sendMessage" && step.type === "done")
      arrived.push(...String(step.call.params["text"]).split("\n\n"));
    return onStep(step);
  });
  onTestFinished(() => api.close());
  api.addBot(token, "helper_bot");
  const stateDir = makeStateDir({
    gateway: { auth: { mode: "none" } },
    agents: {
      defaults: {
        blockStreamingDefault: "on",
        blockStreamingChunk: { minChars: 10, maxChars: 100 },
        blockStreamingCoalesce: { idleMs: 20 },
      },
      list: [{ id: "main", module: "./writer.ts" }],
    },
    channels: { telegram: { botToken: token, apiRoot: api.root, dmPolicy: "open", allowFrom: ["*"] } },
    bindings: [{ agentId: "main", match: { channel: "telegram" } }],
  });
  writeFileSync(path.join(stateDir, "writer.ts"), writer);

  const saidOf = (note: string) => arrived.filter((text) => text.startsWith(`${note} paragraph`));
  const countOf = (note: string, at: number) =>
    saidOf(note).filter((text) => text.startsWith(`${note} paragraph ${at}:`)).length;
  const isWhole = (note: string): boolean =>
    Array.from({ length: pieces }, (_, at) => countOf(note, at + 1)).every((count) => count > 0);

  const plans = [
    ["sent", 1],
    ["lost", 2],
    ["answered", 2],
    ["lost", pieces],
    ["sent", pieces],
  ] as const;
  let starting = launchProgram(stateDir);
  let program = await starting.ready;
  for (const [at, [moment, piece]] of plans.entries()) {
    const note = `note-${at}`;
    const killed = Promise.withResolvers<void>();
    onStep = async ({ type, call }) => {
      const isMet =
        call.method === "sendMessage" && String(call.params["text"]).includes(`${note} paragraph ${piece}:`);
      if (!isMet || type !== moments[moment]) return undefined;
      onStep = async () => undefined;
      starting.process.kill("SIGKILL");
      await starting.ended;
      killed.resolve();
      return { type: "drop" };
    };
    api.push(token, { message: makeMessage({ message_id: at + 1, text: note }) });
    await killed.promise;
    await until(async () => (await api.connections()) === 0, patienceMs);
    starting = launchProgram(stateDir);
    program = await starting.ready;
    // What Telegram had, and of which the gateway cannot know, comes again.
    await until(() => isWhole(note) && (moment !== "sent" || countOf(note, piece) === 2), patienceMs);
    for (let number = 1; number <= pieces; number++) {
      const mayRepeat = number === piece && moment !== "lost";
      const times = countOf(note, number);
      expect(times, `${moment} ${piece}: paragraph ${number}`).toBeLessThanOrEqual(mayRepeat ? 2 : 1);
    }
    const first = [...new Set(saidOf(note))];
    expect(first.map((text) => Number(/paragraph (\d)/.exec(text)?.[1]))).toEqual([1, 2, 3, 4]);
  }
  expect(await program.stop(), program.output()).toBe(0);
  const log = readFileSync(path.join(stateDir, "logs", "cloister.log"), "utf8");
  expect(log.split("\n").filter((line) => line.includes("possible duplicate")).length).toBeGreaterThanOrEqual(2);
  expect(api.violations).toEqual([]);
});
