/**
 * The real program, and peers that post plans of trees of sub-agents to it over the webhook, like programs that lose nothing: one
 * plan at a time each, sent again with the same idempotency key until it is acknowledged.
 */
import { mkdirSync } from "node:fs";
import { readdir, readFile } from "node:fs/promises";
import path from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { openLmdbStore } from "../../runtime/store/lmdb/store.ts";
import type { StoredRun } from "../../runtime/store/port.ts";
import { actorPath } from "../support/actors.ts";
import { runLine } from "../support/command-lines.ts";
import { makeStateDir, type Program } from "../support/program.ts";
import { makeRandom, type Random } from "../support/random.ts";
import { siblings } from "../support/siblings.ts";
import { post } from "../support/webhook.ts";
import { until } from "./load.ts";
import {
  type ChainEnd,
  checkTrees,
  makeChain,
  makePlan,
  type Plan,
  type SessionReport,
  unheardOf,
} from "./tree-plans.ts";

export const treeDepth = 3;
const agentIds = ["main", "raul"] as const;
const accounts = ["home", "raul"] as const;
const peersOfEach = 2;
/** A session whose news are awaited is asked so often. */
const askAgainMs = 250;
/** A bound, not a wait: dozens of runs in two places, on a machine that is busy with other tests. */
const patienceMs = 120_000;

interface Peer {
  readonly id: string;
  readonly account: (typeof accounts)[number];
  readonly accepted: Plan[];
  unsure: Plan | undefined;
}

interface Task {
  readonly taskId: string;
  readonly status: string;
  readonly createdAt: number;
  readonly endedAt?: number;
}

export interface TreeLoad {
  readonly stateDir: string;
  readonly random: Random;
  readonly peers: number;
  /** What did not hold, in words. Empty is the goal. */
  readonly violations: readonly string[];
  /** Each peer sends up to `most` plans, until the gateway goes away. */
  plant(program: Program, most: number, onAccepted?: () => void): Promise<void>;
  /** One peer sends a plan of one run at each depth (`makeChain`). Gives the label of the last one. */
  plantChain(program: Program, depth: number, end: ChainEnd): Promise<string>;
  /** Whether the run of this label has begun, or is about to end. */
  isMarked(what: "begun" | "ended", depth: number, label: string): Promise<boolean>;
  /** What was asked for before this time, and a process that has ended worked on, has an end. */
  checkLeft(sinceMs: number): Promise<void>;
  /** Waits until every session has done what it was told and heard of what it asked for. */
  rest(program: Program): Promise<void>;
  /** The same; then nothing works any more, the program ends in order, and all runs are compared with the plans. Gives the runs. */
  finish(program: Program): Promise<{ readonly rows: readonly StoredRun[]; readonly told: number }>;
}

