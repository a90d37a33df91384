/**
 * What every channel has to do, whatever its platform: each of Cloister's own is held to it, and authors hold theirs to it, with a rig of about twenty
 * lines that says who writes, what arrived, and how to drop the connection.
 */
import { mkdtemp, readFile, writeFile } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import type { AccountSettings, InboundEvent } from "../../channels/port.ts";
import { failure } from "../kernel/errors.ts";
import { makeIntake } from "../supervisor/channels/intake.ts";
import type { ChannelRig, OpenChannel, TestRunner } from "./channel-port.ts";
import { describeSending } from "./channel-sending.ts";
import { type Eventually, makeEventually, makeOpenAccount, type OpenAccount } from "./channel-world.ts";

export interface ChannelContract {
  /** The tests of the contract. */
  readonly describeChannel: <S extends AccountSettings>(rig: ChannelRig<S>) => void;
  /**
   * For tests of one's own: opens the account and waits until it is online. Pauses before another attempt are short; those that wait for an answer are
   * not.
   */
  readonly openChannel: OpenAccount;
}

export interface ContractKit extends TestRunner {
  readonly eventually: Eventually;
  readonly openChannel: OpenAccount;
}

const withReactions = <S extends AccountSettings>(
  { open, ...rig }: ChannelRig<S>,
  reactions: AccountSettings["reactions"],
): ChannelRig<S> => ({
  ...rig,
  open: async () => {
    const { settings, ...scene } = await open();
    return { ...scene, settings: { ...settings, ...(reactions === undefined ? {} : { reactions }) } };
  },
});

/**
 * The contract that every channel of Cloister is held to, for a test runner.
 *
 * ```ts
 * import { afterEach, describe, expect, test } from "vitest";
 * const { describeChannel } = makeChannelContract({ afterEach, describe, expect, test });
 * describeChannel({ module: await loadChannel("./index.ts"), idsOfMessages: true, open: openMyPlatform });
 * ```
 */
export function makeChannelContract(runner: TestRunner): ChannelContract {
  const eventually = makeEventually(runner.patienceMs);
  const openChannel = makeOpenAccount(runner, eventually);
  return { openChannel, describeChannel: (rig) => describeChannel(rig, { ...runner, eventually, openChannel }) };
}

