/** A kernel that took up a change of the configuration is the kernel that would have started with it. */
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { compilePairings, grantPairings } from "../../../auth/compile-pairings.ts";
import { type OperatorGrant, pairVerbs, type Policy } from "../../../auth/policy.ts";
import { planConfig, type ResolvedConfig } from "../../../runtime/config/index.ts";
import { type Kernel, makeKernel } from "../../../runtime/kernel/kernel.ts";
import { limits } from "../../../runtime/kernel/limits.ts";
import { makePairingRegistry, type PairingRegistry } from "../../../runtime/kernel/pairings.ts";
import type { Effect } from "../../../runtime/kernel/state.ts";
import { specOf } from "../../../runtime/supervisor/agent-spec.ts";
import { type LiveConfig, makeLiveConfig } from "../../../runtime/supervisor/live-config.ts";
import { changeRoster } from "../../../runtime/supervisor/roster-changes.ts";
import { resolveText } from "../config/resolve-text.ts";

const ids = ["main", "raul", "ana", "bob", "eve"];

const agent = fc.record(
  {
    id: fc.constantFrom(...ids),
    maxConcurrent: fc.integer({ min: 1, max: 9 }),
    weight: fc.integer({ min: 1, max: 9 }),
    lanes: fc.record(
      { main: fc.integer({ min: 1, max: 3 }), subagent: fc.integer({ min: 1, max: 3 }) },
      { requiredKeys: [] },
    ),
    name: fc.string({ maxLength: 3 }),
    options: fc.record({ a: fc.integer({ min: 0, max: 1 }) }),
    mailbox: fc.record({
      depthMax: fc.integer({ min: 1, max: 5 }),
      overflow: fc.constantFrom("reject", "park", "spill"),
    }),
    sandbox: fc.record(
      { mode: fc.constantFrom("off", "non-main", "all"), sessionToolsVisibility: fc.constantFrom("spawned", "all") },
      { requiredKeys: ["mode"] },
    ),
    supervision: fc.record({ restart: fc.constantFrom("permanent", "transient") }),
  },
  { requiredKeys: ["id"] },
);

const pattern = fc.constantFrom(...ids, "*", "r*");
const grant = fc.record({
  from: pattern,
  to: pattern,
  verbs: fc.uniqueArray(fc.constantFrom(...pairVerbs), { minLength: 1 }),
});

const written = fc.record(
  {
    agents: fc.record({
      defaults: fc.record(
        {
          maxConcurrent: fc.integer({ min: 1, max: 9 }),
          sandbox: fc.record({ sessionToolsVisibility: fc.constantFrom("spawned", "all") }),
        },
        { requiredKeys: [] },
      ),
      list: fc.uniqueArray(agent, { selector: ({ id }) => id, minLength: 1, maxLength: 5 }),
    }),
    tools: fc.record({
      sessions: fc.record({ visibility: fc.constantFrom("self", "tree", "agent", "all") }),
      agentToAgent: fc.record({
        enabled: fc.boolean(),
        allow: fc.uniqueArray(pattern, { maxLength: 3 }),
        grants: fc.array(grant, { maxLength: 3 }),
      }),
    }),
  },
  { requiredKeys: ["agents"] },
);

const operator: readonly OperatorGrant[] = [
  { id: "g-1", from: "*", to: "raul", verbs: ["send"] },
  { id: "g-2", from: "ana", to: "m*", verbs: ["request"] },
];

interface World {
  readonly live: LiveConfig;
  readonly kernel: Kernel;
  readonly pairings: PairingRegistry;
  readonly policy: Policy;
  readonly effects: Effect[];
}

