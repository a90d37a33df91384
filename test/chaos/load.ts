/**
 * Load on the real program, and the book that it is held to. Twenty peers post over the webhook like programs that lose
 * nothing: one message at a time each, sent again with the same idempotency key until it is acknowledged. A part of the
 * messages makes `main` ask `raul`. Both run `test/fixtures/actors/ledger.ts`, which keeps what it handled in durable state.
 */
import { mkdirSync, writeFileSync } from "node:fs";
import { access, rm } from "node:fs/promises";
import http from "node:http";
import path from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { openLmdbStore } from "../../runtime/store/lmdb/store.ts";
import { makeStateDir, type Program, repoRoot, runCommand } from "../support/program.ts";
import { makeRandom, type Random } from "../support/random.ts";
import { siblings } from "../support/siblings.ts";
import { post, type Posted } from "../support/webhook.ts";

export interface LoadOptions {
  readonly seed: number;
  /** Default 20. */
  readonly peers?: number;
  /** Entries of `agents.list` beside the two, with the same module. */
  readonly others?: readonly { readonly id: string; readonly [key: string]: unknown }[];
}

interface Peer {
  readonly id: string;
  /** Acknowledged, in order, since the book was begun. */
  readonly accepted: string[];
  /** Of all that it began to send: every text and key is another one. */
  begun: number;
  /** Sent and not acknowledged: the next thing that this peer sends. */
  unsure: string | undefined;
}

/** Where a turn can be made to stand still: the agent whose turn, and the place in the ledger. */
export type Hold = readonly [agentId: "main" | "raul", place: "before" | "asked"];

export interface Counts {
  accepted: number;
  /** Sent again after the gateway went away without an answer… */
  resent: number;
  /** …and recognised, because it had been accepted all the same. */
  duplicates: number;
  /** Sent again although they had been acknowledged, most of them by a process that is gone: each has to be recognised. */
  repeated: number;
  asks: number;
}

export interface Load {
  readonly stateDir: string;
  readonly random: Random;
  readonly counts: Readonly<Counts>;
  /** What did not hold, in words. Empty is the goal. */
  readonly violations: readonly string[];
  /** Each peer sends up to `most` messages, until the gateway goes away. `askShare`: how many of them make `main` ask `raul`. */
  talk(program: Program, most: number, askShare: number, onAccepted?: (inThisTalk: number) => void): Promise<void>;
  hold(hold: Hold): void;
  /** Resolves when a turn stands at the held place. */
  held(hold: Hold): Promise<void>;
  letGo(): Promise<void>;
  /** Waits until all that was accepted is handled, and compares it with the book: all of it, once, in each peer's order. */
  check(program: Program): Promise<void>;
  /** The same with the answers; then all begin a new book, so that a long load remembers no more than a short one. */
  beginBook(program: Program): Promise<void>;
  /** The same, then: nothing runs, nothing waits, every answer arrived, the program ends in order, its store holds no rest. */
  finish(program: Program): Promise<void>;
  close(): void;
}

const heldFile = "held";
/** Longest time that a condition may need to come true; a bound, not a wait. */
const patienceMs = 300_000;

