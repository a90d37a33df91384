import { expect, test } from "vitest";
import type { ChatEvent } from "../../../runtime/edge/port.ts";
import { makeRunEvents } from "../../../runtime/edge/run-events.ts";
import type { StreamPart } from "../../../runtime/edge/streams.ts";

const run = { runId: "r1", sessionKey: "agent:raul:main", agentId: "raul", acceptedAt: 1, startedAt: 2 };
const about = { runId: "r1", sessionKey: "agent:raul:main", agentId: "raul" };
const message = (text: string) => ({ role: "assistant", content: [{ type: "text", text }], timestamp: 5 }) as const;
const delta = (seq: number, deltaText: string, text: string): ChatEvent => ({
  ...about,
  seq,
  state: "delta",
  deltaText,
  message: message(text),
});

const whole: StreamPart = { runId: "r1", is: "whole" };
const end: StreamPart = { runId: "r1", is: "end" };

interface Told {
  readonly event: string;
  readonly payload: Record<string, unknown>;
  readonly part: StreamPart | undefined;
}

function open() {
  const told: Told[] = [];
  const events = makeRunEvents(
    () => 9,
    (event, payload, part) => void told.push({ event, payload: payload as Record<string, unknown>, part }),
  );
  return { told, events };
}

const names = (told: readonly Told[]): unknown[] =>
  told.map(({ event, payload }) => {
    const { task, data, state } = payload as { task?: { status: string }; data?: { phase?: string }; state?: string };
    return `${event} ${task?.status ?? data?.phase ?? state ?? String(payload["stream"])}`;
  });

test("a run is told in the order that clients know, with a count of its own", () => {
  const { told, events } = open();
  events.began(run);
  events.chat(delta(1, "O", "O"), whole);
  events.chat(delta(2, "K", "OK"), whole);
  events.chat({ ...about, seq: 3, state: "final", stopReason: "stop", message: message("OK") }, end);
  expect(names(told)).toEqual([
    "task running",
    "agent start",
    "agent assistant",
    "chat delta",
    "agent assistant",
    "chat delta",
    "agent end",
    "chat final",
    "task completed",
  ]);
  const agent = told.filter(({ event }) => event === "agent");
  expect(agent.map(({ payload }) => payload["seq"])).toEqual([1, 2, 3, 4]);
  expect(agent[2]).toEqual({
    event: "agent",
    payload: { ...about, stream: "assistant", data: { text: "OK", delta: "K" }, seq: 3, ts: 9 },
    part: whole,
  });
  expect(agent[3]?.payload["data"]).toEqual({
    phase: "end",
    startedAt: 2,
    endedAt: 9,
    aborted: false,
    stopReason: "stop",
  });
  expect(told.at(-1)?.payload["task"]).toMatchObject({ id: "r1", runId: "r1", createdAt: 1, startedAt: 2, endedAt: 9 });
});

test("a run that fails and one that is stopped end as such", () => {
  const { told, events } = open();
  events.began(run);
  events.chat({ ...about, seq: 1, state: "error", errorMessage: "no" }, end);
  events.began(run);
  events.chat({ ...about, seq: 1, state: "aborted", stopReason: "rpc" }, end);
  expect(names(told)).toEqual([
    "task running",
    "agent start",
    "agent error",
    "chat error",
    "task failed",
    "task running",
    "agent start",
    "agent end",
    "chat aborted",
    "task cancelled",
  ]);
  expect(told[2]?.payload["data"]).toMatchObject({ error: "no", aborted: false });
  expect(told[7]?.payload["data"]).toMatchObject({ aborted: true, stopReason: "rpc" });
});

test("of a run whose beginning nobody heard only chat is told, and after its end nothing is kept", () => {
  const { told, events } = open();
  const final: ChatEvent = { ...about, seq: 1, state: "final", stopReason: "stop" };
  events.chat(final, end);
  events.began(run);
  events.chat(final, end);
  told.length = 0;
  events.chat(final, end);
  expect(names(told)).toEqual(["chat final"]);
});

test("what has no text so far in `chat` has none in `agent`, and only what is of the stream may be left out", () => {
  const { told, events } = open();
  events.began(run);
  const more: StreamPart = { runId: "r1", is: "more" };
  events.chat({ ...about, seq: 1, state: "delta", deltaText: "K" }, more);
  events.chat({ ...about, seq: 2, state: "final", stopReason: "stop", message: message("OK") }, end);
  expect(told[2]).toMatchObject({ event: "agent", payload: { data: { delta: "K" } }, part: more });
  expect(told[2]?.payload["data"]).toEqual({ delta: "K" });
  expect(told.map(({ part }) => part?.is)).toEqual([undefined, undefined, "more", "more", undefined, "end", undefined]);
});