function start(config: ResolvedConfig): World {
  const live = makeLiveConfig(config);
  const policy: Policy = {
    get visibility() {
      return live.config.visibility;
    },
    get agentToAgent() {
      return live.config.agentToAgent;
    },
    get sessionToolsVisibility() {
      return live.config.sessionToolsVisibility;
    },
    get sessionToolsVisibilityOf() {
      return live.config.sessionToolsVisibilityOf;
    },
    operator,
  };
  const pairings = makePairingRegistry(compilePairings(policy, (agentId) => live.agents.has(agentId)));
  for (const row of operator) for (const pairing of grantPairings(row, [...live.agents.keys()])) pairings.add(pairing);
  const effects: Effect[] = [];
  const kernel = makeKernel(
    {
      limits,
      lanes: config.lanes,
      liveCellsMax: 50,
      random: () => 0,
      whyNot: () => ({ message: "", remedy: "" }),
      loops: config.loops,
      asksForRights: false,
      isRepeatable: () => true,
      whyNotTool: () => undefined,
      describeTools: () => "[]",
      bytesOf: (text) => text.length,
      queueOf: () => undefined,
      isRunKey: () => false,
      isCanonicalKey: () => true,
      newId: (nowMs) => `e${nowMs}`,
    },
    [...live.agents.values()].map((one) => specOf(one, live.config, policy, undefined)),
    pairings,
    (effect) => effects.push(effect),
  );
  kernel.start(0);
  return { live, kernel, pairings, policy, effects };
}

/** The driver's part: a cell that is to end has ended, one that is to start is there. */
function settle({ kernel, effects }: World): void {
  for (let effect = effects.shift(); effect !== undefined; effect = effects.shift()) {
    if (effect.type === "start-cell") kernel.cellReady(effect.agentId, effect.incarnation, 0);
    if (effect.type === "stop-cell") kernel.cellExit(effect.agentId, effect.incarnation, effect.reason, "", 0);
  }
}

const sorted = (rows: readonly { readonly id: string }[]) => rows.toSorted((a, b) => (a.id < b.id ? -1 : 1));

function take({ live, kernel, pairings }: World, config: ResolvedConfig, policy: Policy): void {
  const plan = planConfig(live.current(), config);
  live.replace(config);
  changeRoster(plan, { kernel, pairings, policy, config, parked: new Map() }, 0);
}

/** All that the kernel decides by. */
function shape(world: World): object {
  const { kernel, pairings } = world;
  settle(world);
  // A cell that is kept no more by its child spec ends when it was idle for long enough.
  kernel.tick(limits.passivateAfterMs);
  settle(world);
  const entries = sorted(kernel.views()).map(({ id }) => kernel.state.agents.get(id));
  return {
    agents: entries.map((entry) => entry?.spec),
    phases: entries.map((entry) => [entry?.spec.id, entry?.phase, entry?.disabled, entry?.leaving]),
    slots: entries
      .filter((entry) => entry?.phase === "live")
      .map((entry) => [entry?.spec.id, [...(entry?.slots.values() ?? [])].toSorted()]),
    rights: ids.map((id) => sorted(pairings.of(`agent:${id}`))),
    allowed: ids.map((from) =>
      ids.map((to) => pairVerbs.map((verb) => pairings.find(`agent:${from}`, verb, `agent:${to}`) !== undefined)),
    ),
    lanes: kernel.lanes(),
  };
}

describe("a change of the configuration", () => {
  it("makes the kernel that a start with it would make, over random sequences (A10.4)", () => {
    fc.assert(
      fc.property(fc.array(written, { minLength: 2, maxLength: 5 }), (texts) => {
        const configs = texts.map((text) => resolveText(text));
        const world = start(configs[0] as ResolvedConfig);
        settle(world);
        for (const config of configs.slice(1)) {
          // Half of the subjects were asked about before, so that rows of both kinds are there.
          for (const id of ids.slice(0, 3)) world.pairings.of(`agent:${id}`);
          take(world, config, world.policy);
          expect(shape(world)).toEqual(shape(start(config)));
        }
      }),
      { numRuns: 100 },
    );
  });

  it("an agent that is back before it was gone has no right that an operator revoked meanwhile", () => {
    const both = resolveText({
      agents: { list: [{ id: "main" }, { id: "raul", supervision: { restart: "permanent" } }] },
    });
    const world = start(both);
    settle(world);
    const right = "operator:g-1:raul";
    take(world, resolveText({ agents: { list: [{ id: "main" }] } }), world.policy);
    // Its cell has not ended.
    expect([world.kernel.state.agents.get("raul")?.leaving, world.pairings.isLive(right)]).toEqual([
      expect.any(String),
      true,
    ]);
    take(world, both, { ...world.policy, operator: operator.filter(({ id }) => id !== "g-1") });
    expect([world.kernel.state.agents.get("raul")?.leaving, world.pairings.isLive(right)]).toEqual([undefined, false]);
  });
});