function describeChannel<S extends AccountSettings>(rig: ChannelRig<S>, kit: ContractKit): void {
  const { describe, test, expect, eventually, openChannel } = kit;
  const { manifest } = rig.module;
  const { capabilities } = manifest;
  const hasConnection = rig.wayIn === undefined;
  const open = (take?: (event: InboundEvent) => Promise<void>): Promise<OpenChannel> => openChannel(rig, take);

  describe(`the contract of channels: ${[manifest.id, rig.wayIn ?? []].flat().join(", ")}`, () => {
    test("tells who it is once the platform has let it in", async () => {
      const { states, channel } = await open();
      expect(states[0]).toEqual({ type: "connecting" });
      const last = states.at(-1);
      if (last?.type !== "online") throw new Error("it is not online");
      expect(last.identity.id).not.toBe("");
      expect(await channel.probe("default")).toMatchObject({ ok: true, identity: last.identity });
    });

    test("hands on a direct message with all that the platform tells, and nothing that it does not", async () => {
      const { received, platform } = await open();
      await platform.say("good morning");
      await eventually(() => expect(received).toHaveLength(1));
      const { peer, senderId, senderName } = platform.person;
      expect(received[0]).toMatchObject({
        channel: manifest.id,
        accountId: "default",
        peer,
        sender: { id: senderId, name: senderName },
        text: "good morning",
        selfId: expect.stringMatching(/\S/),
      });
      expect(received[0]?.messageId === undefined).toBe(!rig.idsOfMessages);
      expect(received[0]?.wasMentioned).toBeUndefined();
      expect(Math.abs((received[0]?.tsMs ?? 0) / 1e12)).toBeGreaterThan(1);
    });

    test("tells in a group whether the account is mentioned", async () => {
      const { received, platform } = await open();
      await platform.say("what a day", { inGroup: true });
      await platform.say("what do you think", { inGroup: true, mentions: true });
      await eventually(() => expect(received).toHaveLength(2));
      expect(received.map(({ peer, wasMentioned }) => ({ peer, wasMentioned }))).toEqual([
        { peer: platform.group, wasMentioned: false },
        { peer: platform.group, wasMentioned: true },
      ]);
    });

    test("keeps the order of one peer's messages", async () => {
      const { received, platform } = await open(async ({ text }) => {
        // Earlier ones take longer.
        for (let n = 20 - Number(text); n > 0; n--) await new Promise((resolve) => setImmediate(resolve));
      });
      const texts = Array.from({ length: 20 }, (_, n) => String(n));
      for (const text of texts) await platform.say(text);
      await eventually(() => expect(received).toHaveLength(20));
      expect(received.map(({ text }) => text)).toEqual(texts);
    });

    test("hands on what the platform tells late, and knows what it tells twice by its id", async () => {
      const { received, platform } = await open();
      for (const at of [2, 1, 2, 3]) await platform.say(`number ${at}`, { at });
      const ofOnce = (): readonly InboundEvent[] =>
        received.filter(({ messageId }, at) => {
          const first = received.findIndex((event) => event.messageId === messageId);
          return !rig.idsOfMessages || first === at;
        });
      const wanted = rig.idsOfMessages ? [2, 1, 3] : [2, 1, 2, 3];
      await eventually(() => expect(ofOnce().map(({ text }) => text)).toEqual(wanted.map((at) => `number ${at}`)));
      if (platform.unconfirmed() !== undefined) await eventually(() => expect(platform.unconfirmed()).toBe(0));
      expect(platform.violations()).toEqual([]);
    });

    test("says that a message arrived only when it is stored", async () => {
      const stored = Promise.withResolvers<void>();
      const came = Promise.withResolvers<void>();
      const { received, platform, channel } = await open(() => {
        came.resolve();
        return stored.promise;
      });
      await platform.say("keep this");
      if (platform.unconfirmed() !== undefined) {
        await came.promise;
        // Behind what the channel may have said of it by now.
        expect(await channel.probe("default")).toMatchObject({ ok: true });
        expect(platform.unconfirmed()).toBe(1);
        stored.resolve();
        await eventually(() => expect(platform.unconfirmed()).toBe(0));
      } else stored.resolve();
      await eventually(() => expect(received).toHaveLength(1));
    });

    test("is offered again what was not taken, where the platform keeps it, and goes on where it does not", async () => {
      let refused = 0;
      const { received, platform, logged } = await open(async () => {
        if (refused++ === 0) throw failure("CLOISTER_GATEWAY_DRAINING", "the gateway is shutting down");
      });
      await platform.say("first");
      await eventually(() => expect(refused).toBeGreaterThan(0));
      await platform.say("second");
      const wanted = platform.unconfirmed() === undefined ? ["second"] : ["first", "second"];
      await eventually(() => expect(received.map(({ text }) => text)).toEqual(wanted));
      if (platform.unconfirmed() === undefined) expect(logged.join()).toMatch(/not taken/);
    });

    test("gives up a message that the gateway always fails on, and goes on with those behind it", async () => {
      const givenUp: string[] = [];
      const { receive: poisoned } = makeIntake({
        inbound: async ({ text }) => {
          if (text === "poison") throw new TypeError("it always fails");
          return {
            status: "accepted",
            runId: "r",
            agentId: "main",
            sessionKey: "agent:main:main",
            matchedBy: "default",
          };
        },
        onTaken: () => undefined,
        onAccepted: () => undefined,
        giveUp: async ({ text }, fate) => void givenUp.push(`${text}: ${fate}`),
        isMeant: async () => true,
        tellSender: () => undefined,
        offersOnce: () => manifest.offersOnce === true,
        clock: { nowMs: () => Date.now(), random: () => 0, pause: async () => undefined },
        log: { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined },
        ending: new AbortController().signal,
      });
      const { received, platform, states } = await openChannel(rig, poisoned);
      expect(platform.unconfirmed() === undefined).toBe(manifest.offersOnce === true);
      const before = states.length;
      for (const text of ["first", "poison", "second"]) await platform.say(text);
      await eventually(() => expect(received.map(({ text }) => text)).toEqual(["first", "poison", "second"]));
      expect([givenUp, states.length]).toEqual([["poison: undeliverable"], before]);
      if (platform.unconfirmed() !== undefined) await eventually(() => expect(platform.unconfirmed()).toBe(0));
    });

    test("brings answers to the person and to the group, each in order", async () => {
      const { send, platform } = await open();
      const { peer } = platform.person;
      for (const text of ["one", "two"]) expect(await send({ peer, text })).toMatchObject({ status: "sent" });
      expect(await send({ peer: platform.group, text: "three" })).toMatchObject({ status: "sent" });
      await eventually(() =>
        expect(platform.arrived()).toEqual([
          { place: peer.id, text: "one" },
          { place: peer.id, text: "two" },
          { place: platform.group.id, text: "three" },
        ]),
      );
    });

    test("a text that is sent again under its key arrives once where the manifest says so, and again where it does not", async () => {
      const { send, platform } = await open();
      const { peer } = platform.person;
      const text = { peer, text: "once more", idempotencyKey: "the same" };
      for (const _ of ["first", "again"]) expect(await send(text)).toMatchObject({ status: "sent" });
      expect(await send({ peer, text: "the end" })).toMatchObject({ status: "sent" });
      await eventually(() => expect(platform.arrived().at(-1)).toMatchObject({ text: "the end" }));
      const times = manifest.dedupesSendsMs > 0 || rig.appsKnowRepeats === true ? 1 : 2;
      expect(platform.arrived().map((arrived) => arrived.text)).toEqual([
        ...Array.from({ length: times }, () => "once more"),
        "the end",
      ]);
    });

    test("refuses a peer that the platform cannot have, without another attempt", async () => {
      const { send, platform } = await open();
      expect(await send({ peer: platform.nowhere })).toMatchObject({
        status: "failed",
        retry: false,
        reason: expect.stringContaining(JSON.stringify(platform.nowhere.id)),
      });
      expect(platform.arrived()).toEqual([]);
    });

    if (hasConnection)
      test("comes back after its connection was lost, and hears and sends again", async () => {
        const { states, online, platform, received, send } = await open();
        await platform.lose?.();
        await eventually(() => expect(states.some(({ type }) => type === "waiting")).toBe(true));
        await online();
        await platform.say("still there");
        await eventually(() => expect(received.map(({ text }) => text)).toEqual(["still there"]));
        expect(await send({ peer: platform.person.peer, text: "yes" })).toMatchObject({ status: "sent" });
        await eventually(() => expect(platform.arrived().map(({ text }) => text)).toEqual(["yes"]));
      });

    test(`${manifest.capabilities.typing ? "shows" : "does not pretend to show"} that the agent is at work`, async () => {
      const { channel, platform } = await open();
      expect(manifest.typingMs > 0).toBe(manifest.capabilities.typing);
      await channel.typing("default", platform.person.peer, undefined);
      await eventually(() => expect(platform.typed()).toBe(manifest.capabilities.typing ? 1 : undefined));
    });

    test(capabilities.media ? "carries files both ways" : "refuses files, which it does not declare", async () => {
      const { channel, send, platform, received } = await open();
      const { peer } = platform.person;
      const workspace = await mkdtemp(path.join(os.tmpdir(), "files-"));
      await writeFile(path.join(workspace, "notes.txt"), "for you");
      const files = [{ workspace, path: "notes.txt" }];
      const to = { workspace, folder: "inbox/1", name: "in.txt", bytesMax: 1_000 };
      if (!capabilities.media) {
        expect(await send({ peer, files })).toMatchObject({ status: "failed", retry: false });
        const media = { kind: "document", ref: "none" } as const;
        expect(await channel.fetch("default", media, to)).toMatchObject({ status: "failed" });
        return;
      }
      expect(await send({ peer, text: "here it is", files })).toMatchObject({ status: "sent" });
      await eventually(() =>
        expect(platform.files?.()).toEqual([{ place: peer.id, name: "notes.txt", content: "for you" }]),
      );
      await platform.sayFile?.("from me", { name: "in.txt", content: "for the agent" });
      await eventually(() => expect(received).toHaveLength(1));
      expect(received[0]?.text).toMatch(/^\[\w+: in\.txt\]\nfrom me$/);
      const [media] = received[0]?.media ?? [];
      if (media === undefined) throw new Error("the message has no file");
      expect(await channel.fetch("default", media, to)).toEqual({ status: "saved", bytes: 13 });
      expect(await readFile(path.join(workspace, "inbox/1/in.txt"), "utf8")).toBe("for the agent");
      expect(await channel.fetch("default", media, { ...to, name: "again.txt", bytesMax: 12 })).toMatchObject({
        status: "failed",
      });
      expect(platform.violations()).toEqual([]);
    });

    for (const [capability, change] of [
      ["edit", { type: "edit", text: "better" }],
      ["reactions", { type: "react", emoji: "👍" }],
      ["deletes", { type: "remove" }],
    ] as const)
      test(`changes a message as it declares, and refuses what it does not: ${capability}`, async () => {
        const { channel, send, platform } = await open();
        const { peer } = platform.person;
        const sent = await send({ peer, text: "first" });
        const messageId = (sent.status === "sent" ? sent.platformMessageId : undefined) ?? "none";
        const result = await channel.act("default", { peer, messageId, change });
        expect(result).toMatchObject(
          capabilities[capability] ? { status: "sent" } : { status: "failed", retry: false },
        );
        await eventually(() =>
          expect(platform.changes?.() ?? []).toEqual(capabilities[capability] ? [{ messageId, change }] : []),
        );
        expect(platform.violations()).toEqual([]);
      });

    test("tells of reactions as the account is to hear of them: none, those to its own messages, all, those of a list", async () => {
      const heard = async (reactions: AccountSettings["reactions"]): Promise<readonly InboundEvent[]> => {
        const { send, platform, received } = await openChannel(withReactions(rig, reactions));
        if (platform.react === undefined) return [];
        const sent = await send({ peer: platform.person.peer, text: "shall I go on?" });
        const own = sent.status === "sent" ? (sent.platformMessageId ?? "") : "";
        await platform.react(own, "👍", false);
        await platform.react(own, "👍", true);
        await platform.react(platform.person.ownMessageId ?? "", "👍", false);
        await platform.say("the end");
        await eventually(() => expect(received.map(({ text }) => text)).toContain("the end"));
        expect(platform.violations()).toEqual([]);
        return received.slice(0, -1).map((event) => ({ ...event, text: event.text.replaceAll(own, "OWN") }));
      };
      const all = await heard({ of: "all" });
      if (all.length === 0) return;
      const other = all[2]?.replyTo;
      const texts = [
        '[reaction 👍 to your message OWN: "shall I go on?"]',
        '[reaction 👍 taken back from your message OWN: "shall I go on?"]',
        `[reaction 👍 to message ${other}]`,
      ];
      expect(all.map(({ text }) => text)).toEqual(texts);
      const { peer, senderId } = (await open()).platform.person;
      for (const event of all) expect(event).toMatchObject({ peer, sender: { id: senderId } });
      expect(new Set(all.map(({ messageId }) => messageId)).size).toBe(3);
      const textsOf = async (reactions: AccountSettings["reactions"]) =>
        (await heard(reactions)).map(({ text }) => text);
      expect(await textsOf({ of: "own" })).toEqual(texts.slice(0, 2));
      expect(await textsOf({ of: "allowlist", senders: [senderId.toLowerCase()] })).toHaveLength(3);
      expect(await textsOf({ of: "allowlist", senders: ["somebody"] })).toEqual([]);
      expect(await textsOf(undefined)).toEqual([]);
    });

    test(
      capabilities.buttons
        ? "shows buttons, and hands on what they say for whoever presses one"
        : "writes the words of buttons, which it does not declare",
      async () => {
        const { send, platform, received } = await open();
        const { peer, senderId } = platform.person;
        const buttons = [
          { label: "Yes", text: "/approve x-1 allow" },
          { label: "No", text: "/approve x-1 deny" },
        ];
        expect(await send({ peer, text: "sure?", buttons })).toMatchObject({ status: "sent" });
        const words = (): string =>
          platform
            .arrived()
            .map(({ text }) => text)
            .join("\n");
        if (!capabilities.buttons) {
          await eventually(() =>
            expect(words()).toMatch(/sure\?[^]*\/approve x-1 allow \(Yes\)[^]*\/approve x-1 deny/),
          );
          return;
        }
        await eventually(() => expect(platform.buttons?.()).toEqual(["Yes", "No"]));
        expect(words()).toBe("sure?");
        await platform.press?.("No");
        await eventually(() => expect(received).toHaveLength(1));
        expect(received[0]).toMatchObject({
          peer,
          sender: { id: senderId },
          text: "/approve x-1 deny",
          messageId: expect.stringMatching(/\S/),
        });
        expect(platform.violations()).toEqual([]);
      },
    );

    test(
      capabilities.nativeCommands
        ? "hands on a command of the platform's own that somebody gives, of the gateway's where the menu has those"
        : "shows no menu of commands, which it does not declare",
      async () => {
        const { platform, received } = await open();
        if (!capabilities.nativeCommands) {
          expect(platform.menu?.()).toBeUndefined();
          return;
        }
        if (platform.menu !== undefined) await eventually(() => expect(platform.menu?.()).toEqual(["/status"]));
        await platform.give?.("/status", "in full");
        await eventually(() => expect(received).toHaveLength(1));
        const { peer, senderId } = platform.person;
        expect(received[0]).toMatchObject({ peer, sender: { id: senderId }, text: "/status in full" });
        expect(received[0]?.messageId).toMatch(/\S/);
        expect(platform.violations()).toEqual([]);
      },
    );

    describeSending(rig, open, kit);

    test("breaks no rule of the platform in any of this", async () => {
      const { send, platform } = await open();
      await platform.say("hello", { inGroup: true, mentions: true });
      await send({ peer: platform.group, text: "```ts\nconst a = 1;\n```", inReplyTo: "1" });
      await send({ peer: platform.person.peer, text: "  \n a \r\n b \u0000 c" });
      await eventually(() => expect(platform.arrived().length).toBeGreaterThan(1));
      expect(platform.violations()).toEqual([]);
    });
  });
}
