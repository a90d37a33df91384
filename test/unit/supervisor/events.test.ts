/** What goes to the edge, with and without somebody there to hear it. */
import { expect, test } from "vitest";
import type { GatewayEvent } from "../../../runtime/edge/port.ts";
import { makeEvents } from "../../../runtime/supervisor/events.ts";

const changed: GatewayEvent = {
  event: "sessions.changed",
  payload: { sessionKey: "agent:main:main", agentId: "main", reason: "turn", ts: 1 },
};
const chat = (runId: string, state: "delta" | "final" | "error"): GatewayEvent => ({
  event: "chat",
  payload: { runId, sessionKey: "agent:main:main", agentId: "main", seq: 1, state },
});

function open() {
  const batches: (readonly GatewayEvent[])[] = [];
  const heard: string[] = [];
  const audiences: boolean[] = [];
  const events = makeEvents(
    ({ event }) => heard.push(event),
    (isThere) => audiences.push(isThere),
  );
  events.attach({ publish: (batch) => void batches.push(batch) });
  /** The events of a moment are on their way at its end. */
  const told = async (): Promise<readonly (readonly GatewayEvent[])[]> => {
    await Promise.resolve();
    return batches.splice(0);
  };
  return { events, told, heard, audiences };
}

test("whether anybody is there is told on, and known", () => {
  const { events, audiences } = open();
  expect(events.isHeard).toBe(false);
  events.hasAudience(true);
  expect([events.isHeard, audiences]).toEqual([true, [true]]);
});

test("whoever else listens hears of an event, also while no client is connected", () => {
  const { events, heard } = open();
  events.publish(changed);
  expect(heard).toEqual(["sessions.changed"]);
});

test("nothing goes to the edge while no client is connected, except what streams, to its end", async () => {
  const { events, told } = open();
  for (const event of [changed, chat("silent", "final"), chat("r", "delta"), chat("r", "delta"), chat("r", "final")])
    events.publish(event);
  expect(await told()).toEqual([[chat("r", "delta"), chat("r", "delta"), chat("r", "final")]]);
  // Its end is told once: the run has no text at the edge any more.
  events.publish(chat("r", "error"));
  expect(await told()).toEqual([]);
});

test("that the turn of a program's task begins goes also while no client is connected, and then its end", async () => {
  const { events, told } = open();
  const began = (runId: string): GatewayEvent => ({
    event: "run",
    payload: { runId, sessionKey: "agent:main:main", agentId: "main", acceptedAt: 1, startedAt: 2 },
  });
  for (const event of [began("call-1"), chat("call-1", "final"), began("task-1"), chat("task-1", "final")])
    events.publish(event);
  expect(await told()).toEqual([[began("task-1"), chat("task-1", "final")]]);
});

test("everything goes while a client is connected, in one piece for each moment, and stops with the last client", async () => {
  const { events, told } = open();
  events.hasAudience(true);
  events.publish(changed);
  events.publish(chat("r", "delta"));
  expect(await told()).toEqual([[changed, chat("r", "delta")]]);
  events.publish(chat("other", "final"));
  expect(await told()).toEqual([[chat("other", "final")]]);
  events.hasAudience(false);
  events.publish(changed);
  events.publish(chat("r", "final"));
  expect(await told()).toEqual([[chat("r", "final")]]);
});
