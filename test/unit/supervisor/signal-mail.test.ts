/** What a due timer, task, job or monitor becomes: its times, where its answer goes, and whether its row goes with it. */
import { expect, test } from "vitest";
import { neverMs } from "../../../runtime/store/job-rows.ts";
import type { TimerRow } from "../../../runtime/store/port.ts";
import { downAdmission, jobAdmission, timerAdmission, timesOf } from "../../../runtime/supervisor/signal-mail.ts";

const timer: TimerRow = {
  id: "t-1",
  agentId: "kim",
  sessionKey: "agent:kim:main",
  name: "tea",
  via: "schedule:kim",
  body: "the tea is ready",
  isData: false,
  dueAtMs: 1_000,
  createdAtMs: 0,
};

test.each([
  [999, 0, 1_100],
  [1_000, 0, 1_100],
  [1_099, 0, 1_100],
  [1_100, 1, 1_200],
  [1_250, 2, 1_300],
])("at %i of every 100 from 1000 on, %i were missed and the next is %i", (nowMs, missed, nextMs) => {
  expect(timesOf({ dueAtMs: 1_000, everyMs: 100 }, nowMs)).toEqual({ missed, nextMs });
  expect(timerAdmission({ ...timer, everyMs: 100 }, nowMs)).toMatchObject({
    signal: { type: "timer", missed },
    fires: { id: "t-1", dueAtMs: 1_000, nextMs },
    replyRoute: { type: "none" },
  });
  expect(timesOf({ dueAtMs: 1_000 }, nowMs)).toEqual({ missed: 0, nextMs: undefined });
});

test("a task that nobody ended expires, and its answer goes where its turn was asked", () => {
  const replyRoute = { type: "none" } as const;
  const asked = { type: "channel", channel: "irc", accountId: "a", peerKind: "direct", peerId: "ana" } as const;
  expect(timerAdmission({ ...timer, task: { replyRoute: asked } }, 5_000)).toMatchObject({
    replyRoute: asked,
    signal: { type: "task", status: "expired" },
    fires: { nextMs: undefined },
  });
  expect(timerAdmission({ ...timer, task: { replyRoute, ended: "failed" } }, 5_000)).toMatchObject({
    replyRoute,
    signal: { type: "task", status: "failed" },
  });
});

const job: NonNullable<TimerRow["job"]> = {
  schedule: { kind: "at", atMs: 1_000 },
  target: "main",
  payload: "systemEvent",
  delivery: { type: "channel", channel: "irc", accountId: "a", peerKind: "direct", peerId: "ana" },
  turn: { turnMsMax: 7 },
  enabled: true,
  deleteAfterRun: true,
  by: "operator",
  updatedAtMs: 0,
  runs: [],
};

test.each([
  ["goes with its one time", {}, neverMs, undefined],
  ["stays when it is told to", { deleteAfterRun: false }, neverMs, neverMs],
  ["stays when it is off and was run by hand: its own time may still come", { enabled: false }, neverMs, neverMs],
  ["stays while it has a next time", {}, 2_000, 2_000],
])("a job %s", (_what, change, next, kept) => {
  expect(jobAdmission(timer, { ...job, ...change }, next, "r1")).toMatchObject({
    fires: { id: "t-1", dueAtMs: 1_000, nextMs: kept },
    replyRoute: job.delivery,
    turnMsMax: 7,
    sessionKey: "agent:kim:main",
  });
});

test("a job that waited for a heartbeat says when its own time was", () => {
  const held = { dueAtMs: 400, untilMs: 1_000 };
  expect(jobAdmission(timer, { ...job, held }, neverMs, "r1").signal).toMatchObject({ dueAtMs: 400 });
  const later = { dueAtMs: 400, untilMs: 900 };
  expect(jobAdmission(timer, { ...job, held: later }, neverMs, "r1").signal).toMatchObject({ dueAtMs: 1_000 });
});

test("a job of its own has a session for each run; one that is said is no event", () => {
  const said = jobAdmission(timer, { ...job, target: "isolated", payload: "agentTurn" }, neverMs, "r1");
  expect(said).toMatchObject({ sessionKey: "agent:kim:main:run:r1" });
  expect(said).not.toHaveProperty("signal");
});

test.each([
  ["broken", "the agent raul is down (crash): broken"],
  ["", "the agent raul is down (crash)"],
])("the end of an agent with the detail %j is told as %j", (detail, body) => {
  const monitor = { id: "m-1", agentId: "kim", sessionKey: "agent:kim:main", target: "raul", via: "monitor:kim" };
  expect(downAdmission(monitor, { reason: "crash", detail, dueAtMs: 5 })).toMatchObject({
    body,
    from: { type: "monitor", agentId: "raul", ref: "m-1" },
    fires: { id: "m-1", dueAtMs: 5, nextMs: undefined },
  });
});
