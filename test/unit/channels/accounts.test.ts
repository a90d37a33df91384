/** The accounts of a channel in its thread, with an adapter that does what each test says. */
import { describe, expect, test } from "vitest";
import { nothingRead, type SecretsRead } from "../../../runtime/broker/secrets-read.ts";
import type {
  AccountSettings,
  ChannelAction,
  ChannelHost,
  ChannelManifest,
  InboundEvent,
  OutboundMessage,
  SendResult,
} from "../../../channels/port.ts";
import { serveAccounts } from "../../../runtime/channels/accounts.ts";
import type { AccountAdapter, AccountState } from "../../../runtime/channels/port.ts";
import { failure } from "../../../runtime/kernel/errors.ts";
import { limits } from "../../../runtime/kernel/limits.ts";
import { outbound } from "../../support/channels.ts";
import { makeVirtualClock, settle } from "../../support/virtual-clock.ts";

const manifest: ChannelManifest = {
  id: "test",
  capabilities: {
    threads: false,
    edit: false,
    reactions: false,
    deletes: false,
    buttons: false,
    typing: true,
    nativeCommands: false,
    mentions: false,
    media: false,
  },
  text: { max: 10, unit: "utf8" },
  dedupesSendsMs: 0,
  typingMs: 1_000,
};

const said = (text: string, peer = "7"): Parameters<ChannelHost["receive"]>[0] => ({
  peer: { kind: "direct", id: peer },
  sender: { id: peer },
  text,
  tsMs: 1,
});

interface Plan {
  /** What each run of the account does; the last one again and again. Absent: it comes online and stays. */
  readonly runs?: readonly ((host: ChannelHost, signal: AbortSignal) => Promise<void>)[];
  readonly send?: (message: OutboundMessage) => Promise<SendResult>;
  /** What the platform is asked to do with a message; absent: it cannot change any. */
  readonly act?: (action: ChannelAction) => Promise<SendResult>;
  /** Somebody stands ready to scan its code. */
  readonly link?: () => void;
  /** When its next run would use another credential. */
  readonly whenOther?: (signal: AbortSignal) => Promise<void>;
  /** What is behind the keys that it refers to. */
  readonly readSecrets?: () => Promise<SecretsRead>;
}

const stay = async (host: ChannelHost, signal: AbortSignal): Promise<void> => {
  host.online({ id: "1", name: "bot" });
  await new Promise((resolve) => signal.addEventListener("abort", resolve));
};

function serve(
  plans: Readonly<Record<string, Plan>>,
  receive: (event: InboundEvent) => Promise<void> = async () => undefined,
  textChunkLimit = 4_000,
  once?: { readonly refused: (event: InboundEvent) => Promise<void> },
) {
  const clock = makeVirtualClock();
  const states: { readonly accountId: string; readonly state: AccountState }[] = [];
  const partsSent: number[] = [];
  const sent: OutboundMessage[] = [];
  const hosts = new Map<string, ChannelHost>();
  const runs = new Map<string, number>();
  const open = (_: AccountSettings, host: ChannelHost): AccountAdapter => {
    const plan = plans[host.accountId] ?? {};
    hosts.set(host.accountId, host);
    return {
      run: (signal) => {
        const count = runs.get(host.accountId) ?? 0;
        runs.set(host.accountId, count + 1);
        return (plan.runs?.[Math.min(count, plan.runs.length - 1)] ?? stay)(host, signal);
      },
      probe: async () => ({ id: "1", name: "bot" }),
      send: async (message) => {
        sent.push(message);
        return (await plan.send?.(message)) ?? { status: "sent", platformMessageId: message.text };
      },
      ...(plan.act === undefined ? {} : { act: plan.act }),
      ...(plan.whenOther === undefined ? {} : { whenOther: plan.whenOther }),
      ...(plan.readSecrets === undefined ? {} : { readSecrets: plan.readSecrets }),
      ...(plan.link === undefined ? {} : { link: plan.link, unlink: async () => undefined }),
    };
  };
  const settings = Object.fromEntries(Object.keys(plans).map((id) => [id, { textChunkLimit }]));
  const changes = Object.values(plans).some(({ act }) => act !== undefined);
  const capabilities = { ...manifest.capabilities, edit: changes, deletes: changes, reactions: changes };
  const channel = serveAccounts(
    { manifest: { ...manifest, capabilities, ...(once === undefined ? {} : { offersOnce: true }) }, open },
    settings,
    {
      receive: (event) => receive(event).then(() => "taken"),
      state: async (accountId, state) => void states.push({ accountId, state }),
      refused: async (event) => once?.refused(event),
      partSent: async (_, parts) => void partsSent.push(parts),
      log: async () => undefined,
    },
    clock,
  );
  const lastState = (accountId: string) => states.findLast((one) => one.accountId === accountId)?.state;
  return { channel, clock, states, lastState, partsSent, sent, hosts, runs };
}

