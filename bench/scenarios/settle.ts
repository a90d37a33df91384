/**
 * What becomes of the calls that wait when the one that they wait for dies, and how soon: in Cloister, and in what people would
 * use instead. Fifty calls wait; their target dies in one of the ways of `bench/inside/mortal.ts`. A call that is pending when the
 * window is over counts as never settled.
 * Times count from three moments: the beginning of the fault; where Cloister decided that the target ends, its log says when, or
 * the operator's order does; and the target's last sign of life, which is later than that when its thread still computes, so that
 * a time from there may be below zero.
 */
import { Agent } from "node:http";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { makeConfig, postByWebhook } from "../http-load.ts";
import { quantile } from "../inside/measure-calls.ts";
import { type Death, deaths } from "../inside/mortal.ts";
import type { Settlement, SettlingOrder } from "../inside/settling.ts";
import { connectOperator } from "../operator.ts";
import { openPeerProcess } from "../peer-process.ts";
import { findInstalled, mortalPeers, type MortalPeerName } from "../peers/index.ts";
import { heapFlag } from "../peers/peer.ts";
import { findChildren } from "../process-figures.ts";
import { startProgram } from "../program.ts";
import { atLeast, atMost, type ScenarioOptions, type ScenarioReport } from "../scenario.ts";

const windowSecondsDefault = 5;
const roundsDefault = 3;
const pending = 50;
const settleMsMax = 250;
const pollMs = 2;
const levels = ["thread", "process"] as const;

const actor = (name: string): string => fileURLToPath(new URL(`../inside/${name}.ts`, import.meta.url));

interface Killed {
  readonly settled: readonly Settlement[] | "asker ended" | "asker stuck";
  /** When it was decided that the target ends; absent where nobody decides that. */
  readonly decidedNs?: bigint;
}

interface Trial extends Killed {
  readonly diedNs: bigint;
  readonly faultNs: bigint;
}

interface Subject {
  readonly who: string;
  readonly between: string;
  readonly isOurs: boolean;
  readonly kill: (order: SettlingOrder) => Promise<Killed>;
}

export async function run(options: ScenarioOptions): Promise<ScenarioReport> {
  const { seconds = windowSecondsDefault, rounds = roundsDefault, progress } = options;
  const { installed, leftOut } = findInstalled(Object.keys(mortalPeers) as MortalPeerName[]);
  if (leftOut !== undefined) progress(leftOut);
  const subjects: readonly Subject[] = [
    ...levels.map((level) => ({
      who: `Cloister, ${level}`,
      between: "agent → agent",
      isOurs: true,
      kill: (order: SettlingOrder) => killAgent(level, order),
    })),
    ...installed.map((name) => ({
      who: name,
      between: mortalPeers[name].between,
      isOurs: false,
      kill: (order: SettlingOrder) => killPeer(name, order),
    })),
  ];
  const measured = subjects.flatMap((subject) => deaths.map((how) => ({ subject, how, trials: new Array<Trial>() })));
  for (let round = 0; round < rounds; round++) {
    for (const { subject, how, trials } of measured) {
      progress(`round ${round + 1} of ${rounds}: ${subject.who}, ${how}`);
      trials.push(await observe(how, seconds * 1_000, subject.kill));
    }
  }
  const rows = measured.map(({ subject, how, trials }) => summarize(subject, how, trials));
  const ours = rows.filter((_, at) => measured[at]?.subject.isOurs === true);
  return {
    name: "settle",
    rows,
    targets: [
      atLeast(
        "waiting calls that settle with a typed error when their target dies",
        Math.min(...ours.map((row) => row["typed error %"])),
        100,
        "%",
      ),
      // Where none settled, it took longer than the window.
      atMost(
        "the latest of them, after the target's end was decided",
        Math.max(...ours.map((row) => row["latest after the decision, ms"] ?? row["latest ms"] ?? seconds * 1_000)),
        settleMsMax,
        "ms",
      ),
      atMost(
        "the latest of them, after the target's last sign of life",
        Math.max(...ours.map((row) => row["latest ms"] ?? seconds * 1_000)),
        settleMsMax,
        "ms",
      ),
    ],
  };
}

