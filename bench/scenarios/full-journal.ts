/**
 * How long the gateway is away when it crashes while thousands of messages wait, beside a crash with an empty journal in the same round; whether each of them is there
 * afterwards, and how fast they are handled then. They wait for agents that an operator has stopped.
 */
import { setTimeout as sleep } from "node:timers/promises";
import type { GatewayClient } from "../../runtime/cli/gateway-client.ts";
import { doEach, makeConfig, postByWebhook } from "../http-load.ts";
import { connectOperator } from "../operator.ts";
import { readMemory } from "../process-figures.ts";
import { startLaunched } from "../program.ts";
import { atMost, type ScenarioOptions, type ScenarioReport } from "../scenario.ts";
import { makeRatios, makeSpread } from "../spread.ts";

const roundsDefault = 3;
const agents = 10;
const rooms = 20;
const inFlight = 16;
/** All within what the mailboxes of these agents hold in memory: it is read at the start. */
const sizes = [0, 1_000, 10_000];
const pollMs = 20;
const awayMsMax = 2_000;

interface Sample {
  readonly awayMs: number;
  readonly rssMb: number;
  readonly lost: number;
  readonly perSecond: number;
}

export async function run({ rounds = roundsDefault, progress }: ScenarioOptions): Promise<ScenarioReport> {
  const subjects = sizes.map((waiting) => ({ waiting, samples: new Array<Sample>() }));
  for (let round = 0; round < rounds; round++)
    for (const { waiting, samples } of subjects) {
      progress(`round ${round + 1} of ${rounds}: ${waiting} messages`);
      samples.push(await measure(waiting));
    }
  const empty = subjects[0]?.samples.map(({ awayMs }) => awayMs) ?? [];
  const rows = subjects.map(({ waiting, samples }) => {
    const away = samples.map(({ awayMs }) => awayMs);
    return {
      "messages that wait": waiting,
      "away after a crash, ms": makeSpread(away),
      "ratio to an empty journal": makeRatios(away, empty),
      "RSS MB": makeSpread(samples.map(({ rssMb }) => rssMb)),
      lost: samples.reduce((sum, { lost }) => sum + lost, 0),
      ...(waiting === 0 ? {} : { "handled a second": makeSpread(samples.map(({ perSecond }) => perSecond)) }),
    };
  });
  const away = rows[2]?.["away after a crash, ms"].median ?? Number.NaN;
  return {
    name: "full-journal",
    rows,
    targets: [
      atMost(`away after a crash, ${sizes[2]} messages wait`, away, awayMsMax, "ms"),
      atMost(
        "messages that a crash lost",
        rows.reduce((sum, { lost }) => sum + lost, 0),
        0,
        "",
      ),
    ],
  };
}

async function measure(waiting: number): Promise<Sample> {
  const program = await startLaunched(makeConfig(agents, agents));
  try {
    await withOperator(program.port, (operator) => order(operator, "agents.stop"));
    await doEach(waiting, inFlight, async (http, n) => {
      const room = `room-${Math.floor(n / agents) % rooms}`;
      const { status, text } = await postByWebhook(program.port, http, `a${n % agents}`, room, `message ${n}`, false);
      if (status !== 200) throw new Error(`Filling the journal: found ${status} ${text.slice(0, 200)}, wanted 200.`);
    });
    const { awayMs, pid, port } = await program.crash();
    return await withOperator(port, async (operator) => {
      const lost = waiting - (await countWaiting(operator));
      const { rssMb } = await readMemory(pid);
      const fromMs = performance.now();
      await order(operator, "agents.start");
      while ((await countWaiting(operator)) > 0) await sleep(pollMs);
      return { awayMs, rssMb, lost, perSecond: (waiting * 1_000) / (performance.now() - fromMs) };
    });
  } finally {
    await program.stop();
  }
}

async function withOperator<T>(port: number, act: (operator: GatewayClient) => Promise<T>): Promise<T> {
  const operator = await connectOperator(port);
  try {
    return await act(operator);
  } finally {
    await operator.close();
  }
}

async function order(operator: GatewayClient, method: "agents.stop" | "agents.start"): Promise<void> {
  for (let n = 0; n < agents; n++) await operator.request(method, { agentId: `a${n}` });
}

async function countWaiting(operator: GatewayClient): Promise<number> {
  const { agents: found } = (await operator.request("agents.list", {})) as {
    readonly agents: readonly { readonly queueDepth: number }[];
  };
  return found.reduce((sum, { queueDepth }) => sum + queueDepth, 0);
}
