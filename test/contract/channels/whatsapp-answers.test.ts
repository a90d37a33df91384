/** WhatsApp answers late, not at all, or that it is too much at once: what becomes of the texts that people are to have, over the real library. */
import { afterEach, expect, test, vi } from "vitest";
import type { Peer } from "../../../channels/port.ts";
import { manifest } from "../../../channels/whatsapp/manifest.ts";
import { limits } from "../../../runtime/kernel/limits.ts";
import { makeOutbox } from "../../../runtime/supervisor/channels/outbox.ts";
import { makeKeptLog, outbound } from "../../support/channels.ts";
import { eventually } from "../../support/eventually.ts";
import type { WhatsAppOptions } from "../../support/whatsapp-socket.ts";
import { open } from "./whatsapp-rig.ts";

afterEach(() => void vi.useRealTimers());

/** The account with the outbox that the gateway has for it. The pauses of the outbox are over at once, and the library's own are the test's. */
async function openWithOutbox(options: WhatsAppOptions = {}) {
  const scene = await open(undefined, options);
  const pauses: number[] = [];
  const repeated: string[] = [];
  let nowMs = 0;
  const outbox = makeOutbox({
    attempt: (message, fromPart) => scene.channel.send(message, fromPart),
    dedupesSendsMs: manifest.dedupesSendsMs,
    onRepeat: ({ text }) => void repeated.push(text),
    clock: {
      nowMs: () => nowMs,
      random: () => 0.5,
      async pause(ms) {
        pauses.push(ms);
        nowMs += ms;
      },
    },
    log: makeKeptLog().log,
  });
  const say = (text: string, peer: Peer = scene.platform.person.peer) =>
    outbox.send(outbound({ channel: "whatsapp", idempotencyKey: text, peer, text }));
  const texts = (): readonly string[] => scene.server.arrived.map(({ text }) => text);
  const useLibraryClock = (): void => void vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
  return { ...scene, outbox, pauses, repeated, say, texts, useLibraryClock };
}

test("what is too much at once is sent after a pause as often as WhatsApp wants one, each text once and in order", async () => {
  const { server, say, texts, pauses, repeated } = await openWithOutbox();
  const often = limits.channelAttemptsMax + 1;
  server.refusals.push(...Array.from({ length: often }, () => 429));
  const sent = await Promise.all(["one", "two"].map((text) => say(text)));
  expect(sent).toMatchObject([{ status: "sent" }, { status: "sent" }]);
  expect(texts()).toEqual(["one", "two"]);
  expect(pauses).toEqual(Array.from({ length: often }, () => limits.whatsappPauseMs));
  expect([repeated, server.repeated, server.violations]).toEqual([[], [], []]);
});

test("the same of what has to be asked before a text", async () => {
  const { server, say, texts, pauses } = await openWithOutbox();
  const often = limits.channelAttemptsMax + 1;
  server.questionRefusals.push(...Array.from({ length: often }, () => 429));
  expect(await say("who are you")).toMatchObject({ status: "sent" });
  expect(texts()).toEqual(["who are you"]);
  expect(pauses).toEqual(Array.from({ length: often }, () => limits.whatsappPauseMs));
});

test("that nobody says whether there is such a number does not mean that there is none", async () => {
  const { server, say, texts, repeated, pauses, useLibraryClock } = await openWithOutbox();
  useLibraryClock();
  server.questionRefusals.push(0);
  const sent = say("hello");
  await eventually(() => expect(server.questionRefusals).toEqual([]));
  // The library waits for a minute.
  await vi.advanceTimersByTimeAsync(60_000);
  expect(await sent).toMatchObject({ status: "sent" });
  expect([texts(), pauses.length, repeated]).toEqual([["hello"], 1, []]);
});

/** The server has the first text, and says so when it is let go. */
function holdFirst() {
  const had = Promise.withResolvers<void>();
  const goOn = Promise.withResolvers<void>();
  const watch: WhatsAppOptions["watch"] = async ({ moment }) => {
    if (moment !== "sent") return undefined;
    had.resolve();
    await goOn.promise;
    return undefined;
  };
  return { had: had.promise, letGo: () => goOn.resolve(), watch };
}

test("an answer that is late, and in time, is the end of one text; the next one of the chat waits for it", async () => {
  const { had, letGo, watch } = holdFirst();
  const { server, say, texts, pauses, repeated, useLibraryClock } = await openWithOutbox({ watch });
  useLibraryClock();
  const sent = ["one", "two"].map((text) => say(text));
  await had;
  await vi.advanceTimersByTimeAsync(limits.whatsappAnswerMs - 10_000);
  expect([texts(), pauses]).toEqual([["one"], []]);
  letGo();
  expect(await Promise.all(sent)).toMatchObject([{ status: "sent" }, { status: "sent" }]);
  expect([texts(), pauses, repeated, server.repeated]).toEqual([["one", "two"], [], [], []]);
});

test("a text whose answer is too late is sent again with its id, told as a possible duplicate, and shown once, before the next one of the chat", async () => {
  const { had, letGo, watch } = holdFirst();
  const { server, say, texts, pauses, repeated, useLibraryClock } = await openWithOutbox({ watch });
  useLibraryClock();
  const sent = ["one", "two"].map((text) => say(text));
  await had;
  await vi.advanceTimersByTimeAsync(limits.whatsappAnswerMs);
  await eventually(() => expect(pauses).toHaveLength(1));
  letGo();
  expect(await Promise.all(sent)).toMatchObject([{ status: "sent" }, { status: "sent" }]);
  expect([texts(), repeated]).toEqual([["one", "two"], ["one"]]);
  expect(server.repeated).toEqual([server.arrived[0]?.id]);
  expect(server.violations).toEqual([]);
});
