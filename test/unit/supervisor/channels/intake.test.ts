/** When a platform is told that a message arrived. */
import { expect, test } from "vitest";
import type { InboundEvent } from "../../../../channels/port.ts";
import type { InboundResult } from "../../../../runtime/edge/port.ts";
import type { ErrorCode } from "../../../../runtime/kernel/errors.ts";
import { limits } from "../../../../runtime/kernel/limits.ts";
import { makeIntake } from "../../../../runtime/supervisor/channels/intake.ts";
import { makeKeptLog } from "../../../support/channels.ts";
import { makeVirtualClock } from "../../../support/virtual-clock.ts";

const event: InboundEvent = {
  channel: "telegram",
  accountId: "default",
  messageId: "1",
  peer: { kind: "direct", id: "7" },
  sender: { id: "7" },
  text: "hello",
  tsMs: 1,
};
const accepted: InboundResult = {
  status: "accepted",
  runId: "r1",
  agentId: "main",
  sessionKey: "agent:main:main",
  matchedBy: "default",
};
const refused = (code: ErrorCode): InboundResult => ({ status: "refused", refusal: { code, message: "no" } });

function openIntake(answers: readonly (InboundResult | Error)[]) {
  const clock = makeVirtualClock();
  const left = [...answers];
  const last = answers.at(-1) ?? accepted;
  const told: string[] = [];
  const typing: string[] = [];
  const taken: string[] = [];
  const asked: string[] = [];
  const letters: string[] = [];
  const { log, lines } = makeKeptLog();
  const ending = new AbortController();
  const intake = makeIntake({
    inbound: async ({ text }) => {
      asked.push(text);
      const answer = left.shift() ?? last;
      if (answer instanceof Error) throw answer;
      return answer;
    },
    onAccepted: (_, runId) => typing.push(runId),
    onTaken: ({ text }, { status }) => void taken.push(`${text} ${status}`),
    giveUp: async ({ text }, fate, reason) => {
      letters.push(`${text} ${fate}: ${reason}`);
      if (text === "no room") throw new Error("the disk is full");
    },
    isMeant: async ({ text }) => text !== "for nobody",
    tellSender: (_, text) => told.push(text),
    offersOnce: (channel) => channel === "irc",
    clock,
    log,
    ending: ending.signal,
  });
  return { ...intake, clock, told, typing, taken, asked, ending, letters, lines };
}

test("a stored message has arrived, and its sender sees that the agent is at work", async () => {
  const { receive, typing, taken, told } = openIntake([accepted]);
  await receive(event);
  expect({ typing, taken, told }).toEqual({ typing: ["r1"], taken: [`${event.text} accepted`], told: [] });
});

test("what nobody is to have has arrived, and nobody types", async () => {
  for (const result of [
    { status: "dropped", reason: "r", rule: "k", remedy: "m" },
    { status: "pending", reason: "r", remedy: "m" },
    { ...accepted, status: "duplicate" },
  ] satisfies InboundResult[]) {
    const { receive, typing, taken, told, letters } = openIntake([result]);
    expect(await receive(event)).toBe(result.status === "dropped" ? "dropped" : "taken");
    expect({ typing, taken, told, letters }).toEqual({ typing: [], taken: [], told: [], letters: [] });
  }
});

test("a message that there is no room for is tried until there is", async () => {
  const full = refused("CLOISTER_MAILBOX_FULL");
  const { receive, clock, asked, told, typing } = openIntake([full, full, full, accepted]);
  const received = receive(event);
  await clock.advance(10_000);
  await received;
  expect({ asked: asked.length, told, typing }).toEqual({ asked: 4, told: [], typing: ["r1"] });
});

test("after a minute without room it is a dead letter, its sender is told, and it counts as arrived", async () => {
  const { receive, clock, told, letters } = openIntake([refused("CLOISTER_MAILBOX_FULL")]);
  let isOver = false;
  const received = receive(event).then(() => (isOver = true));
  await clock.advance(55_000);
  expect(isOver).toBe(false);
  await clock.advance(15_000);
  await received;
  expect(told).toEqual(["Your message was not taken (CLOISTER_MAILBOX_FULL). Please send it again later."]);
  expect(letters).toEqual(["hello refused: CLOISTER_MAILBOX_FULL: no"]);
});

test("one that cannot be kept as a dead letter either is told in the log, and to its sender all the same", async () => {
  const { receive, told, lines } = openIntake([refused("CLOISTER_AGENT_DISABLED")]);
  await receive({ ...event, text: "no room" });
  expect(lines.map(({ message }) => message)).toContainEqual(expect.stringContaining("could not be kept"));
  expect(told).toHaveLength(1);
});

test("what another attempt cannot change is told at once", async () => {
  const { receive, told, asked } = openIntake([refused("CLOISTER_AGENT_DISABLED")]);
  await receive(event);
  expect({ asked: asked.length, told: told.length }).toEqual({ asked: 1, told: 1 });
});

