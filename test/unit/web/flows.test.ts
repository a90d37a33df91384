import { describe, expect, it } from "vitest";
import {
  applyFlow,
  applyRecent,
  diagramSize,
  drawFlows,
  type Flows,
  noFlows,
} from "../../../channels/web/page/flows.ts";
import type { Flow } from "../../../channels/web/page/wire.ts";

const flow = (id: string, state: Flow["state"], atMs: number, fromAgent = "main", toAgent = "raul"): Flow => ({
  id,
  fromAgent,
  toAgent,
  fromSession: `agent:${fromAgent}:main`,
  toSession: `agent:${toAgent}:main`,
  state,
  atMs,
});

describe("asks", () => {
  it("are open until their outcome, which has the time between", () => {
    const open = applyFlow(noFlows, flow("a", "open", 100), 100);
    expect(open.open.map(({ id }) => id)).toEqual(["a"]);
    const done = applyFlow(open, flow("a", "ok", 940), 5_000);
    expect(done).toEqual({ open: [], openBeyond: 0, done: [{ flow: flow("a", "ok", 940), durationMs: 840 }] });
  });

  it("are timed by the clock when the outcome repeats the time of the start", () => {
    const open = applyFlow(noFlows, flow("a", "open", 100), 100);
    expect(applyFlow(open, flow("a", "timeout", 100), 30_100).done[0]?.durationMs).toBe(30_000);
  });

  it("have no duration when the page did not see them open", () => {
    expect(applyFlow(noFlows, flow("a", "error", 940), 5_000).done).toEqual([{ flow: flow("a", "error", 940) }]);
  });

  it("are finished once, and do not open again", () => {
    const done = applyFlow(noFlows, flow("a", "ok", 1), 1);
    expect(applyFlow(done, flow("a", "ok", 1), 1).done).toHaveLength(1);
    expect(applyFlow(done, flow("a", "open", 1), 1)).toBe(done);
  });

  it("are kept to the last 20 finished ones, newest first", () => {
    let flows: Flows = noFlows;
    for (let n = 0; n < 25; n++) flows = applyFlow(flows, flow(`f${n}`, "ok", n), n);
    expect(flows.done).toHaveLength(20);
    expect(flows.done[0]?.flow.id).toBe("f24");
  });

  it("are taken anew from flow.recent, with the durations that are known", () => {
    const seen = applyFlow(applyFlow(noFlows, flow("a", "open", 0), 0), flow("a", "ok", 50), 50);
    const stale = applyFlow(seen, flow("gone", "open", 60), 60);
    const recent = applyRecent(stale, {
      flows: [flow("b", "timeout", 70), flow("a", "ok", 50), flow("c", "open", 80)],
      openTotal: 1,
    });
    expect(recent.open.map(({ id }) => id)).toEqual(["c"]);
    expect(recent.openBeyond).toBe(0);
    expect(recent.done).toEqual([{ flow: flow("b", "timeout", 70) }, { flow: flow("a", "ok", 50), durationMs: 50 }]);
  });
});

describe("more open asks than the page keeps", () => {
  it("are counted, whether the gateway lists them or not, and count no more when they are over", () => {
    const listed = Array.from({ length: 210 }, (_, n) => flow(`f${n}`, "open", n));
    let flows = applyRecent(noFlows, { flows: listed, openTotal: 1_500 });
    expect([flows.open.length, flows.openBeyond]).toEqual([200, 1_300]);
    flows = applyFlow(flows, flow("new", "open", 300), 300);
    expect([flows.open.length, flows.openBeyond]).toEqual([200, 1_301]);
    flows = applyFlow(flows, flow("new", "ok", 301), 301);
    flows = applyFlow(flows, flow("f0", "ok", 302), 302);
    expect([flows.open.length, flows.openBeyond]).toEqual([199, 1_300]);
    // One that the page knows to be over is told again.
    flows = applyFlow(flows, flow("f0", "ok", 302), 302);
    expect([flows.open.length, flows.openBeyond]).toEqual([199, 1_300]);
  });
});

describe("the drawing", () => {
  it("has a node for each agent that takes part, in the order of the configuration, and an arrow for each open pair", () => {
    let flows = applyFlow(noFlows, flow("a", "open", 1, "raul", "main"), 1);
    flows = applyFlow(flows, flow("b", "open", 2, "raul", "main"), 2);
    flows = applyFlow(flows, flow("c", "ok", 3, "main", "family"), 3);
    const { nodes, arrows, hidden } = drawFlows(flows, ["main", "raul", "family", "idle"]);
    expect(nodes.map(({ agentId }) => agentId)).toEqual(["main", "raul", "family"]);
    expect(arrows.map(({ from, to, count }) => [from.agentId, to.agentId, count])).toEqual([["raul", "main", 2]]);
    expect(hidden).toBe(0);
  });

  it("draws the two directions of a pair as different lines", () => {
    const both = applyFlow(applyFlow(noFlows, flow("a", "open", 1), 1), flow("b", "open", 2, "raul", "main"), 2);
    const paths = drawFlows(both, ["main", "raul"]).arrows.map(({ path }) => path);
    expect(new Set(paths).size).toBe(2);
  });

  it("stays within its size, and says how many agents have no room", () => {
    let flows: Flows = noFlows;
    for (let n = 0; n < 6; n++) flows = applyFlow(flows, flow(`f${n}`, "open", n, `a${n}`, `b${n}`), n);
    const { nodes, arrows, hidden } = drawFlows(flows, []);
    expect(nodes).toHaveLength(8);
    expect(hidden).toBe(4);
    expect(arrows).toHaveLength(4);
    for (const { x, y } of nodes) {
      expect(x).toBeGreaterThan(20);
      expect(x).toBeLessThan(diagramSize.width - 20);
      expect(y).toBeGreaterThan(20);
      expect(y).toBeLessThan(diagramSize.height - 20);
    }
  });
});
