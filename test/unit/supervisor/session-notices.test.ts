import { expect, test } from "vitest";
import type { EnvelopeHeader } from "../../../runtime/kernel/envelope.ts";
import { noticesFor } from "../../../runtime/supervisor/session-notices.ts";
import { sessionSettings } from "../../support/session-settings.ts";

type Given = Parameters<typeof noticesFor>[1];
const user: EnvelopeHeader["provenance"] = { kind: "external_user", sourceChannel: "irc" };
const peer: EnvelopeHeader["provenance"] = {
  kind: "inter_session",
  sourceSessionKey: "agent:raul:main",
  sourceChannel: "internal",
  sourceTool: "sessions_send",
};
const system: EnvelopeHeader["provenance"] = {
  kind: "internal_system",
  sourceChannel: "internal",
  sourceTool: "schedule",
};
const of = (sessionKey: string, provenance: EnvelopeHeader["provenance"] = user, rest: Partial<Given> = {}) =>
  noticesFor(sessionSettings, { sessionKey, provenance, ...rest });

test("the main session is told of sessions that people begin, and of none that makes itself", () => {
  const told = { notify: { to: "agent:ann:main", channel: "irc" } };
  expect(of("agent:ann:irc:group:#room")).toEqual(told);
  expect(of("agent:ann:irc:direct:bo")).toEqual(told);
  for (const key of ["agent:ann:cron:j:run:1", "agent:ann:hook:x", "agent:ann:node-7"]) expect(of(key)).toEqual({});
  for (const provenance of [peer, system]) expect(of("agent:ann:irc:group:#room", provenance)).toEqual({});
});

test("a main session hears of them when somebody speaks, and not with a signal or a turn between agents", () => {
  const main = "agent:ann:main";
  expect(of(main)).toEqual({ wantNotices: true });
  expect(of(main, peer)).toEqual({ wantNotices: true });
  expect(of(main, system)).toEqual({});
  expect(of(main, user, { signal: { type: "command", name: "compact", text: "" } as never })).toEqual({});
  expect(of(main, peer, { exchange: { step: "announce" } as never })).toEqual({});
});

test("with another main key, or one session for all, that is the one; switched off there is nothing", () => {
  const anywhere = { sessionKey: "agent:ann:irc:group:#room", provenance: user };
  expect(noticesFor({ ...sessionSettings, mainKey: "desk" }, anywhere).notify?.to).toBe("agent:ann:desk");
  expect(noticesFor({ ...sessionSettings, scope: "global" }, anywhere).notify?.to).toBe("agent:ann:global");
  expect(noticesFor({ ...sessionSettings, notifyOnCreate: false }, anywhere)).toEqual({});
});
