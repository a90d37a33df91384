/** The part of the contract of channels that is about texts on their way out: cut, in threads, and while the channel ends. */
import type { AccountSettings } from "../../channels/port.ts";
import type { ContractKit } from "./channel-contract.ts";
import type { ChannelRig, OpenChannel } from "./channel-port.ts";

const isFence = (line: string): boolean => line.startsWith("```");

export function describeSending<S extends AccountSettings>(
  { module: { manifest } }: ChannelRig<S>,
  open: () => Promise<OpenChannel>,
  { test, expect, eventually }: ContractKit,
): void {
  const { capabilities, text: bound } = manifest;

  test(
    capabilities.threads
      ? "answers in the thread that it is told, and beside it where it is told none"
      : "has no threads: an answer for one goes to the place itself",
    async () => {
      const { send, platform } = await open();
      if (!capabilities.threads) {
        const { peer } = platform.person;
        expect(await send({ peer, threadId: "77", text: "here" })).toMatchObject({ status: "sent" });
        await eventually(() => expect(platform.arrived()).toEqual([{ place: peer.id, text: "here" }]));
        return;
      }
      const { thread } = platform;
      if (thread === undefined) throw new Error("a rig of a channel with threads has one");
      expect(await send({ peer: thread.peer, threadId: thread.id, text: "in it" })).toMatchObject({ status: "sent" });
      expect(await send({ peer: thread.peer, text: "beside it" })).toMatchObject({ status: "sent" });
      await eventually(() => expect(platform.arrived().map(({ text }) => text)).toEqual(["in it", "beside it"]));
      expect(thread.texts()).toEqual(["in it"]);
      expect(platform.violations()).toEqual([]);
    },
  );

  test("cuts a long answer into what the platform takes, and loses no word", async () => {
    const { send, platform } = await open();
    const words = Array.from({ length: bound.max }, (_, n) => `w${n}`);
    expect(await send({ peer: platform.person.peer, text: words.join(" ") })).toMatchObject({ status: "sent" });
    await eventually(() => {
      const texts = platform.arrived().map(({ text }) => text);
      expect(texts.join(" ").split(" ")).toEqual(words);
      expect(texts.length).toBeGreaterThan(1);
    });
    expect(platform.violations()).toEqual([]);
  });

  test("cuts a long block of code so that each message has a whole one, and loses no line of it", async () => {
    const { send, platform } = await open();
    const code = Array.from({ length: Math.ceil(bound.max / 10) }, (_, n) => `const line${n} = ${n};`);
    const text = ["Look:", "```ts", ...code, "```", "That is all."].join("\n");
    expect(await send({ peer: platform.person.peer, text })).toMatchObject({ status: "sent" });
    await eventually(() => {
      const messages = platform.arrived().map((message) => message.text.split("\n"));
      const lines = messages.flat();
      expect(lines.filter((line) => line.startsWith("const "))).toEqual(code);
      expect([lines[0], lines.at(-1)]).toEqual(["Look:", "That is all."]);
      expect(messages.length).toBeGreaterThan(1);
      // Where a message is one line alone, those of a part are several.
      const parts = messages.every((message) => message.length === 1) ? [lines] : messages;
      for (const part of parts) expect(part.filter(isFence).length % 2).toBe(0);
    });
  });

  test("ends when it is told to, also while it sends", async () => {
    const { channel, send, platform } = await open();
    const sent = send({ peer: platform.person.peer, text: "last words" });
    await channel.close();
    expect(["sent", "failed"]).toContain((await sent).status);
    await platform.say("too late").catch(() => undefined);
  });

  test("ends in the middle of a long answer, and says of no part that it arrived which has not", async () => {
    const { channel, send, platform } = await open();
    const words = Array.from({ length: bound.max }, (_, n) => `w${n}`);
    const sending = send({ peer: platform.person.peer, text: words.join(" ") });
    await eventually(() => expect(platform.arrived().length).toBeGreaterThan(0));
    await channel.close();
    const result = await sending;
    await eventually(() => {
      const arrived = platform.arrived().map(({ text }) => text);
      const seen = arrived.join(" ").split(" ");
      // What is there is the beginning of it, each part once.
      expect(seen).toEqual(words.slice(0, seen.length));
      if (result.status === "sent") expect(seen).toHaveLength(words.length);
      else {
        expect(arrived.length).toBeGreaterThanOrEqual(result.partsSent);
        expect(result.retry).toBe(true);
      }
    });
  });
}