export async function openLoad({ seed, peers: peerCount = 20, others = [] }: LoadOptions): Promise<Load> {
  const random = makeRandom(seed);
  const violations: string[] = [];
  const counts: Counts = { accepted: 0, resent: 0, duplicates: 0, repeated: 0, asks: 0 };
  const answers = await openAnswers();
  const module = path.join(repoRoot, "test", "fixtures", "actors", "ledger.ts");
  const stateDir = makeStateDir(
    siblings({
      agents: {
        list: [
          { id: "main", default: true, module },
          { id: "raul", module },
          ...others.map((other) => ({ ...other, module })),
        ],
      },
      session: { dmScope: "per-peer" },
      channels: { webhook: { accounts: { home: { token: "home-token", outboundUrl: answers.url } } } },
      bindings: [{ agentId: "main", match: { channel: "webhook", accountId: "home" } }],
    }),
  );
  const workspaces = { main: path.join(stateDir, "workspace"), raul: path.join(stateDir, "workspace-raul") };
  for (const workspace of Object.values(workspaces)) mkdirSync(workspace, { recursive: true });
  const peers: Peer[] = Array.from({ length: peerCount }, (_, at) => ({
    id: `p${at}`,
    accepted: [],
    begun: 0,
    unsure: undefined,
  }));
  let reports = 0;

  const send = (program: Program, peer: Peer, text: string, key: string, wait: boolean): Promise<Posted> =>
    post(
      `${program.url}/channels/webhook/home`,
      { text, sender: { id: peer.id }, messageId: key, ...(wait ? { wait, timeoutSeconds: patienceMs / 1_000 } : {}) },
      { authorization: "Bearer home-token", "idempotency-key": key },
    );

  /** One message until its acknowledgement. False when the gateway went away, or goes. */
  const tell = async (program: Program, peer: Peer, askShare: number): Promise<boolean> => {
    const isNew = peer.unsure === undefined;
    peer.unsure ??= `${random.chance(askShare) ? "ask" : "note"}:${peer.id}:${++peer.begun}`;
    const text = peer.unsure;
    if (!isNew) counts.resent++;
    const posted = await send(program, peer, text, text, false).catch(() => undefined);
    if (posted === undefined || posted.body?.error?.code === "CLOISTER_GATEWAY_DRAINING") return false;
    if (posted.status !== 200) {
      violations.push(`${text} was answered ${posted.status} ${JSON.stringify(posted.body)}`);
      return false;
    }
    if (posted.body.status === "duplicate") counts.duplicates++;
    if (posted.body.status === "duplicate" && isNew) violations.push(`${text} was new and was taken for a duplicate`);
    counts.accepted++;
    if (text.startsWith("ask")) counts.asks++;
    peer.accepted.push(text);
    peer.unsure = undefined;
    return true;
  };

  /** The last message that was acknowledged comes again, as from a client that forgot. */
  const repeat = async (program: Program, peer: Peer): Promise<void> => {
    const text = peer.accepted.at(-1);
    if (text === undefined) return;
    const { status, body } = await send(program, peer, text, text, false);
    counts.repeated++;
    if (status !== 200 || body?.status !== "duplicate")
      violations.push(
        `${text} came again after its acknowledgement and was answered ${status} ${JSON.stringify(body)}`,
      );
  };

  /** A peer's report comes after everything that it had sent, because its session keeps the order. */
  const report = async (program: Program, peer: Peer, text: string): Promise<string[]> => {
    const { status, body } = await send(program, peer, text, `report-${++reports}`, true);
    if (status !== 200) throw new Error(`the report of ${peer.id} was answered ${status} ${JSON.stringify(body)}`);
    // An answer without text is none.
    return ((body.reply ?? "") as string).split(" ").filter((entry) => entry !== "");
  };

  /** Gives what `raul` was asked, by all. */
  const check = async (program: Program, word: "report" | "forget" = "report"): Promise<readonly string[]> => {
    await Promise.all(
      peers.map(async (peer) => {
        while (peer.unsure !== undefined) if (!(await tell(program, peer, 0))) throw new Error(program.output());
        await repeat(program, peer);
        const handled = await report(program, peer, word);
        compare(violations, `main, session of ${peer.id}`, handled, peer.accepted);
      }),
    );
    const [first] = peers;
    const ofRaul = first === undefined ? [] : await report(program, first, `${word}:raul`);
    for (const { id, accepted } of peers) {
      const own = ofRaul.filter((text) => text.split(":")[1] === id);
      compare(
        violations,
        `raul, asked for ${id}`,
        own,
        accepted.filter((text) => text.startsWith("ask")),
      );
    }
    return ofRaul;
  };

  const checkAnswers = async (ofRaul: readonly string[]): Promise<void> => {
    const all = peers.flatMap(({ accepted }) => accepted);
    await until(() => all.every((key) => answers.byKey.has(key))).catch(() => undefined);
    const places = new Map(ofRaul.map((text, at) => [text, at + 1]));
    for (const { accepted } of peers) {
      for (const [at, key] of accepted.entries()) {
        const wanted = key.startsWith("ask") ? `${at + 1} ${places.get(key)}` : `${at + 1}`;
        const got = [...(answers.byKey.get(key) ?? [])];
        if (got.length !== 1 || got[0] !== wanted)
          violations.push(`the answers to ${key} are ${JSON.stringify(got)}, wanted ["${wanted}"]`);
      }
    }
  };

  return {
    stateDir,
    random,
    counts,
    violations,
    async talk(program, most, askShare, onAccepted) {
      let accepted = 0;
      await Promise.all(
        peers.map(async (peer) => {
          for (let said = 0; said < most; said++) {
            if (!(await tell(program, peer, askShare))) return;
            onAccepted?.(++accepted);
          }
        }),
      );
    },
    hold: ([agentId, place]) => writeFileSync(path.join(workspaces[agentId], `hold-${place}`), ""),
    held: ([agentId]) => until(() => exists(path.join(workspaces[agentId], heldFile))),
    async letGo() {
      const files = ["hold-before", "hold-asked", heldFile];
      await Promise.all(
        Object.values(workspaces).flatMap((folder) =>
          files.map((file) => rm(path.join(folder, file), { force: true })),
        ),
      );
    },
    async check(program) {
      await check(program);
    },
    async beginBook(program) {
      await checkAnswers(await check(program, "forget"));
      for (const { accepted } of peers) accepted.length = 0;
      answers.forget();
    },
    async finish(program) {
      await checkAnswers(await check(program));
      const listed = JSON.parse((await runCommand(stateDir, ["agents", "list", "--json"])).stdout) as {
        agents: { id: string; activeRuns: number; queueDepth: number }[];
      };
      for (const { id, activeRuns, queueDepth } of listed.agents)
        if (activeRuns + queueDepth > 0)
          violations.push(`${id} still has ${activeRuns} runs and ${queueDepth} messages`);
      const code = await program.stop();
      if (code !== 0) violations.push(`the program ended with ${code}: ${program.output()}`);
      const agents = Object.keys(workspaces).map((agentId) => ({
        agentId,
        sessionsDir: path.join(stateDir, "agents", agentId, "sessions"),
      }));
      const store = await openLmdbStore({ stateDir, agents });
      if ((await store.sessions({ limit: 1, offset: 0 })).total < peerCount)
        violations.push("the store that was opened for the last look is not the program's");
      const rest = await store.pending();
      if (rest.envelopes.length + rest.outbound.length > 0)
        violations.push(`the journal holds ${JSON.stringify(rest)}`);
      for (const letter of (await store.deadLetters({ limit: 100 })).rows)
        violations.push(`a dead letter: ${JSON.stringify(letter)}`);
      await store.close();
    },
    close: () => answers.close(),
  };
}