test("a message on which the gateway fails every time is given up, and its sender told, so that those behind it are heard", async () => {
  const { receive, clock, told, asked, letters } = openIntake([new TypeError("a fault of ours")]);
  const received = receive(event);
  await clock.advance(10_000);
  await received;
  expect(asked).toHaveLength(limits.channelAttemptsMax);
  expect(told).toEqual([expect.stringContaining("was not taken")]);
  expect(letters).toEqual([expect.stringMatching(/^hello undeliverable: /)]);
  const once = openIntake([new TypeError("a fault that passes"), accepted]);
  const taken = once.receive(event);
  await once.clock.advance(10_000);
  await taken;
  expect({ told: once.told, typing: once.typing }).toEqual({ told: [], typing: ["r1"] });
});

test("a gateway that ends does not take it: the platform offers it again", async () => {
  const { receive, told } = openIntake([refused("CLOISTER_GATEWAY_DRAINING")]);
  await expect(receive(event)).rejects.toMatchObject({ code: "CLOISTER_GATEWAY_DRAINING" });
  expect(told).toEqual([]);
  const waiting = openIntake([refused("CLOISTER_MAILBOX_FULL")]);
  const received = waiting.receive(event);
  const rejected = expect(received).rejects.toMatchObject({ code: "CLOISTER_MAILBOX_FULL" });
  waiting.ending.abort();
  await rejected;
});

test.each(["the gateway is drained", "it ends"])(
  "what a platform does not offer again is kept as a dead letter, and its sender told, when %s",
  async (how) => {
    const isEnd = how === "it ends";
    const { receive, letters, told, ending } = openIntake([
      refused(isEnd ? "CLOISTER_MAILBOX_FULL" : "CLOISTER_GATEWAY_DRAINING"),
    ]);
    if (isEnd) ending.abort();
    expect(await receive({ ...event, channel: "irc" })).toBe("taken");
    expect([letters, told]).toEqual([
      [expect.stringContaining("hello refused: CLOISTER_")],
      [expect.stringContaining("was not taken")],
    ]);
    // Where it is offered again it is neither.
    await expect(receive(event)).rejects.toThrow();
    expect([letters.length, told.length]).toEqual([1, 1]);
  },
);

test("a message for which its channel has no room is a dead letter, and whoever writes on and on hears so once a minute", async () => {
  const { refused: refuse, clock, told, letters, asked } = openIntake([accepted]);
  const busy = { code: "CLOISTER_CHANNEL_BUSY", message: "the bound is reached" } as const;
  for (const text of ["one", "two"]) await refuse({ ...event, channel: "irc", text }, busy);
  await refuse({ ...event, channel: "irc", peer: { kind: "direct", id: "8" }, text: "three" }, busy);
  expect(letters).toEqual(["one", "two", "three"].map((text) => `${text} refused: ${busy.code}: ${busy.message}`));
  expect(told).toEqual(
    Array(2).fill("Your message was not taken (CLOISTER_CHANNEL_BUSY). Please send it again later."),
  );
  await clock.advance(limits.channelRefusalToldMs);
  await refuse({ ...event, channel: "irc", text: "four" }, busy);
  expect([letters.length, told.length, asked]).toEqual([4, 3, []]);
});

test("what no agent may have is no dead letter when its channel has no room, and nobody is told", async () => {
  const { refused: refuse, told, letters, lines } = openIntake([accepted]);
  const busy = { code: "CLOISTER_CHANNEL_BUSY", message: "the bound is reached" } as const;
  await refuse({ ...event, channel: "irc", text: "for nobody" }, busy);
  expect([letters, told]).toEqual([[], []]);
  expect(lines.map(({ message }) => message)).toEqual([expect.stringContaining("was left out")]);
  await refuse({ ...event, channel: "irc", text: "for an agent" }, busy);
  expect([letters.length, told.length]).toEqual([1, 1]);
});

test("what was written more than a day before it came is a dead letter and no turn, and its sender hears so once a minute", async () => {
  const { receive, clock, told, letters, asked } = openIntake([accepted]);
  const day = limits.channelMessageAgeMs;
  await clock.advance(3 * day);
  const writtenAgo = (ms: number, changes: object = {}): InboundEvent => ({
    ...event,
    tsMs: clock.nowMs() - ms,
    ...changes,
  });
  for (const text of ["one", "two"]) expect(await receive(writtenAgo(2 * day, { text }))).toBe("taken");
  const reason = "CLOISTER_MAILBOX_EXPIRED: it was written 48 h before it came, and 24 h are the most";
  expect(letters).toEqual(["one", "two"].map((text) => `${text} expired: ${reason}`));
  expect(told).toEqual([expect.stringMatching(/^What you wrote 48 hours ago .*send it again if it still matters/)]);
  expect(asked).toEqual([]);
  for (const ms of [day, 0, -day]) expect(await receive(writtenAgo(ms))).toBe("taken");
  expect([asked.length, letters.length]).toEqual([3, 2]);
});

test("what is old and for no agent is neither kept nor answered", async () => {
  const { receive, clock, told, letters, lines, asked } = openIntake([accepted]);
  await clock.advance(2 * limits.channelMessageAgeMs);
  expect(await receive({ ...event, text: "for nobody" })).toBe("dropped");
  expect([letters, told, asked]).toEqual([[], [], []]);
  expect(lines.map(({ message }) => message)).toEqual([expect.stringMatching(/left out, which was written 48 h/)]);
});