/** One death, with its signs of life in a folder of its own. */
async function observe(how: Death, windowMs: number, kill: Subject["kill"]): Promise<Trial> {
  const dir = await mkdtemp(path.join(tmpdir(), "cloister-bench-"));
  const file = path.join(dir, "signs-of-life");
  try {
    const killed = await kill({ how, pending, windowMs, file });
    return { ...killed, ...(await readSigns(file)) };
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
}

async function killPeer(name: MortalPeerName, order: SettlingOrder): Promise<Killed> {
  const entry = mortalPeers[name];
  const peer = await openPeerProcess(name, "heapOfProcess" in entry ? [heapFlag] : []);
  try {
    return { settled: await peer.settle(order) };
  } finally {
    await peer.close();
  }
}

/** In a real gateway of its own: one agent asks, the other one dies. */
async function killAgent(level: (typeof levels)[number], order: SettlingOrder): Promise<Killed> {
  const log = path.join(path.dirname(order.file), "gateway.log");
  const target = {
    id: "target",
    module: actor("target"),
    workspace: path.dirname(order.file),
    isolation: { level },
    // As many turns at a time as there are calls, with the one that orders the death.
    maxConcurrent: order.pending + 1,
    // An operator's order ends its turns at once, as `terminate` does.
    supervision: { shutdownMs: 0 },
  };
  const program = await startProgram({
    ...makeConfig(0, 0, "thread", [{ id: "asker", module: actor("asker") }, target]),
    tools: { agentToAgent: { enabled: true, allow: ["asker", "target"] }, sessions: { visibility: "all" } },
    logging: { file: log },
  });
  const http = new Agent();
  let killed: Killed | undefined;
  try {
    const asked = postByWebhook(program.port, http, "asker", "bench", JSON.stringify(order));
    const decidedNs =
      order.how === "ended from outside" ? await endFromOutside(level, program, order.file, asked) : undefined;
    const { status, text } = await asked;
    const reply = status === 200 ? (JSON.parse(text) as { readonly reply?: string }).reply : undefined;
    if (reply === undefined) throw new Error(`Asking for a death: found ${status} ${text}, wanted 200 and a reply.`);
    killed = { settled: JSON.parse(reply) as readonly Settlement[], ...(decidedNs === undefined ? {} : { decidedNs }) };
  } finally {
    http.destroy();
    await program.stop();
  }
  const loggedNs = await readDecision(log);
  return loggedNs === undefined ? killed : { ...killed, decidedNs: loggedNs };
}

/** To the millisecond, as the log tells the time. Undefined: the target ended by itself. */
async function readDecision(log: string): Promise<bigint | undefined> {
  const lines = (await readFile(log, "utf8")).split("\n").filter((line) => line.includes(`"a cell is to end"`));
  const [first] = lines.map((line) => JSON.parse(line) as { readonly agent: string; readonly time: string });
  if (first === undefined) return undefined;
  const agoMs = Date.now() - Date.parse(first.time);
  return process.hrtime.bigint() - BigInt(agoMs) * 1_000_000n;
}

/** When the target shows its first sign of life, which it does when all calls are there. Gives the time of the order. */
async function endFromOutside(
  level: (typeof levels)[number],
  { pid, port }: { readonly pid: number; readonly port: number },
  file: string,
  asked: Promise<unknown>,
): Promise<bigint> {
  const over = new AbortController();
  const noteOver = (): void => over.abort();
  void asked.then(noteOver, noteOver);
  const operator = await connectOperator(port);
  try {
    while (!over.signal.aborted && (await readSigns(file)).faultNs === 0n) await sleep(pollMs);
    const orderedNs = process.hrtime.bigint();
    if (level === "thread") await operator.request("agents.restart", { agentId: "target" });
    // The gateway's only child is the parent of the cells' processes.
    else for (const parent of await findChildren(pid)) await killChildren(parent);
    return orderedNs;
  } finally {
    await operator.close();
  }
}

/** 0: it did not come so far. */
async function readSigns(file: string): Promise<Pick<Trial, "diedNs" | "faultNs">> {
  const bytes = await readFile(file).catch(() => Buffer.alloc(0));
  if (bytes.length < 2 * BigInt64Array.BYTES_PER_ELEMENT) return { diedNs: 0n, faultNs: 0n };
  return { diedNs: bytes.readBigInt64LE(0), faultNs: bytes.readBigInt64LE(8) };
}

function summarize({ who, between }: Subject, how: Death, trials: readonly Trial[]) {
  const told = trials.filter(({ settled }) => typeof settled !== "string");
  const settlements = told.flatMap(({ settled, diedNs, faultNs, decidedNs }) =>
    (settled as readonly Settlement[]).map(({ atNs, as, isTyped }) => ({
      as,
      isTyped,
      ms: Number(BigInt(atNs) - diedNs) / 1e6,
      decidedMs: decidedNs === undefined ? undefined : Number(BigInt(atNs) - decidedNs) / 1e6,
      faultMs: Number(BigInt(atNs) - faultNs) / 1e6,
    })),
  );
  const share = (count: number): number => (100 * count) / (pending * trials.length);
  const sortedMs = settlements.map(({ ms }) => ms).toSorted((a, b) => a - b);
  const lost = trials.flatMap(({ settled }) => (typeof settled === "string" ? [settled] : []));
  const decidedMs = settlements.flatMap((one) => one.decidedMs ?? []);
  const ways = [...new Set([...settlements.map(({ as }) => as), ...lost])];
  return {
    who,
    between,
    "the target": how,
    "settled %": share(settlements.length),
    "typed error %": share(settlements.filter(({ isTyped }) => isTyped).length),
    as: ways.length === 0 ? "never" : ways.join("; "),
    ...(sortedMs.length === 0
      ? {}
      : {
          "p50 ms": quantile(sortedMs, 0.5),
          "p99 ms": quantile(sortedMs, 0.99),
          "latest ms": sortedMs.at(-1) ?? Number.NaN,
          ...(decidedMs.length === 0 ? {} : { "latest after the decision, ms": Math.max(...decidedMs) }),
          "latest after the fault began, ms": Math.max(...settlements.map(({ faultMs }) => faultMs)),
        }),
  };
}

async function killChildren(pid: number): Promise<void> {
  for (const child of await findChildren(pid)) process.kill(child, "SIGKILL");
}
