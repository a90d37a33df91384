/** Runs as clients follow them: what they hear, when, and that nothing of it grows without bound. */
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import type { GatewayEvent } from "../../../runtime/edge/port.ts";
import type { EnvelopeHeader } from "../../../runtime/kernel/envelope.ts";
import { limits } from "../../../runtime/kernel/limits.ts";
import { makeRuns, type Runs } from "../../../runtime/supervisor/runs.ts";

let events: GatewayEvent[];
let runs: Runs;

beforeEach(() => {
  vi.useFakeTimers();
  events = [];
  runs = makeRuns(
    (event) => events.push(event),
    (key) => key.split(":")[1] ?? "",
    () => 7,
  );
});

afterEach(() => {
  vi.useRealTimers();
});

const header = (runId: string, changes: Partial<EnvelopeHeader> = {}): EnvelopeHeader => ({
  id: runId,
  from: { type: "operator", client: "test" },
  agentId: "main",
  sessionKey: "agent:main:main",
  verb: "send",
  via: "door:operator",
  chain: [],
  trace: runId,
  runId,
  acceptedAtMs: 1,
  provenance: { kind: "external_user", sourceChannel: "webchat" },
  replyRoute: { type: "none" },
  ...changes,
});

describe("whoever waits for a run", () => {
  test("hears its end, also when the wait begins after it", async () => {
    runs.opened("r");
    const early = runs.wait("r", 1_000);
    runs.ended(header("r"), 1, { status: "ok", text: "done" }, false);
    expect(await early).toEqual({ status: "ok", runId: "r", reply: "done" });
    expect(await runs.wait("r", 1_000)).toEqual({ status: "ok", runId: "r", reply: "done" });
  });

  test("hears of the deadline, and the run goes on", async () => {
    runs.opened("r");
    const wait = runs.wait("r", 1_000);
    vi.advanceTimersByTime(1_000);
    expect(await wait).toEqual({ status: "timeout", runId: "r" });
    runs.ended(header("r"), 1, { status: "no_reply" }, false);
    expect(await runs.wait("r", 1_000)).toEqual({ status: "ok", runId: "r", reply: null });
    expect(vi.getTimerCount()).toBe(0);
  });

  test("of nothing is told so at once", async () => {
    expect(await runs.wait("none", 1_000)).toMatchObject({
      status: "error",
      refusal: { code: "CLOISTER_REQUEST_INVALID" },
    });
  });

  test("hears why it failed", async () => {
    runs.ended(header("r"), 1, { status: "error", code: "CLOISTER_AGENT_FAILED", message: "no" }, false);
    expect(await runs.wait("r", 1_000)).toMatchObject({
      status: "error",
      refusal: { code: "CLOISTER_AGENT_FAILED", message: "no" },
    });
  });
});

test("a chat event holds the new text alone, whatever came before; the last one the answer", () => {
  runs.streamed(header("r"), 1, "Hel");
  runs.streamed(header("r"), 2, "lo");
  runs.ended(header("r"), 3, { status: "ok", text: "Hello!" }, false);
  const chat = events.map(({ payload }) => payload) as {
    state: string;
    deltaText?: string;
    message?: { content: { text: string }[] };
  }[];
  expect(chat.map(({ state, deltaText, message }) => [state, deltaText, message?.content[0]?.text])).toEqual([
    ["delta", "Hel", undefined],
    ["delta", "lo", undefined],
    ["final", undefined, "Hello!"],
  ]);
});

test("a run that an agent started says which session did; a stopped one is aborted, not an error", () => {
  const provenance = {
    kind: "inter_session",
    sourceSessionKey: "agent:raul:main",
    sourceChannel: "internal",
    sourceTool: "request",
  } as const;
  runs.ended(header("a", { provenance }), 1, { status: "ok", text: "x" }, false);
  runs.ended(header("b"), 1, { status: "error", code: "CLOISTER_ASK_ABORTED", message: "stopped" }, true);
  expect(events).toMatchObject([
    { payload: { state: "final", provenance: { sourceSessionKey: "agent:raul:main" } } },
    { payload: { state: "aborted", runId: "b" } },
  ]);
});

test("the end of a message in memory is told and not remembered: whoever asked has heard it", async () => {
  runs.ended(header("r"), 1, { status: "ok", text: "x" }, false, true);
  runs.ended(header("s"), 1, { status: "error", code: "CLOISTER_AGENT_FAILED", message: "no" }, false, true);
  expect(events).toMatchObject([{ payload: { state: "final" } }, { payload: { state: "error" } }]);
  expect([runs.knows("r"), runs.knows("s")]).toEqual([false, false]);
});

test("a run that begins anew is remembered as long as any other, and not forgotten for its first end", () => {
  runs.ended(header("again"), 1, { status: "no_reply" }, false);
  runs.reopened("again");
  for (let n = 0; n < 5_000; n++) runs.ended(header(`a${n}`), 1, { status: "no_reply" }, false);
  runs.ended(header("again"), 1, { status: "no_reply" }, false);
  for (let n = 0; n < 9_999; n++) runs.ended(header(`b${n}`), 1, { status: "no_reply" }, false);
  expect(runs.knows("again")).toBe(true);
  runs.ended(header("last"), 1, { status: "no_reply" }, false);
  expect(runs.knows("again")).toBe(false);
});

