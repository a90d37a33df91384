/** The gateway's side of its launcher: who counts as one, and what is told. */
import { EventEmitter } from "node:events";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { limits } from "../../../runtime/kernel/limits.ts";
import { findLauncher, type Host } from "../../../runtime/launcher/launched.ts";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => vi.useRealTimers());

const launched = { pid: 41, restarts: 2, lastEnd: "by SIGABRT" };

function makeHost(ppid: number, variable?: object, withPipe = true) {
  const sent: unknown[] = [];
  const env: NodeJS.ProcessEnv = variable === undefined ? {} : { CLOISTER_LAUNCHED: JSON.stringify(variable) };
  const host = Object.assign(new EventEmitter(), {
    env,
    ppid,
    connected: true,
    channel: { unref: vi.fn<() => void>() },
    ...(withPipe ? { send: (message: unknown) => sent.push(message) > 0 } : {}),
  });
  return { host, sent, launcher: findLauncher(host as unknown as Host) };
}

it("a process that nobody launched has none, and says nothing", () => {
  for (const { launcher, sent } of [makeHost(41), makeHost(41, launched, false), makeHost(42, launched)])
    expect([launcher, sent]).toEqual([undefined, []]);
});

it("takes the variable out of the environment, whoever's it was", () => {
  for (const ppid of [41, 42]) expect(makeHost(ppid, launched).host.env).toEqual({});
});

it("beats from the start on, until the launcher is gone", () => {
  const { host, sent } = makeHost(41, launched);
  vi.advanceTimersByTime(3 * limits.gatewayBeatMs);
  expect(sent).toEqual(Array.from({ length: 4 }, () => ({ type: "beat", debugged: false })));
  host.connected = false;
  vi.advanceTimersByTime(3 * limits.gatewayBeatMs);
  expect(sent).toHaveLength(4);
});

it("hears orders and that the launcher is gone, until it lets go, and keeps no process alive", () => {
  const { host, launcher } = makeHost(41, launched);
  expect(launcher?.launched).toEqual(launched);
  const causes: string[] = [];
  const release = launcher?.onStop((cause) => causes.push(cause));
  expect(host.channel.unref).toHaveBeenCalled();
  host.emit("message", { type: "stop", signal: "SIGTERM" });
  host.emit("disconnect");
  release?.();
  host.emit("message", { type: "stop", signal: "SIGTERM" });
  host.emit("disconnect");
  expect(causes).toEqual(["SIGTERM", "the launcher is gone"]);
});

it("tells how long its stop may take, and that it cannot go on", () => {
  const { sent, launcher } = makeHost(41, launched);
  launcher?.stopping(5_000, true);
  launcher?.failing();
  expect(sent.slice(1)).toEqual([{ type: "stopping", withinMs: 5_000, again: true }, { type: "failing" }]);
});