test("a long text leaves in parts that the platform takes, each with a key of its own, and the first is the reply", async () => {
  const { channel, sent, partsSent } = serve({ default: {} });
  await settle();
  const message = outbound({ text: "one two three fourth", inReplyTo: "5" });
  expect(await channel.send(message, 0)).toEqual({ status: "sent", platformMessageId: "fourth" });
  expect(sent.map(({ text, idempotencyKey, inReplyTo }) => [text, idempotencyKey, inReplyTo])).toEqual([
    ["one two", "e1:1", "5"],
    ["three", "e1:2", undefined],
    ["fourth", "e1:3", undefined],
  ]);
  expect(partsSent).toEqual([1, 2]);
  sent.length = 0;
  expect(await channel.send(outbound({ text: "short" }), 0)).toMatchObject({ status: "sent" });
  expect(sent.map(({ idempotencyKey }) => idempotencyKey)).toEqual(["e1"]);
  await channel.close();
});

test("a message whose time is none came now", async () => {
  const times: number[] = [];
  const { channel, clock, hosts } = serve({ default: {} }, async ({ tsMs }) => void times.push(tsMs));
  await settle();
  const about = { peer: { kind: "direct", id: "7" }, sender: { id: "7" }, text: "hello" } as const;
  for (const tsMs of [Number.NaN, 9e15, 5]) await hosts.get("default")?.receive({ ...about, tsMs });
  expect(times).toEqual([clock.nowMs(), clock.nowMs(), 5]);
  await channel.close();
});

test("the platform's bound is counted as the platform counts, and the account may ask for less", async () => {
  const bytes = serve({ default: {} });
  await settle();
  await bytes.channel.send(outbound({ text: "äöü äöü" }), 0);
  expect(bytes.sent.map(({ text }) => text)).toEqual(["äöü", "äöü"]);
  const narrow = serve({ default: {} }, undefined, 5);
  await settle();
  await narrow.channel.send(outbound({ text: "one two" }), 0);
  expect(narrow.sent.map(({ text }) => text)).toEqual(["one", "two"]);
});

test("a part that fails says how many arrived, and the next attempt begins with it", async () => {
  let broken = true;
  const { channel, sent } = serve({
    default: {
      send: async ({ text }) =>
        broken && text === "three"
          ? { status: "failed", reason: "no", retry: true, retryAfterMs: 5 }
          : { status: "sent" },
    },
  });
  await settle();
  const message = outbound({ text: "one two three fourth" });
  expect(await channel.send(message, 0)).toEqual({
    status: "failed",
    reason: "no",
    retry: true,
    retryAfterMs: 5,
    partsSent: 1,
  });
  broken = false;
  sent.length = 0;
  await channel.send(message, 1);
  expect(sent.map(({ text }) => text)).toEqual(["three", "fourth"]);
});

