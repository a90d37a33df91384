/**
 * A recorded conversation of 60 turns in real cells: the module `assistant`, the kernel, and tools that write files and run commands. The model
 * answers from the recording, by what it is shown. In each turn of one of the two runs the cell ends once, at another of the points at which it can.
 * `CLOISTER_CRASH_PLANS=14` makes as many pairs of runs, in which each turn has had its cell end at each of the points; usual is one.
 */
import { mkdir, readFile, writeFile } from "node:fs/promises";
import path from "node:path";
import { expect, test } from "vitest";
import { nothingRead } from "../../runtime/broker/secrets-read.ts";
import { defaultSupervision } from "../../runtime/kernel/supervision.ts";
import { limits } from "../../runtime/kernel/limits.ts";
import type { BrokerForKernel } from "../../runtime/broker/port.ts";
import type { ModelAnswer, ModelMessage, ModelRequest, ModelToolCall } from "../../runtime/thread/model-port.ts";
import { actor } from "../support/actors.ts";
import { answerOf } from "../support/assistant.ts";
import { execSettings } from "../support/exec-settings.ts";
import { openGateway, type TestAgent, type TestGateway } from "../support/gateway.ts";
import { makeRandom } from "../support/random.ts";

const turns = 60;

/** Where the cell ends: kind of call, and when. The first four need no tool. */
const points = [
  "model 1 before",
  "model 1 during",
  "model 1 behind",
  "commit 1 before",
  "look 1 before",
  "look 1 behind",
  "tool 1 before",
  "tool 1 during",
  "tool 1 behind",
  "tool 2 before",
  "tool 2 behind",
  "model 2 before",
  "model 2 during",
  "model 2 behind",
] as const;

interface RecordedTurn {
  readonly text: string;
  readonly rounds: readonly Partial<ModelAnswer>[];
}

const plans = Number(process.env["CLOISTER_CRASH_PLANS"] ?? 1);

/**
 * Tools whose effect is seen when they run twice: a command adds a line, and an edit finds its old text once. `plan`: by how many points what comes is
 * further on than in the first.
 */
function recordConversation(plan: number): readonly RecordedTurn[] {
  const random = makeRandom(60);
  let edits = 0;
  const makeCall = (id: string, changes: boolean): ModelToolCall => {
    const what = changes ? random.below(6) : 5;
    if (what === 0) return { id, name: "exec", input: { command: `echo ${id} >> log`, yieldMs: 120_000 } };
    if (what <= 2) {
      const edit = { oldText: `count ${edits}.`, newText: `count ${++edits}.` };
      return { id, name: "edit", input: { path: "count", edits: [edit] } };
    }
    if (what === 3) return { id, name: "write", input: { path: `notes/${id}`, content: id } };
    return { id, name: "read", input: { path: random.chance(0.8) ? "count" : "nowhere" } };
  };
  return Array.from({ length: turns }, (_, turn) => {
    const at = (turn + plan) % points.length;
    return {
      text: `message ${turn}: crash at ${points[at]}`,
      rounds: [
        ...Array.from({ length: at < 4 ? random.below(3) : 1 + random.below(2) }, (_round, round) => ({
          text: random.chance(0.3) ? `step ${turn}.${round}` : "",
          toolCalls: Array.from({ length: 2 + random.below(2) }, (_call, call) =>
            // What is under way when the cell ends and changes something has an outcome of its own (ADR 0015).
            makeCall(`${turn}.${round}.${call}`, call > 0 || points[at] !== "tool 1 during"),
          ),
        })),
        { text: `answer ${turn}` },
      ],
    };
  });
}

/** The round of the recording that comes next, by what the conversation has. */
function nextOf(script: readonly RecordedTurn[], messages: readonly ModelMessage[]): Partial<ModelAnswer> {
  const from = messages.findLastIndex(({ role }) => role === "user");
  const turn = script.find(({ text }) => text === messages[from]?.text);
  const round = messages.slice(from).filter(({ role }) => role === "assistant").length;
  const next = turn?.rounds[round];
  if (next === undefined) throw new Error(`the recording has no round ${round} of ${messages[from]?.text}`);
  return next;
}

async function play(script: readonly RecordedTurn[], module: Partial<TestAgent>) {
  let shown: readonly ModelMessage[] = [];
  const broker: BrokerForKernel = {
    async ask({ request }) {
      const { messages } = JSON.parse(request) as ModelRequest;
      shown = messages;
      return {
        ok: true,
        json: JSON.stringify(answerOf(nextOf(script, messages))),
        used: { input: 1, output: 1 },
        model: "recorded/m",
      };
    },
    cancel: async () => undefined,
    embed: () => Promise.reject(new Error("this conversation has no vectors")),
    configure: async () => undefined,
    profileNames: async () => [],
    profileType: async () => undefined,
    readSecrets: async () => nothingRead,
  };
  const exec = execSettings({ tools: { exec: { security: "full", ask: "off" } } });
  const supervision = {
    ...defaultSupervision(limits),
    intensity: limits.restartIntensityMax,
    backoffMinMs: 1,
    backoffMaxMs: 1,
  };
  const gateway = await openGateway(
    [{ id: "main", model: "recorded/m", exec, supervision, ...module }],
    {},
    { startBroker: async () => ({ remote: broker, stop: async () => undefined }) },
  );
  const workspace = gateway.config.agents[0]?.workspace ?? "";
  const file = (name: string) => readFile(path.join(workspace, name), "utf8");
  await mkdir(workspace, { recursive: true });
  await writeFile(path.join(workspace, "count"), "count 0.\n");
  const replies: string[] = [];
  for (const { text } of script) replies.push(await gateway.reply("main", text));
  return {
    replies,
    shown: shown.map((message) => ({ ...message, text: steady(message.text) })),
    files: { log: await file("log"), count: await file("count") },
    rows: await transcript(gateway),
    ended: gateway.logged.filter(({ message }) => message === "a cell ended").length,
  };
}

async function transcript(gateway: TestGateway) {
  const { rows } = await gateway.store.history("main", "agent:main:main", 10_000, 0);
  return rows.map(({ role, toolName, text }) => ({ role, toolName, text: steady(text) }));
}

/** Without what differs from one run of a command to the next. */
const steady = (text: string): string => text.replaceAll(/"(processId|ranMs)":("[^"]*"|\d+)/g, '"$1":0');

const title =
  "after a crash at each kind of step the same tools are called, once each, and the conversation is the same: plan %i";
test.each(Array.from({ length: plans }, (_, plan) => plan))(title, { timeout: 300_000 }, async (plan) => {
  const script = recordConversation(plan);
  const calls = script.flatMap(({ rounds }) => rounds.flatMap(({ toolCalls }) => toolCalls ?? []));
  const [whole, crashed] = await Promise.all([
    play(script, { module: "assistant" }),
    play(script, actor("crashing-assistant")),
  ]);
  expect(whole.replies).toEqual(script.map(({ rounds }) => rounds.at(-1)?.text));
  expect(whole.rows.filter(({ role }) => role === "toolResult").map(({ toolName }) => toolName)).toEqual(
    calls.map(({ name }) => name),
  );
  expect(crashed).toEqual({ ...whole, ended: turns });
});
