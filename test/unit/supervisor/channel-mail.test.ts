/** What enforces admission and what explains it agree, and neither reads the store before it has to. */
import * as fc from "fast-check";
import { expect, test } from "vitest";
import type { InboundEvent } from "../../../channels/port.ts";
import { explainAdmission, makeMentionPatterns } from "../../../runtime/groups/index.ts";
import { compileRoutes, resolveRoute } from "../../../runtime/routing/index.ts";
import { makeChannelMail } from "../../../runtime/supervisor/channel-mail.ts";
import { makeRuns } from "../../../runtime/supervisor/runs.ts";
import { groupsOf, makeConfig } from "../../support/gateway.ts";

const senders = fc.constantFrom("ana", "bob");
const written = fc.record(
  {
    dmPolicy: fc.constantFrom("pairing", "allowlist", "disabled"),
    allowFrom: fc.uniqueArray(fc.constantFrom("ana", "bob", "*")),
    groupPolicy: fc.constantFrom("allowlist", "open", "disabled"),
    groupAllowFrom: fc.uniqueArray(fc.constantFrom("ana", "bob", "*")),
    allowBots: fc.constantFrom(true, false, "mentions"),
    groups: fc.dictionary(
      fc.constantFrom("g1", "*"),
      fc.record({ enabled: fc.boolean(), requireMention: fc.boolean() }, { requiredKeys: [] }),
    ),
  },
  { requiredKeys: [] },
);
const events = fc.record(
  {
    peer: fc.record({ kind: fc.constantFrom("group" as const, "direct" as const), id: fc.constantFrom("g1", "g2") }),
    sender: fc.record({ id: senders, isBot: fc.boolean() }),
    text: fc.constantFrom("hello", "@a hello", "x @b"),
    wasMentioned: fc.boolean(),
  },
  { requiredKeys: ["peer", "sender", "text"] },
);

test("for any rules and messages the explanation says what happens", async () => {
  await fc.assert(
    fc.asyncProperty(written, events, fc.boolean(), async (rules, facts, hasBroadcast) => {
      const groups = groupsOf({
        channels: { webhook: rules },
        ...(hasBroadcast ? { broadcast: { "webhook:g1": { agents: ["a", "b"] } } } : {}),
      });
      const groupChat = { mentionPatterns: ["@a"] };
      const config = makeConfig([{ id: "a", groupChat }, { id: "b" }], { groups }, "/state");
      const event: InboundEvent = { channel: "webhook", accountId: "home", tsMs: 1, ...facts };
      const routes = compileRoutes(config);
      const admitted: string[] = [];
      const letters: string[] = [];
      let reads = 0;
      const mail = makeChannelMail({
        config,
        routes,
        store: {
          room: async () => {
            reads += 1;
            return { last: 0, unseen: {}, isOwn: false };
          },
          activation: async () => undefined,
          keepLetter: async ({ header }) => void letters.push(header.agentId),
          keepRoomRow: async () => ({ status: "stored", seq: 1 }),
        },
        runs: makeRuns(
          () => undefined,
          (key) => key,
          () => 1,
        ),
        accept: async ({ agentId }) => {
          admitted.push(agentId);
          return { status: "refused", refusal: { code: "CLOISTER_BUSY", message: "the test takes none" } };
        },
        senders: { isKnown: () => false, ask: async () => undefined },
        threads: { heard: () => undefined },
        bring: async () => "",
        commands: { fromChannel: () => undefined },
        answer: () => undefined,
        newUuid: () => "id",
        nowMs: () => 1,
        log: { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined },
        carriesAnswers: () => false,
      });
      const explained = explainAdmission(
        groups,
        makeMentionPatterns(groups, { a: groupChat }),
        resolveRoute(routes, event),
        event,
      );
      const { status } = await mail.inbound(event, undefined);
      expect(status).toBe({ dropped: "dropped", pending: "pending", handled: "refused" }[explained.outcome]);
      expect(admitted).toEqual(explained.outcome === "handled" ? (explained.broadcast?.agents ?? ["a"]) : []);
      if (explained.outcome === "dropped") expect(reads).toBe(0);
      expect(await mail.isMeant(event)).toBe(explained.outcome === "handled");
      await mail.giveUp(event, "refused", "no room");
      const agents = hasBroadcast && event.peer.id === "g1" ? ["a", "b"] : ["a"];
      expect(letters).toEqual(explained.outcome === "dropped" ? [] : agents);
    }),
    { numRuns: 1_000 },
  );
});