test("an account that is not online is not asked, and one that throws may have sent it", async () => {
  const lost = serve({ default: { runs: [() => new Promise(() => undefined)] } });
  await settle();
  expect(await lost.channel.send(outbound(), 0)).toMatchObject({ status: "failed", offline: true, retry: true });
  expect(lost.sent).toEqual([]);
  const throwing = serve({ default: { send: () => Promise.reject(new Error("a fault of the adapter")) } });
  await settle();
  expect(await throwing.channel.send(outbound(), 0)).toMatchObject({
    status: "failed",
    retry: true,
    mayHaveArrived: true,
    partsSent: 0,
  });
});

test("an account that is not there is refused by its name: CLOISTER_CHANNEL_UNKNOWN", async () => {
  const { channel } = serve({ default: {}, work: {} });
  await expect(channel.send(outbound({ accountId: "other" }), 0)).rejects.toMatchObject({
    code: "CLOISTER_CHANNEL_UNKNOWN",
    remedy: "use one of: default, work",
  });
});

test("a lost connection is tried again after pauses that grow, and the other account does not notice", async () => {
  const lose = async (): Promise<void> => {
    throw failure("CLOISTER_CHANNEL_OFFLINE", "the platform is away");
  };
  const { clock, lastState, runs, channel } = serve({ bad: { runs: [lose, lose, lose, stay] }, good: {} });
  await settle();
  expect(lastState("bad")).toMatchObject({ type: "waiting", refusal: { code: "CLOISTER_CHANNEL_OFFLINE" } });
  expect(lastState("good")).toMatchObject({ type: "online" });
  await clock.advance(60_000);
  expect(clock.pauses).toEqual([750, 1_500, 3_000]);
  expect(lastState("bad")).toMatchObject({ type: "online" });
  expect(runs.get("good")).toBe(1);
  await channel.close();
});

test("a pause is short again after a connection that held", async () => {
  const drop = async (host: ChannelHost, signal: AbortSignal): Promise<void> => {
    host.online({ id: "1", name: "bot" });
    await host.pause(limits.channelStableMs, signal);
  };
  const { clock } = serve({ default: { runs: [drop] } });
  await clock.advance(4 * limits.channelStableMs);
  expect(clock.pauses.filter((ms) => ms !== limits.channelStableMs)).toEqual([750, 750, 750]);
});

test("an account that the platform does not take is not tried again: CLOISTER_CHANNEL_CREDENTIAL", async () => {
  const refuse = async (): Promise<void> => {
    throw failure("CLOISTER_CHANNEL_CREDENTIAL", "wrong token", "set another");
  };
  const { clock, lastState, runs, channel } = serve({ default: { runs: [refuse] } });
  await clock.advance(3_600_000);
  expect(lastState("default")).toMatchObject({ type: "failed", refusal: { code: "CLOISTER_CHANNEL_CREDENTIAL" } });
  expect(runs.get("default")).toBe(1);
  await channel.close();
});

test("an account that the platform did not take begins anew when it has another credential, and is looked after no longer than it waits", async () => {
  const other = Promise.withResolvers<void>();
  const waits: AbortSignal[] = [];
  const refuse = async (): Promise<void> => {
    throw failure("CLOISTER_CHANNEL_CREDENTIAL", "wrong token", "set another");
  };
  const whenOther = (signal: AbortSignal): Promise<void> => {
    waits.push(signal);
    return waits.length === 1 ? other.promise : new Promise(() => undefined);
  };
  const { clock, lastState, runs, channel } = serve({ default: { runs: [refuse, stay], whenOther } });
  await clock.advance(3_600_000);
  expect([lastState("default")?.type, runs.get("default")]).toEqual(["failed", 1]);
  other.resolve();
  await settle();
  expect([lastState("default")?.type, runs.get("default")]).toEqual(["online", 2]);
  expect(waits.map(({ aborted }) => aborted)).toEqual([true]);
  await channel.close();
});

