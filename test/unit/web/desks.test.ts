/** What the page shows beside the conversation, without its looks. */
import { describe, expect, it } from "vitest";
import { isEdited, isStale } from "../../../channels/web/page/desks/config.ts";
import { chosenRecords, recordsMax } from "../../../channels/web/page/desks/log.ts";
import { verbsOf } from "../../../channels/web/page/desks/rights.ts";
import { agentRow, open, settled } from "./fakes.ts";

const matrix = (agents: readonly string[]) => ({
  verbs: ["send", "request", "list"],
  agents,
  rows: agents.map((_, row) => agents.map((__, column) => (row === 0 && column === 1 ? 5 : 0))),
  total: agents.length,
});

describe("the matrix of rights", () => {
  it("is read for the agents that the filter fits, and an answer that was overtaken is let go", async () => {
    const { page, gateway, connect } = open();
    await connect();
    page.rights.show("");
    page.rights.show("ra");
    const [, second] = [gateway.link.take("grants.matrix"), gateway.link.take("grants.matrix")];
    expect(second.params).toEqual({ agents: ["raul"] });
    gateway.link.deliver({ type: "res", id: second.id, ok: true, payload: matrix(["raul"]) });
    await settled();
    expect(page.rights.state.value.matrix?.agents).toEqual(["raul"]);
    page.rights.show("xyz");
    expect(page.rights.state.value.matrix).toMatchObject({ agents: [], total: 2 });
  });

  it("gives the verbs of a cell by their bits, and follows a change of the configuration while it is looked at", async () => {
    const { page, gateway, connect } = open();
    await connect();
    page.rights.readAgain();
    gateway.link.answer("grants.matrix", matrix(["main", "raul"]));
    await settled();
    const found = page.rights.state.value.matrix;
    expect(found && verbsOf(found, 0, 1)).toEqual(["send", "list"]);
    expect(found && verbsOf(found, 1, 0)).toEqual([]);
    page.rights.explain({ from: "main", to: "raul" });
    gateway.link.answer("grants.explain", { verbs: [{ verb: "send", allowed: true, rule: "r" }] });
    await settled();
    gateway.link.event("config.changed", {});
    expect(
      gateway.link.sent.map(({ method }) => method),
      "nobody looks",
    ).not.toContain("grants.matrix");
    page.goTo("rights");
    gateway.link.event("config.changed", {});
    gateway.link.answer("grants.matrix", matrix(["main"]));
    gateway.link.answer("grants.explain", { verbs: [{ verb: "send", allowed: false, rule: "r", config: "line" }] });
    await settled();
    expect(page.rights.state.value).toMatchObject({
      matrix: { agents: ["main"] },
      reasons: [{ verb: "send", allowed: false, config: "line" }],
    });
  });
});

it("the route tester leaves out what is empty, and shows the answer to its last question", async () => {
  const { page, gateway, connect } = open();
  await connect();
  const fields = { accountId: "", peerKind: "group", parentKind: "channel", guildId: "", teamId: "", threadId: "" };
  page.routes.test({ ...fields, channel: " discord ", peerId: "7", parentId: "", roles: "a, ,b" });
  const { params } = gateway.link.answer("route.explain", {
    explanation: {
      asked: "channel discord",
      route: { agentId: "raul", sessionKey: "agent:raul:main", matchedBy: "default" },
      tiers: [{ tier: "binding.peer", outcome: "no binding", bindings: 0 }],
      losses: [],
    },
  });
  expect(params).toEqual({ channel: "discord", peer: { kind: "group", id: "7" }, roles: ["a", "b"] });
  await settled();
  expect(page.routes.state.value.answer).toMatchObject({ agentId: "raul", tiers: [{ outcome: "no binding" }] });
  expect(page.routes.state.value.answer).not.toHaveProperty("winner");
  page.routes.test({ ...fields, channel: "", peerId: "", parentId: "", roles: "" });
  gateway.link.refuse("route.explain", { code: "INVALID_REQUEST", message: "channel is missing" });
  await settled();
  expect(page.routes.state.value).toMatchObject({ answer: undefined, error: "channel is missing" });
});

