/** Which agents of a broadcast run in which round, and that no order of answers starts more turns than allowed. */
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type AgentReply, findBroadcast, makeBroadcast, makeMentionPatterns } from "../../../runtime/groups/index.ts";
import { limits } from "../../../runtime/kernel/limits.ts";
import { broadcastOf } from "./rules-fixture.ts";

const { addresses } = (() => {
  const patterns = makeMentionPatterns({}, {});
  return { addresses: (id: string, text: string) => patterns.addresses(id, text) };
})();
const entryOf = (written: object) => {
  const [entry] = broadcastOf({ "webhook:room": written }).entries;
  if (entry === undefined) throw new Error("there is no entry");
  return entry;
};
const says = (agentId: string, text: string): AgentReply => ({ agentId, text, envelopeId: `e-${agentId}` });
const ids = (round: { readonly launches: readonly { readonly agentId: string }[] } | undefined) =>
  round?.launches.map(({ agentId }) => agentId);

describe("the entry of a room", () => {
  it.each([
    ["by channel and id", { "webhook:Room": ["a"] }, "webhook", "room", "webhook:Room"],
    ["whatever the platform calls it", { "webhook:room": ["a"] }, "webhook", "ROOM", "webhook:room"],
    ["not of another channel", { "webhook:room": ["a"] }, "telegram", "room", undefined],
    ["an id of WhatsApp alone", { "120363@g.us": ["a"] }, "whatsapp", "120363@g.us", "120363@g.us"],
    ["a phone number", { "+15551230001": ["a"] }, "whatsapp", "+15551230001", "+15551230001"],
    ["which holds for WhatsApp only", { "120363@g.us": ["a"] }, "webhook", "120363@g.us", undefined],
    ["an id with a colon behind the channel", { "matrix:!r:host": ["a"] }, "matrix", "!r:host", "matrix:!r:host"],
    ["case counts where the platform says so", { "matrix:!R:host": ["a"] }, "matrix", "!r:host", undefined],
  ])("is found %s", (_how, written, channel, id, key) => {
    const { entries } = broadcastOf(written);
    expect(findBroadcast(entries, { channel, peer: { kind: "group", id } })?.key).toBe(key);
  });

  it("has one round and a turn for each agent, unless it says otherwise; the older form names nobody in particular", () => {
    expect(entryOf({ agents: ["a", "B", "a"] })).toMatchObject({
      agents: ["a", "b"],
      mentionGating: true,
      maxRounds: 1,
      maxTurns: 2,
      strategy: "parallel",
      triggers: {},
    });
    expect(broadcastOf({ "1@g.us": ["a", "b"] }).entries[0]).toMatchObject({
      mentionGating: false,
      maxRounds: 1,
      maxTurns: 2,
    });
  });

  it("has everybody answer to an agent that it says nothing of, whatever the agent is called", () => {
    const entry = entryOf({ agents: ["constructor", "b"], maxRounds: 2, maxTurns: 4 });
    const broadcast = makeBroadcast(entry, "hello", () => false);
    const replies = [{ agentId: "constructor", text: "one", envelopeId: "1" }];
    expect(broadcast.next(replies)?.launches).toEqual([{ agentId: "b", replies }]);
  });

  it("has the order of all rooms, unless it says its own", () => {
    const { entries } = broadcastOf({
      strategy: "sequential",
      "webhook:a": { agents: ["a"] },
      "webhook:b": { agents: ["a"], strategy: "parallel" },
      "webhook:c": ["a"],
    });
    expect(entries.map(({ strategy }) => strategy)).toEqual(["sequential", "parallel", "sequential"]);
  });
});