test("messages of one peer are handed on in their order, and those of others do not wait", async () => {
  const taken: string[] = [];
  const first = Promise.withResolvers<void>();
  const { hosts } = serve({ default: {} }, async ({ text, channel, accountId }) => {
    taken.push(`${channel}/${accountId}: ${text}`);
    if (text === "a") await first.promise;
  });
  const host = hosts.get("default");
  if (host === undefined) throw new Error("the account is not open");
  const received = [host.receive(said("a")), host.receive(said("b")), host.receive(said("x", "8"))];
  await settle();
  expect(taken).toEqual(["test/default: a", "test/default: x"]);
  first.resolve();
  await Promise.all(received);
  expect(taken).toEqual(["test/default: a", "test/default: x", "test/default: b"]);
});

test("a message that was not taken is told to its adapter alone, and the next one goes on", async () => {
  const { hosts } = serve({ default: {} }, async ({ text }) => {
    if (text === "a") throw failure("CLOISTER_GATEWAY_DRAINING", "the gateway is shutting down");
  });
  const host = hosts.get("default");
  const [first, second] = await Promise.allSettled([host?.receive(said("a")), host?.receive(said("b"))]);
  expect(first).toMatchObject({ status: "rejected", reason: { code: "CLOISTER_GATEWAY_DRAINING" } });
  expect(second).toMatchObject({ status: "fulfilled" });
});

test("beyond its bound an account takes no more: CLOISTER_CHANNEL_BUSY", async () => {
  const { hosts } = serve({ default: {} }, () => new Promise(() => undefined));
  const host = hosts.get("default");
  for (let n = 0; n < limits.channelIntakeMax; n++) void host?.receive(said("a", String(n)));
  await expect(host?.receive(said("a"))).rejects.toMatchObject({ code: "CLOISTER_CHANNEL_BUSY" });
});

test("beyond its bound an account keeps as a dead letter what its platform does not offer again, and of that no more than may be under way", async () => {
  const letters: string[] = [];
  const kept = Promise.withResolvers<void>();
  const refused = async ({ text }: InboundEvent): Promise<void> => {
    letters.push(text);
    await kept.promise;
  };
  const { hosts } = serve({ default: {} }, () => new Promise(() => undefined), 4_000, { refused });
  const host = hosts.get("default");
  if (host === undefined) throw new Error("the account is not open");
  for (let n = 0; n < limits.channelIntakeMax; n++) void host.receive(said("a", String(n)));
  const over = Array.from({ length: limits.channelRefusalsMax }, (_, at) => host.receive(said(`over ${at}`)));
  await expect(host.receive(said("lost"))).rejects.toMatchObject({ code: "CLOISTER_CHANNEL_BUSY" });
  kept.resolve();
  expect(new Set(await Promise.all(over))).toEqual(new Set(["taken"]));
  expect(await host.receive(said("later"))).toBe("taken");
  expect([letters.length, letters.at(-1)]).toEqual([limits.channelRefusalsMax + 1, "later"]);
});

/** An account that is linked by a code, as WhatsApp's: whether it may link is asked when the connection is there. */
function serveLinked() {
  const connected = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  let begun = 0;
  let ended = 0;
  let mayLink = false;
  const run = async (host: ChannelHost, signal: AbortSignal): Promise<void> => {
    const own = connected[begun++];
    signal.addEventListener("abort", () => ended++);
    await own?.promise;
    if (!mayLink) throw failure("CLOISTER_CHANNEL_CREDENTIAL", "it is not linked with a phone");
    host.linking({ text: `code ${begun}`, expiresAtMs: 9 });
    await new Promise((resolve) => signal.addEventListener("abort", resolve));
  };
  return {
    ...serve({ default: { runs: [run], link: () => void (mayLink = true) } }),
    connects: async (at: number) => {
      connected[at]?.resolve();
      await settle();
    },
    book: () => ({ begun, ended }),
  };
}

test("a login that is asked for while the account connects does not end that connection, however often it is asked", async () => {
  const { channel, connects, book } = serveLinked();
  await settle();
  for (let asked = 0; asked < 3; asked++) expect(await channel.link("default", true)).toEqual({ type: "connecting" });
  expect(book()).toEqual({ begun: 1, ended: 0 });
  await connects(0);
  expect(await channel.link("default", true)).toMatchObject({ type: "linking", code: { text: "code 1" } });
  expect(book()).toEqual({ begun: 1, ended: 0 });
  await channel.close();
});