/** Where the answers of the agents are posted to: what a customer's program would be. */
async function openAnswers(): Promise<{
  readonly url: string;
  /** Message id → the different texts that came as its answer; one may come twice, after a crash. */
  readonly byKey: ReadonlyMap<string, ReadonlySet<string>>;
  forget(): void;
  close(): void;
}> {
  const byKey = new Map<string, Set<string>>();
  const server = http.createServer((request, response) => {
    let body = "";
    request.setEncoding("utf8");
    request.on("data", (chunk: string) => (body += chunk));
    request.on("end", () => {
      const { inReplyTo, text } = JSON.parse(body) as { inReplyTo: string; text: string };
      byKey.set(inReplyTo, (byKey.get(inReplyTo) ?? new Set()).add(text));
      response.end("{}");
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  if (address === null || typeof address === "string") throw new TypeError("the server for answers has no port");
  return {
    url: `http://127.0.0.1:${address.port}/answers`,
    byKey,
    forget: () => byKey.clear(),
    close() {
      server.close();
      server.closeAllConnections();
    },
  };
}

/** Adds to the violations when not each wanted text was found, once and in order. */
export function compare(
  violations: string[],
  where: string,
  found: readonly string[],
  wanted: readonly string[],
): void {
  if (found.join(" ") === wanted.join(" ")) return;
  const lost = wanted.filter((text) => !found.includes(text));
  const twice = found.filter((text, at) => found.indexOf(text) !== at);
  const unknown = found.filter((text) => !wanted.includes(text));
  violations.push(
    `${where}: lost [${lost.join(" ")}], twice [${twice.join(" ")}], never accepted [${unknown.join(" ")}]` +
      (lost.length + twice.length + unknown.length === 0 ? `, out of order: ${found.join(" ")}` : ""),
  );
}

/** Looks until the condition holds; rejects after the bound. */
export async function until(condition: () => boolean | Promise<boolean>, mostMs = patienceMs): Promise<void> {
  const end = Date.now() + mostMs;
  while (!(await condition())) {
    if (Date.now() > end) throw new Error(`a condition of the load did not come true within ${mostMs} ms`);
    await delay(2);
  }
}

const exists = (file: string): Promise<boolean> =>
  access(file).then(
    () => true,
    () => false,
  );