export function openTreeLoad(seed: number): TreeLoad {
  const random = makeRandom(seed);
  const violations: string[] = [];
  const stateDir = makeStateDir(
    siblings({
      agents: {
        defaults: {
          subagents: {
            allowAgents: ["*"],
            maxSpawnDepth: treeDepth,
            maxChildrenPerAgent: 20,
            maxConcurrent: 2 + random.below(3),
          },
        },
        list: agentIds.map((id) => ({
          id,
          default: id === "main",
          module: actorPath("planter"),
        })),
      },
      session: { dmScope: "per-peer" },
    }),
  );
  const folders = ["workspace", "workspace-raul"].map((name) => path.join(stateDir, name));
  for (const folder of folders)
    for (const kind of ["marks", "heard", "beyond"]) mkdirSync(path.join(folder, kind), { recursive: true });
  const files = async (kind: string): Promise<readonly string[]> =>
    (
      await Promise.all(
        folders.map(async (folder) =>
          (await readdir(path.join(folder, kind))).map((name) => path.join(folder, kind, name)),
        ),
      )
    ).flat();
  const peers: Peer[] = accounts.flatMap((account) =>
    Array.from({ length: peersOfEach }, (_, at) => ({
      id: `${account}${at}`,
      account,
      accepted: [],
      unsure: undefined,
    })),
  );
  let plans = 0;
  let reports = 0;

  const say = (program: Program, { id, account }: Peer, text: string, key: string, wait: boolean) =>
    post(
      `${program.url}/channels/webhook/${account}`,
      { text, sender: { id }, messageId: key, ...(wait ? { wait, timeoutSeconds: 60 } : {}) },
      { authorization: `Bearer ${account}-token`, "idempotency-key": key },
    );

  /** One plan until its acknowledgement. False when the gateway went away, or goes. */
  const tell = async (program: Program, peer: Peer): Promise<boolean> => {
    peer.unsure ??= makePlan(random, agentIds, `t${++plans}`, treeDepth);
    const plan = peer.unsure;
    const posted = await say(program, peer, JSON.stringify(plan), plan.name, false).catch(() => undefined);
    if (posted === undefined || posted.body?.error?.code === "CLOISTER_GATEWAY_DRAINING") return false;
    if (posted.status !== 200) {
      violations.push(`${plan.name} was answered ${posted.status} ${JSON.stringify(posted.body)}`);
      return false;
    }
    peer.accepted.push(plan);
    peer.unsure = undefined;
    return true;
  };

  const ask = async (program: Program, peer: Peer): Promise<SessionReport> => {
    const { status, body } = await say(program, peer, "report", `report-${++reports}`, true);
    if (status !== 200) throw new Error(`the report of ${peer.id} was answered ${status} ${JSON.stringify(body)}`);
    return JSON.parse(body.reply as string) as SessionReport;
  };

  const tasks = async (): Promise<readonly Task[]> => {
    const { stdout } = await runLine(stateDir, ["subagents", "list", "--limit", "500", "--json"]);
    return (JSON.parse(stdout) as { readonly tasks: readonly Task[] }).tasks;
  };

  const rest = async (program: Program): Promise<void> => {
    await Promise.all(
      peers.map(async (peer) => {
        while (peer.unsure !== undefined) if (!(await tell(program, peer))) throw new Error(program.output());
        let last = await ask(program, peer);
        await until(async () => {
          await delay(askAgainMs);
          last = await ask(program, peer);
          return unheardOf(last).length === 0 && last.done.length >= peer.accepted.length;
        }, patienceMs).catch(() => undefined);
        for (const { runId, label } of unheardOf(last))
          violations.push(`${last.session} never heard of ${label} (${runId})`);
        const undone = peer.accepted.filter(({ name }) => !last.done.includes(name)).map(({ name }) => name);
        if (undone.length > 0) violations.push(`${last.session} never did ${undone.join(", ")}: ${program.output()}`);
      }),
    );
  };

  return {
    stateDir,
    random,
    peers: peers.length,
    violations,
    rest,
    async plant(program, most, onAccepted) {
      await Promise.all(
        peers.map(async (peer) => {
          for (let said = 0; said < most; said++) {
            if (!(await tell(program, peer))) return;
            onAccepted?.();
          }
        }),
      );
    },
    async plantChain(program, depth, end) {
      const peer = random.pick(peers);
      const mustTell = async (): Promise<void> => {
        if (!(await tell(program, peer))) throw new Error(`a plan was not accepted: ${program.output()}`);
      };
      if (peer.unsure !== undefined) await mustTell();
      const { plan, last } = makeChain(random, agentIds, `t${++plans}`, depth, end);
      peer.unsure = plan;
      await mustTell();
      return last;
    },
    isMarked: async (what, depth, label) =>
      (await files("marks")).some((file) => path.basename(file) === `${what}-${depth}-${label}`),
    async checkLeft(sinceMs) {
      for (const { taskId, status, createdAt, endedAt } of await tasks())
        if (createdAt < sinceMs && endedAt === undefined) violations.push(`${taskId} is ${status} after a restart`);
    },
    async finish(program) {
      await rest(program);
      // Nobody waits for a quiet run, nor for what a detached one starts.
      await until(async () => (await tasks()).every(({ endedAt }) => endedAt !== undefined), patienceMs);
      const roots = await Promise.all(
        peers.map(async (peer) => ({ plans: peer.accepted, report: await ask(program, peer) })),
      );
      const code = await program.stop();
      if (code !== 0) violations.push(`the program ended with ${code}: ${program.output()}`);

      const agents = agentIds.map((agentId) => ({
        agentId,
        sessionsDir: path.join(stateDir, "agents", agentId, "sessions"),
      }));
      const store = await openLmdbStore({ stateDir, agents });
      const rows = await store.runs({ limit: Number.MAX_SAFE_INTEGER });
      const { envelopes, outbound } = await store.pending();
      if (envelopes.length + outbound.length > 0)
        violations.push(`the journal holds ${JSON.stringify([envelopes, outbound])}`);
      // A completion for a run that was ended meanwhile has nobody to go to.
      for (const letter of (await store.deadLetters({ limit: 100 })).rows)
        if (!letter.header.sessionKey.includes(":subagent:"))
          violations.push(`a dead letter: ${JSON.stringify(letter)}`);
      await store.close();

      const read = async (kind: string): Promise<readonly string[]> =>
        Promise.all((await files(kind)).map((file) => readFile(file, "utf8")));
      for (const more of await read("beyond")) violations.push(`a sub-agent had beyond its requester: ${more}`);
      const heardBelow = (await read("heard")).flatMap((text) => text.trim().split("\n"));
      violations.push(...checkTrees(rows, roots, heardBelow));
      return { rows, told: roots.reduce((sum, { report }) => sum + report.heard.length, heardBelow.length) };
    },
  };
}
