/** IRC on a server that takes its time, and lines that leave no earlier than it bears. Time passes when a test says so; the sockets are real. */
import { type AddressInfo, createServer, type Socket } from "node:net";
import { afterEach, describe, expect, test, vi } from "vitest";
import { channel as module } from "../../../channels/irc/index.ts";
import type { IrcSettings } from "../../../channels/irc/manifest.ts";
import type { Peer } from "../../../channels/port.ts";
import { serveAccounts } from "../../../runtime/channels/accounts.ts";
import type { AccountState } from "../../../runtime/channels/port.ts";
import { limits } from "../../../runtime/kernel/limits.ts";
import { makeOutbox } from "../../../runtime/supervisor/channels/outbox.ts";
import { makeKeptLog, outbound } from "../../support/channels.ts";
import type { WatchChats } from "../../support/chat-steps.ts";
import { eventually } from "../../support/eventually.ts";
import { openIrcGate } from "../../support/irc-gate.ts";
import { openIrcd } from "../../support/ircd.ts";
import { makeVirtualClock } from "../../support/virtual-clock.ts";

const opened: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  vi.useRealTimers();
  for (const close of opened.splice(0).toReversed()) await close();
});

const lineMs = 1_000;
const ana: Peer = { kind: "direct", id: "ana" };
const ben: Peer = { kind: "direct", id: "ben" };

/** An account with the outbox of its channel. */
function serve(port: number) {
  const clock = makeVirtualClock();
  const states: AccountState[] = [];
  const repeated: string[] = [];
  const settings: IrcSettings = {
    textChunkLimit: 4_000,
    host: "127.0.0.1",
    port,
    tls: false,
    nick: "helper",
    username: "helper",
    realname: "A helper",
    channels: [],
    lineMs,
  };
  const nothing = async (): Promise<void> => undefined;
  const channel = serveAccounts(
    module,
    { default: settings },
    {
      receive: async () => "taken",
      state: async (_, state) => void states.push(state),
      refused: nothing,
      partSent: nothing,
      log: nothing,
    },
    clock,
  );
  const { dedupesSendsMs } = module.manifest;
  const outbox = makeOutbox({
    attempt: (message, fromPart) => channel.send(message, fromPart),
    dedupesSendsMs,
    onRepeat: ({ text }) => void repeated.push(text),
    clock,
    log: makeKeptLog().log,
  });
  let texts = 0;
  const send = (peer: Peer, text: string): ReturnType<typeof outbox.send> => {
    texts += 1;
    return outbox.send(outbound({ channel: "irc", idempotencyKey: `text ${texts}`, peer, text }));
  };
  const online = (): Promise<void> => eventually(() => expect(states.at(-1)?.type).toBe("online"));
  return { clock, states, repeated, channel, outbox, send, online };
}

/** On a real server, with two people. `watch` sees each line of the account before the server does. */
async function openReal(watch: WatchChats = () => undefined) {
  const ircd = await openIrcd();
  opened.push(() => ircd.close());
  const people = await Promise.all(["ana", "ben"].map((nick) => ircd.person(nick)));
  const written: { readonly text: string; readonly atMs: number }[] = [];
  const gate = await openIrcGate(ircd, (step) => {
    if (step.moment === "lost") written.push({ text: step.text ?? "", atMs: account.clock.nowMs() - fromMs });
    return watch(step);
  });
  opened.push(() => gate.close());
  const account = serve(gate.port);
  const fromMs = account.clock.nowMs();
  opened.push(() => account.channel.close());
  await account.online();
  const seen = (): readonly string[] =>
    people.flatMap(({ lines }) => lines.flatMap((line) => /^:helper\S* PRIVMSG \S+ :(.*)$/.exec(line)?.[1] ?? []));
  return { ...account, written, seen };
}

const countTo = (count: number, name = ""): string[] => Array.from({ length: count }, (_, n) => `${name}${n}`);