test("a login that is asked for too late for a connection has one of its own, and nobody is told that the first one failed", async () => {
  const refused = Promise.withResolvers<void>();
  let mayLink = false;
  const { channel, states, runs } = serve({
    default: {
      runs: [
        async () => {
          await refused.promise;
          throw failure("CLOISTER_CHANNEL_CREDENTIAL", "it is not linked with a phone");
        },
        async (host, signal) => {
          if (!mayLink) throw failure("CLOISTER_CHANNEL_CREDENTIAL", "it is not linked with a phone");
          host.linking({ text: "code", expiresAtMs: 9 });
          await new Promise((resolve) => signal.addEventListener("abort", resolve));
        },
        async () => Promise.reject(failure("CLOISTER_CHANNEL_CREDENTIAL", "nobody scanned the code in time")),
      ],
      link: () => void (mayLink = true),
    },
  });
  await settle();
  await channel.link("default", true);
  refused.resolve();
  await settle();
  expect(runs.get("default")).toBe(2);
  expect(states.map(({ state }) => state.type)).not.toContain("failed");
  expect(await channel.link("default", false)).toMatchObject({ type: "linking" });
  // What fails after a code was shown is told, and not tried again.
  await channel.unlink("default");
  await settle();
  expect([runs.get("default"), (await channel.link("default", false)).type]).toEqual([3, "failed"]);
  await channel.close();
});

test("agents that share an account change and remove what they have sent themselves alone, and react to all", async () => {
  const asked: ChannelAction[] = [];
  const act = async (action: ChannelAction): Promise<SendResult> => {
    asked.push(action);
    return { status: "sent" };
  };
  const { channel } = serve({ default: { act } });
  await settle();
  const message = outbound({ agentId: "main", text: "mine" });
  expect(await channel.send(message, 0)).toMatchObject({ platformMessageId: "mine" });
  // The gateway itself has said something.
  await channel.send(outbound({ agentId: "", text: "a notice" }), 0);
  const { peer } = message;
  const edit = { type: "edit", text: "new" } as const;
  const remove = { type: "remove" } as const;
  const react = { type: "react", emoji: "x" } as const;
  const change = (agentId: string | undefined, messageId: string, what: ChannelAction["change"]) =>
    channel.act("default", { ...(agentId === undefined ? {} : { agentId }), peer, messageId, change: what });
  const others = "was not sent by raul; an agent changes and removes its own";
  const unknown = /is none that this account has sent since its channel started; others are not (changed|removed)/;
  for (const [agentId, messageId, what, reason] of [
    ["raul", "mine", edit, others],
    ["raul", "mine", remove, others],
    ["raul", "a notice", edit, others],
    ["main", "unknown", edit, unknown],
    ["main", "unknown", remove, unknown],
    [undefined, "unknown", remove, unknown],
  ] as const) {
    const result = await change(agentId, messageId, what);
    expect(result).toMatchObject({ status: "failed", retry: false });
    expect(result.status === "failed" ? result.reason : "").toMatch(reason);
  }
  expect(asked).toEqual([]);
  for (const [agentId, messageId, what] of [
    ["main", "mine", edit],
    ["raul", "mine", react],
    ["raul", "unknown", react],
    // The gateway itself has shown what becomes an answer.
    [undefined, "shown before", edit],
    ["main", "mine", remove],
  ] as const)
    expect(await change(agentId, messageId, what)).toEqual({ status: "sent" });
  expect(asked[0]).toEqual({ peer, messageId: "mine", change: edit });
  expect(asked).toHaveLength(5);
});

