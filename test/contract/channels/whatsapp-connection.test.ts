/** How a connection of WhatsApp is kept, and given up: the real library on the clock of the test, against the local server. */
import { setTimeout as delay } from "node:timers/promises";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { limits } from "../../../runtime/kernel/limits.ts";
import { eventually } from "../../support/eventually.ts";
import { openChannel } from "./suite.ts";
import { connectAlone, noPrepare, open, rigOf } from "./whatsapp-rig.ts";

test("the server counts a connection that has ended until it has handled all that came on it, and its answers go to no other", async () => {
  const reached = Promise.withResolvers<void>();
  const goOn = Promise.withResolvers<void>();
  const answered: string[] = [];
  const scene = await open(undefined, {
    async watch({ moment, text = "" }) {
      if (moment === "answered") answered.push(text);
      if (moment !== "lost") return undefined;
      reached.resolve();
      await goOn.promise;
      return undefined;
    },
  });
  const { server, channel, send, platform } = scene;
  const sent = send({ peer: platform.person.peer, text: "last words" });
  await reached.promise;
  await channel.close();
  expect(await sent).toMatchObject({ status: "failed", mayHaveArrived: true });
  await openChannel(rigOf(async () => ({ ...scene, prepare: noPrepare })));
  // The server has seen the end of the first connection by now.
  expect([server.connections(), server.arrived]).toEqual([2, []]);
  goOn.resolve();
  await eventually(() => expect(server.connections()).toBe(1));
  expect([server.arrived.map(({ text }) => text), answered]).toEqual([["last words"], []]);
  expect(server.violations).toEqual([]);
});

test.each(["direct", "group"])("nothing leaves before the keys that seal it are kept: a %s message", async (kind) => {
  const { channel, server, settings, ana, family } = await open();
  await channel.close();
  const begun = Promise.withResolvers<void>();
  const kept = Promise.withResolvers<void>();
  const connection = await connectAlone(server, settings.authDir, {
    async beforeKept(data) {
      if (!("session" in data || "sender-key" in data)) return;
      begun.resolve();
      await kept.promise;
    },
  });
  await connection.opened;
  const sent = connection.send(kind === "group" ? family.id : ana.jid, { text: "sealed" }, "3EB0000000000000000001");
  await begun.promise;
  // The server answers in order: it has all that left before this.
  await connection.probe(AbortSignal.timeout(60_000));
  expect(server.arrived).toEqual([]);
  kept.resolve();
  expect(await sent).toEqual({ type: "taken" });
  expect(server.arrived.map(({ text }) => text)).toEqual(["sealed"]);
  expect(server.violations).toEqual([]);
});

describe("on a clock of the test", () => {
  /** The library pings by an interval and the time of day; what waits for the other side waits in real time. */
  beforeEach(() => void vi.useFakeTimers({ toFake: ["setInterval", "clearInterval", "Date"] }));
  afterEach(() => void vi.useRealTimers());

  test("a connection on which nobody says anything is kept by pings that are answered", async () => {
    const { server, states } = await open();
    const before = states.length;
    for (let pings = server.pings(), at = 1; at <= 6; at++) {
      vi.advanceTimersByTime(limits.whatsappPingMs);
      await eventually(() => expect(server.pings()).toBe(pings + at));
      await server.caughtUp();
    }
    expect(states.slice(before)).toEqual([]);
    expect([server.connections(), server.violations]).toEqual([1, []]);
  });

  test("a connection that has fallen silent is given up and opened again, and what was said meanwhile arrives once", async () => {
    const { server, ana, received, states } = await open();
    server.fallSilent();
    await server.say(ana, "is anybody there");
    const before = states.length;
    vi.advanceTimersByTime(limits.whatsappPingMs);
    expect(states.slice(before)).toEqual([]);
    vi.advanceTimersByTime(limits.whatsappPingMs);
    await eventually(() =>
      expect(states.slice(before)).toMatchObject([{ type: "waiting" }, { type: "connecting" }, { type: "online" }]),
    );
    await eventually(() => expect(received.map(({ text }) => text)).toEqual(["is anybody there"]));
    await eventually(() => expect(server.unconfirmed()).toBe(0));
    expect(server.violations).toEqual([]);
  });

  test.each(["in time", "too late"])("a login that is answered %s", async (when) => {
    const { server, states } = await open();
    const { promise, resolve } = Promise.withResolvers<void>();
    server.slowLogins.push(promise);
    const before = states.length;
    server.drop();
    await eventually(() => expect(server.slowLogins).toEqual([]));
    vi.advanceTimersByTime(limits.whatsappPingMs);
    if (when === "in time") resolve();
    else vi.advanceTimersByTime(limits.whatsappPingMs);
    const attempt = [{ type: "waiting" }, { type: "connecting" }];
    const wanted = [...attempt, ...(when === "in time" ? [] : attempt), { type: "online" }];
    await eventually(() => expect(states.slice(before)).toMatchObject(wanted));
    resolve();
    await eventually(() => expect(server.connections()).toBe(1));
    expect(states.slice(before)).toHaveLength(wanted.length);
    expect(server.violations).toEqual([]);
  });

  test("the channel ends in time also while its connection is silent", async () => {
    const { server, channel } = await open();
    server.fallSilent();
    // The library alone waits for half a minute.
    expect(await Promise.race([channel.close(), delay(15_000, "it waits")])).toBeUndefined();
    expect(server.violations).toEqual([]);
  });
});