test("asks that wait are all shown, before fifty and more that were answered", () => {
  for (let n = 0; n < 60; n++) runs.flow(`o${n}`, "agent:main:main", "agent:raul:main", "open");
  runs.flow("o0", "agent:main:main", "agent:raul:main", "ok");
  expect(runs.flows.flows.map(({ id, state }) => `${id} ${state}`)).toEqual(
    Array.from({ length: 59 }, (_, n) => `o${n + 1} open`),
  );
  for (let n = 1; n < 60; n++) runs.flow(`o${n}`, "agent:main:main", "agent:raul:main", "ok");
  expect(runs.flows.flows.map(({ id }) => id)).toEqual(Array.from({ length: 50 }, (_, n) => `o${n + 10}`));
});

test("ended runs and finished asks are forgotten in time; open asks are kept", async () => {
  for (let n = 0; n < 10_050; n++) runs.ended(header(`r${n}`), 1, { status: "no_reply" }, false);
  expect(runs.knows("r49")).toBe(false);
  expect(runs.knows("r50")).toBe(true);
  runs.flow("open", "agent:main:main", "agent:raul:main", "open");
  for (let n = 0; n < 200; n++) runs.flow(`f${n}`, "agent:main:main", "agent:raul:main", "ok");
  const { flows } = runs.flows;
  expect(flows).toHaveLength(50);
  expect(flows.map(({ id }) => id)).toContain("open");
  expect(flows[0]).toMatchObject({ fromAgent: "main", toAgent: "raul" });
});

test("the end of an ask is told to who was told of it, and shown in any case", () => {
  runs.flow("told", "agent:main:main", "agent:raul:main", "open");
  for (const id of ["untold", "told"]) runs.flow(id, "agent:main:main", "agent:raul:main", "ok");
  expect(events).toMatchObject([
    { event: "flow", payload: { id: "told", state: "open" } },
    { event: "flow", payload: { id: "told", state: "ok" } },
  ]);
  expect(runs.flows.flows.map(({ id }) => id)).toEqual(["untold", "told"]);
});

test("more asks that wait than a list may have are counted, and listed as the older ones are answered", () => {
  const max = limits.openFlowsListMax;
  const ask = (n: number, state: "open" | "ok") => runs.flow(`o${n}`, "agent:main:main", "agent:raul:main", state);
  for (let n = 0; n < max; n++) ask(n, "open");
  expect(runs.flows).toMatchObject({ openTotal: max, truncated: false });
  for (let n = max; n < 1.5 * max; n++) ask(n, "open");
  expect(runs.flows).toMatchObject({ openTotal: 1.5 * max, truncated: true });
  expect(runs.flows.flows.map(({ id }) => id)).toEqual(Array.from({ length: max }, (_, n) => `o${n}`));
  for (let n = 0; n < max; n++) ask(n, "ok");
  expect(runs.flows).toMatchObject({ openTotal: max / 2, truncated: false });
  expect(runs.flows.flows.at(-1)?.id).toBe(`o${1.5 * max - 1}`);
  for (let n = max; n < 1.5 * max; n++) ask(n, "ok");
  expect(runs.flows).toMatchObject({ openTotal: 0, truncated: false });
});

describe("a run that waits on the disk", () => {
  test("is kept while somebody waits for it, who hears its end", async () => {
    runs.opened("r");
    const waits = runs.wait("r", 1_000);
    runs.shelved("r");
    runs.unshelved("r");
    runs.ended(header("r"), 1, { status: "ok", text: "done" }, false);
    expect(await waits).toEqual({ status: "ok", runId: "r", reply: "done" });
  });

  test("may be any that nobody knows, and is forgotten when nobody waits for it any more", async () => {
    runs.shelvedBefore(1);
    const heard = runs.wait("a", 1_000);
    const late = runs.wait("b", 1_000);
    runs.unshelved("a");
    runs.ended(header("a"), 1, { status: "no_reply" }, false);
    expect(await heard).toEqual({ status: "ok", runId: "a", reply: null });
    runs.shelvedBefore(1);
    vi.advanceTimersByTime(1_000);
    expect(await late).toEqual({ status: "timeout", runId: "b" });
    expect(runs.knows("b")).toBe(false);
  });

  test("is the last one: then nobody waits for what nobody knows", async () => {
    runs.shelvedBefore(1);
    runs.unshelved("a");
    expect(await runs.wait("b", 1_000)).toMatchObject({ status: "error", runId: "b" });
  });
});

test("an end that is told again takes no second place among those that are remembered", () => {
  runs.ended(header("r"), 1, { status: "ok", text: "done" }, false);
  runs.recalled("r", { status: "ok", text: "done" });
  for (let other = 1; other < 10_000; other++) runs.recalled(`r${other}`, { status: "no_reply" });
  expect(runs.knows("r")).toBe(true);
  runs.recalled("one more", { status: "no_reply" });
  expect(runs.knows("r")).toBe(false);
});

test("asks that are told of are as many as there may be", () => {
  const main = "agent:main:main";
  for (let ask = 0; ask <= limits.asksMax; ask++) runs.flow(`e${ask}`, main, main, "open");
  expect(runs.flows.openTotal).toBe(limits.asksMax);
});

test("whoever follows runs hears of each end", () => {
  const ends: string[] = [];
  runs.follow({ ended: ({ runId }, { status }) => void ends.push(`${runId} ${status}`) });
  runs.ended(header("r"), 1, { status: "no_reply" }, false);
  expect(ends).toEqual(["r no_reply"]);
});