describe("the log", () => {
  const line = (message: string, level = "info", more: object = {}) =>
    JSON.stringify({ time: "2026-01-01T00:00:00.000Z", level, pid: 1, message, ...more });

  it("is read only while somebody looks and follows, on from where it was, at once while it is behind", async () => {
    const { page, gateway, connect, timers } = open();
    await connect();
    timers.advance(5_000);
    expect(gateway.link.sent.map(({ method }) => method)).not.toContain("logs.tail");
    page.log.look(true);
    expect(gateway.link.answer("logs.tail", { cursor: 10, lines: [line("one")], truncated: true }).params).toEqual({});
    await settled();
    timers.advance(1_000);
    const next = { cursor: 20, lines: [line("two", "warn", { agent: "raul" }), "no record"], truncated: true };
    expect(gateway.link.answer("logs.tail", next).params).toEqual({ cursor: 10 });
    await settled();
    timers.advance(0);
    gateway.link.answer("logs.tail", { cursor: 30, lines: [], reset: true });
    await settled();
    const { records, note } = page.log.state.value;
    expect(records.map(({ message, about }) => [message, about])).toEqual([
      ["one", ""],
      ["two", '{"agent":"raul"}'],
      ["no record", ""],
    ]);
    expect(note).toContain("rotated twice");
    page.log.follow(false);
    timers.advance(5_000);
    expect(gateway.link.sent.map(({ method }) => method)).not.toContain("logs.tail");
    page.log.follow(true);
    gateway.link.answer("logs.tail", { cursor: 30, lines: [] });
    await settled();
    page.log.look(false);
    timers.advance(5_000);
    expect(gateway.link.sent.map(({ method }) => method)).not.toContain("logs.tail");
  });

  it("keeps a bounded number of records, and shows those from a level on with a text in them", async () => {
    const { page, gateway, connect, timers } = open();
    await connect();
    page.log.look(true);
    const many = Array.from({ length: recordsMax }, (_, n) => line(`m${n}`));
    gateway.link.answer("logs.tail", { cursor: 1, lines: many });
    await settled();
    timers.advance(1_000);
    const wanted = [line("bad thing", "error", { agent: "Raul" }), line("detail", "debug"), line("bad", "trace")];
    gateway.link.answer("logs.tail", { cursor: 2, lines: wanted });
    await settled();
    const shown = () => chosenRecords(page.log.state.value).map(({ message }) => message);
    expect(page.log.state.value.records).toHaveLength(recordsMax);
    expect(shown()).toHaveLength(recordsMax - 2);
    page.log.choose({ filter: " raul" });
    expect(shown()).toEqual(["bad thing"]);
    page.log.choose({ filter: "", level: "error" });
    expect(shown()).toEqual(["bad thing"]);
    page.log.choose({ level: "debug", filter: "bad" });
    expect(shown(), "what comes before all levels").toEqual(["bad thing"]);
    page.log.clear();
    expect(shown()).toEqual([]);
  });
});