describe("secrets that are read anew", () => {
  const unread = [{ path: "channels.x.accounts.lost.botToken", message: "there is none", remedy: "keep it" }];
  const other = { renewed: ["channels.x.accounts.other.botToken"], unread: [] };

  test("an account behind whose key another one is begins anew at once, and all others are left alone", async () => {
    const { channel, clock, runs, states } = serve({
      other: { readSecrets: async () => other },
      same: { readSecrets: async () => nothingRead },
      lost: { readSecrets: async () => ({ renewed: [], unread }) },
      plain: {},
    });
    await settle();
    const before = states.length;
    const atMs = clock.nowMs();
    expect(await channel.readSecrets()).toEqual({ ...other, unread });
    await settle();
    expect(Object.fromEntries(runs)).toEqual({ other: 2, same: 1, lost: 1, plain: 1 });
    expect(states.slice(before).map(({ accountId, state }) => [accountId, state.type])).toEqual([
      ["other", "connecting"],
      ["other", "connecting"],
      ["other", "online"],
    ]);
    expect(clock.nowMs()).toBe(atMs);
    await channel.close();
  });

  test("while it begins anew nothing is sent by the connection of before", async () => {
    const closed = Promise.withResolvers<void>();
    const stayLong = async (host: ChannelHost, signal: AbortSignal): Promise<void> => {
      await stay(host, signal);
      await closed.promise;
    };
    const { channel, sent } = serve({ default: { runs: [stayLong, stay], readSecrets: async () => other } });
    await settle();
    await channel.readSecrets();
    expect(await channel.send(outbound(), 0)).toMatchObject({ status: "failed", retry: true, offline: true });
    expect(sent).toEqual([]);
    closed.resolve();
    await settle();
    expect(await channel.send(outbound(), 0)).toMatchObject({ status: "sent" });
    await channel.close();
  });

  test("an account that its platform did not take is tried with another one, and not with the same again", async () => {
    const refuse = () => Promise.reject(failure("CLOISTER_CHANNEL_CREDENTIAL", "wrong token"));
    const { channel, lastState } = serve({
      other: { runs: [refuse, stay], readSecrets: async () => other },
      same: { runs: [refuse, stay], readSecrets: async () => nothingRead },
    });
    await settle();
    await channel.readSecrets();
    await settle();
    expect([lastState("other")?.type, lastState("same")?.type]).toEqual(["online", "failed"]);
    await channel.close();
  });

  test("an account that waits for one that could not be read is tried as soon as it can be", async () => {
    const miss = () => Promise.reject(failure("CLOISTER_SECRET_MISSING", "it cannot be read"));
    const { channel, lastState } = serve({
      there: { runs: [miss, stay], readSecrets: async () => nothingRead },
      lost: { runs: [miss, stay], readSecrets: async () => ({ renewed: [], unread }) },
    });
    await settle();
    expect([lastState("there")?.type, lastState("lost")?.type]).toEqual(["waiting", "waiting"]);
    await channel.readSecrets();
    await settle();
    expect([lastState("there")?.type, lastState("lost")?.type]).toEqual(["online", "waiting"]);
    await channel.close();
  });
});

test("an account whose credential is refused for a text logs in anew, once for all that its connection sent, and the text waits", async () => {
  const refused = { status: "failed", reason: "401", retry: true, credential: true } as const;
  const answers = Promise.withResolvers<SendResult>();
  const opening = Promise.withResolvers<void>();
  const comeLate = async (host: ChannelHost, signal: AbortSignal): Promise<void> => {
    await opening.promise;
    await stay(host, signal);
  };
  const { channel, runs, sent } = serve({ default: { runs: [stay, comeLate], send: () => answers.promise } });
  await settle();
  const sending = ["7", "8"].map((id) => channel.send(outbound({ peer: { kind: "direct", id } }), 0));
  await settle();
  answers.resolve(refused);
  for (const one of sending)
    expect(await one).toMatchObject({ status: "failed", reason: "401", retry: true, partsSent: 0 });
  await settle();
  expect(runs.get("default")).toBe(2);
  expect(await channel.send(outbound(), 0)).toMatchObject({ status: "failed", offline: true });
  expect(sent).toHaveLength(2);
  opening.resolve();
  await settle();
  await channel.close();
});