describe("a broadcast", () => {
  it("begins with the agents that the message names, or with all", () => {
    const entry = entryOf({ agents: ["a", "b", "c"], maxTurns: 5 });
    expect(ids(makeBroadcast(entry, "hello", addresses).first)).toEqual(["a", "b", "c"]);
    expect(ids(makeBroadcast(entry, "@c and @A!", addresses).first)).toEqual(["a", "c"]);
    expect(ids(makeBroadcast({ ...entry, mentionGating: false }, "@c", addresses).first)).toEqual(["a", "b", "c"]);
  });

  it("A13.1: agents that name each other for ever stop at the room's turns", () => {
    const entry = entryOf({ agents: ["a", "b"], maxRounds: 4, maxTurns: 3 });
    const broadcast = makeBroadcast(entry, "@a begin", addresses);
    expect(ids(broadcast.first)).toEqual(["a"]);
    expect(ids(broadcast.next([says("a", "@b your turn")]))).toEqual(["b"]);
    expect(ids(broadcast.next([says("b", "@a your turn")]))).toEqual(["a"]);
    expect(broadcast.next([says("a", "@b your turn")])).toMatchObject({ launches: [], leftOut: ["b"] });
    expect(broadcast.next([])).toBeUndefined();
  });

  it("A13.1: who may have whom answer is the room's rule; what is said is shown to everybody all the same", () => {
    const entry = entryOf({
      agents: ["planner", "critic", "clerk"],
      maxRounds: 4,
      maxTurns: 32,
      triggers: { planner: ["Critic"], critic: [] },
    });
    const broadcast = makeBroadcast(entry, "begin", addresses);
    expect(ids(broadcast.first)).toEqual(["planner", "critic", "clerk"]);
    // Whom the planner names, and the critic: only the critic answers. The clerk has no rule, and names the planner.
    const second = broadcast.next([
      says("planner", "@critic @clerk what do you say?"),
      says("critic", "@planner @clerk no"),
      says("clerk", "@planner noted"),
    ]);
    expect(ids(second)).toEqual(["planner", "critic"]);
    expect(second?.launches.map(({ replies }) => replies.map(({ agentId }) => agentId))).toEqual([
      ["critic", "clerk"],
      ["planner", "clerk"],
    ]);
    // Nobody may be had to answer by the critic, named or not.
    expect(broadcast.next([says("critic", "@planner @clerk well?")])).toBeUndefined();
  });

  it("A13.1: without a mention those of the last round answer whom they may", () => {
    const entry = entryOf({ agents: ["a", "b"], maxRounds: 4, maxTurns: 32, triggers: { a: ["b"], b: [] } });
    const broadcast = makeBroadcast(entry, "begin", addresses);
    expect(ids(broadcast.next([says("a", "1"), says("b", "2")]))).toEqual(["b"]);
    expect(broadcast.next([says("b", "3")])).toBeUndefined();
    const silent = entryOf({ agents: ["a", "b"], maxRounds: 4, maxTurns: 32, triggers: { a: [], b: [] } });
    expect(makeBroadcast(silent, "begin", addresses).next([says("a", "@b"), says("b", "@a")])).toBeUndefined();
  });

  it("shows each agent what the others said since its last turn, once, and never its own", () => {
    const entry = entryOf({ agents: ["a", "b"], maxRounds: 4, maxTurns: 32 });
    const broadcast = makeBroadcast(entry, "hello", addresses);
    const shown = (replies: readonly AgentReply[]) =>
      broadcast.next(replies)?.launches.map((launch) => [launch.agentId, launch.replies.map(({ text }) => text)]);
    expect(shown([says("a", "a1"), says("b", "b1")])).toEqual([
      ["a", ["b1"]],
      ["b", ["a1"]],
    ]);
    // b passed: a has nothing new to answer.
    expect(shown([says("a", "a2")])).toEqual([["b", ["a2"]]]);
    expect(shown([])).toBeUndefined();
  });

  it("ends when all pass, and after its last round", () => {
    const entry = entryOf({ agents: ["a", "b"], maxRounds: 2, maxTurns: 32 });
    expect(makeBroadcast(entry, "x", addresses).next([])).toBeUndefined();
    const broadcast = makeBroadcast(entry, "x", addresses);
    expect(broadcast.next([says("a", "1"), says("b", "2")])?.number).toBe(2);
    expect(broadcast.next([says("a", "3"), says("b", "4")])).toBeUndefined();
  });

  it("a failure of one agent does not keep the others from the next round", () => {
    const entry = entryOf({ agents: ["a", "b", "c"], maxRounds: 2, maxTurns: 32 });
    const broadcast = makeBroadcast(entry, "x", addresses);
    expect(ids(broadcast.next([says("a", "1"), says("c", "2")]))).toEqual(["a", "b", "c"]);
  });

  it("never starts more turns than maxTurns, more rounds than maxRounds, or an agent twice in a round", () => {
    const names = ["a", "b", "c", "d"];
    const texts = fc.constantFrom("plain", "@a", "@b @c", "@d @a", "@zoe");
    fc.assert(
      fc.property(
        fc.record({
          agents: fc.uniqueArray(fc.constantFrom(...names), { minLength: 1 }),
          mentionGating: fc.boolean(),
          maxRounds: fc.integer({ min: 1, max: limits.broadcastRoundsMax }),
          maxTurns: fc.integer({ min: 1, max: limits.broadcastTurnsMax }),
          triggers: fc.dictionary(fc.constantFrom(...names), fc.uniqueArray(fc.constantFrom(...names))),
        }),
        texts,
        fc.infiniteStream(fc.option(texts, { freq: 4 })),
        (written, text, answers) => {
          const entry = entryOf(written);
          const broadcast = makeBroadcast(entry, text, addresses);
          let round: typeof broadcast.first | undefined = broadcast.first;
          let turns = 0;
          let rounds = 0;
          while (round !== undefined) {
            const agents = round.launches.map(({ agentId }) => agentId);
            expect(new Set(agents).size).toBe(agents.length);
            turns += agents.length;
            rounds += 1;
            // Somebody who may have it answer has said something that it was not given before.
            if (rounds > 1)
              for (const { agentId, replies } of round.launches)
                expect(replies.some(({ agentId: by }) => written.triggers[by]?.includes(agentId) ?? true)).toBe(true);
            const replies = agents.flatMap((agentId) => {
              const answer = answers.next().value;
              return answer === null || answer === undefined ? [] : [says(agentId, answer)];
            });
            round = broadcast.next(replies);
          }
          expect(turns).toBeLessThanOrEqual(written.maxTurns);
          expect(rounds).toBeLessThanOrEqual(written.maxRounds);
        },
      ),
      { numRuns: 2_000 },
    );
  });
});
