/**
 * What is still delivered once a right is taken back, and how long taking it back takes while messages under it are everywhere. In the kernel: thousands
 * of stored messages wait in the mailbox, some are about to begin. In a gateway with real cells and its store: an agent keeps 64 questions in flight, and an operator
 * revokes the grant by which it asks; the change is on the disk before it is obeyed.
 */
import { fileURLToPath } from "node:url";
import { setTimeout as sleep } from "node:timers/promises";
import { type GatewayHere, openGatewayHere } from "../gateway-here.ts";
import { limits } from "../../runtime/kernel/limits.ts";
import type { FloodFigures, FloodOrder } from "../inside/flood-of-asks.ts";
import { nowMs, openKernelHere, right } from "../kernel-here.ts";
import { atMost, type ScenarioOptions, type ScenarioReport } from "../scenario.ts";
import { makeSpread } from "../spread.ts";

const roundsDefault = 20;
const warmUpRounds = 2;
const waiting = 5_000;
const inFlight = 64;
const pollMs = 2;
const revokeMsMax = 1;
const text = "x".repeat(200);

interface Revoked {
  readonly ms: number;
  readonly deliveredBefore: number;
  readonly deliveredAfter: number;
  readonly givenUp: number;
}

export async function run({ rounds = roundsDefault, progress }: ScenarioOptions): Promise<ScenarioReport> {
  const inKernel: Revoked[] = [];
  const inGateway: Flooded[] = [];
  const list = [
    { id: "main", module: fileURLToPath(new URL("../inside/flood-of-asks.ts", import.meta.url)) },
    { id: "raul", module: "echo" },
  ];
  const gateway = await openGatewayHere({ agents: { list } }, { expected: "refused" });
  try {
    for (let round = 0; round < warmUpRounds + rounds; round++) {
      if (round % 5 === 0) progress(`round ${round + 1} of ${warmUpRounds + rounds}`);
      const kernel = revokeInKernel();
      const flooded = await revokeInGateway(gateway);
      if (round < warmUpRounds) continue;
      inKernel.push(kernel);
      inGateway.push(flooded);
    }
  } finally {
    await gateway.close();
  }
  const ms = makeSpread(inKernel.map((one) => one.ms));
  const sum = (of: (one: Revoked) => number): number => inKernel.reduce((all, one) => all + of(one), 0);
  const after = sum((one) => one.deliveredAfter);
  const answered = inGateway.reduce((all, one) => all + one.answeredAfter, 0);
  return {
    name: "revocation",
    rows: [
      {
        where: `kernel, ${waiting} messages wait`,
        "ms to revoke": ms,
        "delivered before": sum((one) => one.deliveredBefore),
        "delivered after": after,
        "given up": sum((one) => one.givenUp),
      },
      {
        where: `gateway, ${inFlight} questions in flight`,
        "ms to revoke": makeSpread(inGateway.map((one) => one.ms)),
        "delivered before": inGateway.reduce((all, one) => all + one.answered, 0),
        "delivered after": answered,
      },
    ],
    targets: [
      atMost("deliveries after a revocation has resolved", after + answered, 0, ""),
      atMost("revocation under flood, kernel, p90", ms.p90, revokeMsMax, "ms"),
    ],
  };
}

function revokeInKernel(): Revoked {
  const here = openKernelHere();
  here.begin();
  const { counts } = here;
  for (let sent = 0; sent < waiting; sent += limits.frameRecordsMax) {
    here.send(Math.min(limits.frameRecordsMax, waiting - sent), text);
    here.store("stored");
    if (sent === 0) here.handleAll();
  }
  const deliveredBefore = counts.delivered;
  const fromMs = performance.now();
  here.kernel.revoke(right.id, nowMs);
  const ms = performance.now() - fromMs;
  here.handleAll();
  const deliveredAfter = counts.delivered - deliveredBefore;
  if (deliveredBefore + deliveredAfter + counts.buried !== waiting)
    throw new Error(
      `Revoking: found ${deliveredBefore} delivered before, ${deliveredAfter} after and ${counts.buried} given up, wanted ${waiting} in all.`,
    );
  return { ms, deliveredBefore, deliveredAfter, givenUp: counts.buried };
}

interface Flooded extends FloodFigures {
  readonly ms: number;
}

async function revokeInGateway(gateway: GatewayHere): Promise<Flooded> {
  await gateway.say("raul", "awake");
  const { grant } = (await gateway.rpc("grants.add", { from: "main", to: "raul", verbs: ["request"] })) as {
    readonly grant: { readonly id: string };
  };
  const startedMs = Date.now();
  const flood = gateway.say("main", JSON.stringify({ sibling: "raul", text, inFlight } satisfies FloodOrder));
  const isAnswered = async (): Promise<boolean> => {
    const { flows } = (await gateway.rpc("flow.recent", {})) as {
      readonly flows: readonly { readonly atMs: number; readonly state: string }[];
    };
    return flows.some(({ atMs, state }) => atMs > startedMs && state === "ok");
  };
  while (!(await isAnswered())) await sleep(pollMs);
  const fromMs = performance.now();
  await gateway.rpc("grants.revoke", { id: grant.id });
  const ms = performance.now() - fromMs;
  return { ms, ...(JSON.parse(await flood) as FloodFigures) };
}