describe("the configuration", () => {
  const got = { path: "/c.json", hash: "h1", valid: true, parsed: { a: 1 } };
  const looked = async () => {
    const opened = open();
    await opened.connect([agentRow("main")]);
    opened.page.goTo("config");
    opened.page.config.look();
    opened.gateway.link.answer("config.get", got);
    await settled();
    return opened;
  };

  it("is checked after a pause of the typing, and what was checked is applied against the text it was compared with", async () => {
    const { page, gateway, timers } = await looked();
    const { state } = page.config;
    expect(state.value.draft).toBe('{\n  "a": 1\n}\n');
    page.config.write('{"a":');
    timers.advance(400);
    expect(state.value.syntax).toContain("JSON");
    page.config.write('{"a":2}');
    timers.advance(399);
    expect(gateway.link.sent.map(({ method }) => method)).not.toContain("config.check");
    timers.advance(1);
    const change = { path: "a", before: "1", after: "2" };
    const checked = { hash: "h1", valid: true, issues: [], changes: [change], moreChanges: 0 };
    const check = gateway.link.answer("config.check", { ...checked, plan: { sections: ["session"], restart: [] } });
    expect(check.params).toEqual({ set: [{ path: [], value: { a: 2 } }] });
    await settled();
    expect(state.value.check).toMatchObject({ effects: ["Settings that change: session"] });
    page.config.apply();
    page.config.apply();
    const applied = gateway.link.answer("config.patch", { ok: true, status: "applied", restart: [] });
    expect(applied.params).toEqual({ set: [{ path: [], value: { a: 2 } }], baseHash: "h1" });
    await settled();
    gateway.link.answer("config.get", { ...got, hash: "h2", parsed: { a: 2 } });
    await settled();
    expect(gateway.link.sent.map(({ method }) => method)).not.toContain("config.patch");
    expect(state.value).toMatchObject({ told: "Written and in force.", hash: "h2" });
    expect(isEdited(state.value)).toBe(false);
  });

  it("is not said to be checked while nobody is connected; it is when the connection is back, or when one looks again", async () => {
    const { page, gateway, timers, connect } = await looked();
    const { state } = page.config;
    gateway.link.drop();
    page.config.write('{"a":2}');
    timers.advance(400);
    await settled();
    expect(state.value).toMatchObject({ check: undefined, error: expect.stringContaining("not connected") });
    // Elsewhere on the page when it comes back.
    page.goTo("log");
    timers.advance(1_000);
    await connect([agentRow("main")]);
    expect(gateway.link.sent.map(({ method }) => method)).not.toContain("config.check");
    page.goTo("config");
    page.config.look();
    timers.advance(0);
    gateway.link.answer("config.check", { hash: "h1", valid: true, issues: [], changes: [], moreChanges: 0 });
    await settled();
    expect(state.value).toMatchObject({ check: { valid: true }, error: undefined, draft: '{"a":2}' });
  });

  it("of an answer to an older text nothing is shown", async () => {
    const { page, gateway, timers } = await looked();
    page.config.write('{"a":2}');
    timers.advance(400);
    page.config.write('{"a":3}');
    gateway.link.answer("config.check", { hash: "h1", valid: true, changes: [] });
    await settled();
    expect(page.config.state.value.check).toBeUndefined();
    page.config.apply();
    expect(gateway.link.sent.map(({ method }) => method)).not.toContain("config.patch");
  });

  it("that changes under a draft is told, and the draft stays; without one it is read again", async () => {
    const { page, gateway, timers } = await looked();
    gateway.link.event("config.changed", {});
    gateway.link.answer("config.get", { ...got, hash: "h2", parsed: { a: 7 } });
    await settled();
    expect(page.config.state.value.draft).toContain("7");
    page.config.write('{"a":8}');
    timers.advance(400);
    const valid = { valid: true, changes: [{ path: "a" }] };
    gateway.link.answer("config.check", { ...valid, hash: "h2" });
    await settled();
    expect(isStale(page.config.state.value)).toBe(false);
    page.config.apply();
    gateway.link.refuse("config.patch", { code: "CONFIG_STALE", message: "the file has changed" });
    await settled();
    gateway.link.answer("config.check", { ...valid, hash: "h3" });
    await settled();
    expect(isStale(page.config.state.value)).toBe(true);
    expect(page.config.state.value.draft).toBe('{"a":8}');
    page.config.apply();
    expect(gateway.link.take("config.patch").params).toMatchObject({ baseHash: "h3" });
  });

  it("that cannot be used is told, and what would lose much is forced only when it was shown", async () => {
    const { page, gateway, timers } = await looked();
    page.config.read();
    gateway.link.answer("config.get", {
      ...got,
      valid: false,
      parsed: undefined,
      issues: [{ path: "a", message: "no" }],
    });
    await settled();
    expect(page.config.state.value).toMatchObject({ broken: [{ path: "a", message: "no" }], written: "" });
    page.config.read();
    gateway.link.answer("config.get", got);
    await settled();
    page.config.write("{}");
    timers.advance(400);
    gateway.link.answer("config.check", { hash: "h1", valid: true, changes: [{ path: "a" }], guarded: "much" });
    await settled();
    page.config.apply();
    expect(gateway.link.take("config.patch").params).toMatchObject({ force: true });
  });
});

