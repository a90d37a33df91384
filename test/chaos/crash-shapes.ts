/** Runs one way to run out of something in a cell of the real program, at a level of isolation, and says what became of the program and its other agent. */
import { readFileSync } from "node:fs";
import path from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import type { Level } from "../support/levels.ts";
import { makeStateDir, repoRoot, startProgram } from "../support/program.ts";
import { post } from "../support/webhook.ts";

export interface ShapeResult {
  readonly shape: string;
  readonly level: Level;
  /** `contained`: the program lived, the other agent answered, and the agent answered again. */
  readonly end: "contained" | "process abort" | "agent stays down";
  /** Why the cell ended, or the signal that ended the program. */
  readonly how: string;
  /** Slowest answer of the other agent while it happened. */
  readonly slowestMs: number;
}

const flooder = path.join(repoRoot, "test", "fixtures", "actors", "flooder.ts");

/** The names of the shapes, in the order of the table. */
export const shapes: readonly string[] = [
  ...readFileSync(flooder, "utf8").matchAll(/^ {2}"?([^"\n]+?)"?: (?:async )?\(\) =>/gm),
].map(([, name]) => name ?? "");

/** Only a trusted module can do these. */
const trusted: ReadonlySet<string> = new Set(["native segfault"]);

/** A cell that is not replaced in this time is down for good. The webhook waits no longer either. */
const answerMs = 30_000;

export type ShapeAt = readonly [shape: string, level: Level];

/** One program, in which each shape has an agent of its own, beside one that is calm. */
export interface ShapeRoom {
  /** Whether the program lives. */
  readonly isOpen: () => boolean;
  run(shape: string, level: Level): Promise<ShapeResult>;
  close(): Promise<void>;
}

/** In a program of its own. */
export async function runShape(shape: string, level: Level): Promise<ShapeResult> {
  const room = await openShapes([[shape, level]]);
  const result = await room.run(shape, level);
  await room.close();
  return result;
}

export async function openShapes(wanted: readonly ShapeAt[]): Promise<ShapeRoom> {
  const floods = wanted.map(([shape, level], at) => ({
    id: `flood-${at}`,
    module: flooder,
    isolation: { level, trust: trusted.has(shape) ? "trusted" : "confined" },
  }));
  const agents = [{ id: "calm", default: true, module: "echo" }, ...floods];
  const program = await startProgram(
    makeStateDir({
      agents: { list: agents },
      bindings: agents.map(({ id }) => ({ agentId: id, match: { channel: "webhook", accountId: id } })),
      channels: {
        webhook: { accounts: Object.fromEntries(agents.map(({ id }) => [id, { token: `${id}-token` }])) },
      },
    }),
  );
  const seen: { exit?: string } = {};
  const exited = new Promise<string>((resolve) =>
    program.process.once("exit", (code, signal) => {
      seen.exit = `the process ended by ${signal ?? code}`;
      resolve(seen.exit);
    }),
  );
  const say = async (agent: string, text: string): Promise<string> => {
    const answer = await post(
      `${program.url}/channels/webhook/${agent}`,
      { text, sender: { id: "tester" }, wait: true },
      // A connection of its own each time: a program without descriptors cannot take it.
      { authorization: `Bearer ${agent}-token`, connection: "close" },
    );
    return JSON.stringify(answer.body);
  };
  const answersIn = async (agent: string, timeoutMs: number): Promise<boolean> => {
    const answer = say(agent, "after").catch(() => "");
    return (await Promise.race([answer, exited, delay(timeoutMs, "")])).includes("after");
  };
  return {
    isOpen: () => seen.exit === undefined,
    async run(shape, level) {
      const flood = `flood-${wanted.findIndex(([own, at]) => own === shape && at === level)}`;
      const heard: { answer?: string } = {};
      await say("calm", "awake");
      await say(flood, "awake");
      let slowestMs = 0;
      const flooding = say(flood, shape).then(
        (text) => (heard.answer = text),
        () => undefined,
      );
      const until = performance.now() + answerMs;
      while (heard.answer === undefined && seen.exit === undefined && performance.now() < until) {
        const fromMs = performance.now();
        await Promise.race([say("calm", "still here").catch(() => undefined), exited, delay(answerMs)]);
        if (seen.exit === undefined) slowestMs = Math.max(slowestMs, performance.now() - fromMs);
        await delay(20);
      }
      await Promise.race([flooding, exited, delay(1_000)]);
      const answers = (await answersIn("calm", 5_000)) && (await answersIn(flood, 5_000));
      const how = seen.exit ?? describeEnd(program.stateDir, flood, heard.answer);
      const end = seen.exit !== undefined ? "process abort" : answers ? "contained" : "agent stays down";
      return { shape, level, end, how, slowestMs: Math.round(slowestMs) };
    },
    async close() {
      await program.stop("SIGKILL");
    },
  };
}

/** From the log of the program, of this agent: what was measured is told by the reason that the operator would read. */
function describeEnd(stateDir: string, agent: string, answer: string | undefined): string {
  const log = readFileSync(path.join(stateDir, "logs", "cloister.log"), "utf8");
  for (const line of log.split("\n").filter((text) => text.includes('"a cell ended"'))) {
    const { agent: own, reason, detail } = JSON.parse(line) as Record<"agent" | "reason" | "detail", string>;
    if (own === agent) return `\`${reason}\`: ${detail.split("\n")[0] ?? ""}`;
  }
  const message = /"message":"([^"\\]{0,90})/.exec(answer ?? "")?.[1];
  return message === undefined ? "nothing ended" : `the turn fails: ${message}`;
}