describe("lines of an account", () => {
  test("leave five at once, then one after each pause, in their order, whoever they are for", async () => {
    const { clock, channel, send, written, seen } = await openReal();
    const first = send(ana, countTo(8).join("\n"));
    const second = send(ben, countTo(2, "ben ").join("\n"));
    const wanted = [...countTo(8), ...countTo(2, "ben ")];
    for (let count = limits.ircBurstLines; count < wanted.length; count++) {
      await eventually(() => expect(written).toHaveLength(count));
      const pauses = count - limits.ircBurstLines + 1;
      await eventually(() => expect(clock.pauses.filter((ms) => ms === lineMs)).toHaveLength(pauses));
      await clock.advance(lineMs - 1);
      // What left before it would be there by now.
      expect(await channel.probe("default")).toMatchObject({ ok: true });
      expect(written).toHaveLength(count);
      await clock.advance(1);
    }
    expect(await Promise.all([first, second])).toMatchObject([{ status: "sent" }, { status: "sent" }]);
    expect(written).toEqual(
      wanted.map((text, n) => ({ text, atMs: Math.max(0, n + 1 - limits.ircBurstLines) * lineMs })),
    );
    // What was earned in a rest leaves at once, and no more.
    await clock.advance(3 * lineMs + 1);
    const third = send(ana, countTo(4, "later ").join("\n"));
    await eventually(() => expect(written).toHaveLength(wanted.length + 3));
    const restedMs = clock.nowMs();
    await clock.advance(lineMs);
    await eventually(() => expect(written).toHaveLength(wanted.length + 4));
    expect(clock.nowMs()).toBe(restedMs + lineMs);
    expect(await third).toMatchObject({ status: "sent" });
    await eventually(() => expect(seen().length).toBe(written.length));
  });

  test("that wait when the gateway ends are kept, with their text and those behind it, and nothing more leaves", async () => {
    const { channel, outbox, send, written } = await openReal();
    const ends = [send(ana, countTo(8).join("\n")), send(ben, "behind")].map((end) =>
      end.then(
        () => "sent",
        ({ code }: { code: string }) => code,
      ),
    );
    await eventually(() => expect(written).toHaveLength(limits.ircBurstLines));
    outbox.close();
    await channel.close();
    expect(await Promise.all(ends)).toEqual(["CLOISTER_THREAD_LOST", "CLOISTER_THREAD_LOST"]);
    expect(written.map(({ text }) => text)).toEqual(countTo(limits.ircBurstLines));
  });
});

describe("a server that is slow to answer a line", () => {
  /** Holds what follows the first text until it is told to go on. */
  async function openSlow() {
    const answer = Promise.withResolvers<void>();
    const scene = await openReal(async ({ moment, text }) => {
      if (moment === "sent" && text === "late" && scene.written.length === 1) await answer.promise;
      return undefined;
    });
    return { ...scene, answer };
  }

  test("but answers in time has the text once", async () => {
    const { clock, send, seen, answer, repeated } = await openSlow();
    const sent = send(ana, "late");
    await eventually(() => expect(seen()).toEqual(["late"]));
    await clock.advance(limits.ircAnswerMs - 1);
    answer.resolve();
    expect(await sent).toMatchObject({ status: "sent" });
    expect([seen(), repeated]).toEqual([["late"], []]);
  });

  test("and answers too late has it again, told as a possible duplicate, and its late answer does nothing", async () => {
    const { clock, send, seen, answer, repeated, states } = await openSlow();
    const [late, behind] = [send(ana, "late"), send(ben, "behind")];
    await eventually(() => expect(seen()).toEqual(["late"]));
    await clock.advance(limits.ircAnswerMs + limits.channelAttemptBackoffMs * 2);
    answer.resolve();
    expect(await Promise.all([late, behind])).toMatchObject([{ status: "sent" }, { status: "sent" }]);
    await eventually(() => expect(seen().toSorted()).toEqual(["behind", "late", "late"]));
    expect(repeated).toEqual(["late"]);
    expect(states.filter(({ type }) => type === "waiting")).toEqual([]);
  });
});

/** A server that lets accounts in when it is told to. */
async function openSilent() {
  const sockets: Socket[] = [];
  const welcome = (socket: Socket): boolean => socket.write(":irc.test 001 helper :Welcome\r\n");
  let asked = "";
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    sockets.push(socket.on("error", () => undefined).on("data", (data) => (asked += data.toString())));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  opened.push(async () => {
    for (const socket of sockets) socket.destroy();
    await new Promise((resolve) => server.close(resolve));
  });
  const account = serve((server.address() as AddressInfo).port);
  opened.push(() => account.channel.close());
  /** So many times it was asked to let the account in. */
  const connected = (count: number): Promise<void> =>
    eventually(() => expect(asked.match(/^USER /gm) ?? []).toHaveLength(count));
  return { ...account, sockets, welcome, connected };
}

describe("a server that is slow to let an account in", () => {
  test("but does has it online, and one that never does is given up and tried again", async () => {
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
    const { states, sockets, welcome, connected, clock } = await openSilent();
    const boundMs = limits.ircPingTimeoutSeconds * 1_000;
    const knows = (type: AccountState["type"]): Promise<void> =>
      eventually(() => expect(states.at(-1)?.type).toBe(type));
    await connected(1);
    await vi.advanceTimersByTimeAsync(boundMs);
    await knows("waiting");
    expect(states.at(-1)).toMatchObject({
      refusal: { code: "CLOISTER_CHANNEL_OFFLINE", message: expect.stringContaining("no answer in time") },
    });
    await clock.advance(limits.channelBackoffMs * 2);
    await connected(2);
    await vi.advanceTimersByTimeAsync(boundMs - 5_000);
    expect(states.at(-1)?.type).toBe("connecting");
    for (const socket of sockets) welcome(socket);
    await knows("online");
  });

  test("and says nothing more holds up no end of the account", async () => {
    const { channel, clock, connected, sockets } = await openSilent();
    await connected(1);
    await channel.close();
    await eventually(() => expect(sockets[0]?.readableEnded || sockets[0]?.destroyed).toBe(true));
    expect(clock.pauses).toEqual([]);
  });
});