describe("commands that wait for an operator", () => {
  const request = {
    id: "x-1",
    agentId: "main",
    sessionKey: "agent:main:main",
    shown: { words: '["sh","-c","ls"]', folder: '"/srv/work"', variables: ['PATH="/bin"', 'NAME="a b"'] },
    place: "host",
    input: true,
    createdAtMs: 5,
    allowed: false,
  };

  it("are shown in the gateway's own words, and decided once", async () => {
    const { page, gateway, connect } = open();
    await connect();
    gateway.link.event("exec.approvals", { total: 1 });
    gateway.link.answer("exec.approval.list", { requests: [request, { id: "no agent" }] });
    await settled();
    expect(page.commands.state.value).toEqual([
      {
        id: "x-1",
        agentId: "main",
        sessionKey: "agent:main:main",
        words: '["sh","-c","ls"]',
        folder: '"/srv/work"',
        place: "host",
        variables: ['PATH="/bin"', 'NAME="a b"'],
        takesInput: true,
        askedAtMs: 5,
        isAllowed: false,
      },
    ]);
    page.commands.decide("x-1", "allow-once");
    page.commands.decide("x-1", "deny");
    const decided = gateway.link.answer("exec.approval.resolve", { id: "x-1", ran: false });
    expect(decided.params).toEqual({ id: "x-1", decision: "allow-once" });
    await settled();
    gateway.link.answer("exec.approval.list", { requests: [{ ...request, allowed: true }] });
    await settled();
    expect(gateway.link.sent.map(({ method }) => method)).not.toContain("exec.approval.resolve");
    expect(page.commands.state.value).toMatchObject([{ isAllowed: true }]);
  });

  it("are none for who may not decide, and a decision that came too late is said", async () => {
    const { page, gateway, connect } = open();
    await connect();
    gateway.link.event("exec.approvals", { total: 1 });
    gateway.link.answer("exec.approval.list", { requests: [request] });
    await settled();
    page.commands.decide("x-1", "deny");
    gateway.link.refuse("exec.approval.resolve", { code: "INVALID_REQUEST", message: "nobody decided it in time" });
    await settled();
    gateway.link.refuse("exec.approval.list", { code: "INVALID_REQUEST", message: "missing scope" });
    await settled();
    expect(page.commands.state.value).toEqual([]);
    expect(page.view.notice.value).toBe("The command could not be denied: nobody decided it in time");
  });
});

describe("proposals of agents", () => {
  const proposals = [
    { id: "p-1", agentId: "main", reason: "faster", createdAtMs: 1 },
    { id: "p-2", agentId: "raul", reason: "wrong", createdAtMs: 2 },
  ];
  const check = { hash: "h1", valid: true, issues: [], changes: [{ path: "a", before: "1", after: "2" }] };

  it("are shown with what each would do, and applied against the text that they were shown against", async () => {
    const { page, gateway, connect } = open();
    await connect();
    gateway.link.event("config.proposals", { total: 2 });
    gateway.link.answer("config.proposals", { proposals });
    await settled();
    gateway.link.answer("config.proposals.show", { check });
    gateway.link.refuse("config.proposals.show", { code: "NOT_FOUND", message: "gone" });
    await settled();
    expect(page.proposals.state.value).toMatchObject([
      { id: "p-1", check: { changes: [{ after: "2" }] } },
      { id: "p-2" },
    ]);
    const [first, second] = page.proposals.state.value;
    if (first === undefined || second === undefined) throw new Error("two were answered");
    page.proposals.apply(second);
    expect(
      gateway.link.sent.map(({ method }) => method),
      "nobody has seen what it would do",
    ).not.toContain("config.proposals.apply");
    page.proposals.apply(first);
    page.proposals.apply(first);
    const applied = gateway.link.answer("config.proposals.apply", { status: "applied", restart: [] });
    expect(applied.params).toEqual({ id: "p-1", hash: "h1" });
    await settled();
    gateway.link.answer("config.proposals", { proposals: [] });
    await settled();
    expect(gateway.link.sent.map(({ method }) => method)).not.toContain("config.proposals.apply");
    expect(page.view.notice.value).toBe("Written and in force.");
    expect(page.proposals.state.value).toEqual([]);
  });

  it("are judged anew when the configuration has changed, and let go when rejected", async () => {
    const { page, gateway, connect } = open();
    await connect();
    gateway.link.event("config.changed", {});
    expect(
      gateway.link.sent.map(({ method }) => method),
      "there are none",
    ).not.toContain("config.proposals");
    gateway.link.event("config.proposals", { total: 1 });
    gateway.link.answer("config.proposals", { proposals: proposals.slice(0, 1) });
    await settled();
    gateway.link.answer("config.proposals.show", { check: { ...check, guarded: "much" } });
    await settled();
    gateway.link.event("config.changed", {});
    gateway.link.answer("config.proposals", { proposals: proposals.slice(0, 1) });
    await settled();
    gateway.link.answer("config.proposals.show", { check: { ...check, hash: "h2", guarded: "much" } });
    await settled();
    const [proposal] = page.proposals.state.value;
    if (proposal === undefined) throw new Error("one was answered");
    page.proposals.apply(proposal);
    const tried = gateway.link.refuse("config.proposals.apply", { code: "CONFIG_STALE", message: "changed" });
    expect(tried.params).toEqual({ id: "p-1", hash: "h2", force: true });
    await settled();
    gateway.link.answer("config.proposals", { proposals: [] });
    await settled();
    expect(page.view.notice.value).toContain("changed");
    page.proposals.reject("p-1");
    expect(gateway.link.take("config.proposals.reject").params).toEqual({ id: "p-1" });
  });
});
