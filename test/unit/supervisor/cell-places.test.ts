import { expect, test } from "vitest";
import { limits } from "../../../runtime/kernel/limits.ts";
import { initOf } from "../../../runtime/supervisor/cell-places.ts";
import { sharedSettings } from "../../support/agent-settings.ts";
import { makeConfig } from "../../support/gateway.ts";

const module = { kind: "file", url: "file:///actor.ts" } as const;

test("a cell is told what its agent is called and which session is its main one, beside what agents share", () => {
  const { agents, session } = makeConfig([{ id: "raul", name: "Raúl" }]);
  const [agent] = agents;
  if (agent === undefined) throw new Error("found no agent, wanted one");
  const place = { workspace: agent.workspace, module, readable: [] };
  const cell = { incarnation: 1, slots: [] };
  const told = (mainKey: string, scope: "per-sender" | "global") =>
    initOf(agent, place, { ...session, mainKey, scope }, cell, undefined).settings;
  expect(told("home", "per-sender")).toEqual({
    ...sharedSettings(),
    name: "Raúl",
    mainSessionKey: "agent:raul:home",
  });
  expect(told("home", "global").mainSessionKey).toBe("agent:raul:global");
  expect(told("home", "global").contextTokens).toBe(limits.contextTokensDefault);
});
