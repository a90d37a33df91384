/** What the tool policy says of a turn: all of its messages count, and a list that leaves nothing refuses. */
import { describe, expect, it } from "vitest";
import { z } from "zod";
import type { ToolRules } from "../../../../auth/tool-policy.ts";
import type { EnvelopeHeader, Principal } from "../../../../runtime/kernel/envelope.ts";
import { defineTool, type ToolTable } from "../../../../runtime/supervisor/tools/table.ts";
import { makeToolDesk } from "../../../../runtime/supervisor/tools/tool-desk.ts";
import { groupsOf, makeConfig, type TestAgent } from "../../../support/gateway.ts";

const held = ["session_status", "sessions_list", "sessions_send"];
const tool = (schema: z.ZodType) => defineTool("reads", schema, () => Promise.resolve({ status: "ok" }));
const table: ToolTable = {
  session_status: tool(z.object({ sessionKey: z.string().default("current"), model: z.never().optional() })),
  sessions_list: tool(z.object({ limit: z.number().int() })),
  sessions_send: tool(z.object({ sessionKey: z.string().optional(), hasMessage: z.boolean() })),
  subagents: tool(
    z.discriminatedUnion("action", [
      z.object({ action: z.literal("list") }),
      z.object({ action: z.literal("wait"), taskIds: z.array(z.string()) }),
      z.object({ action: z.literal("cancel"), taskId: z.string() }),
    ]),
  ),
};

/** One server, which has told its tools. */
const mcp = {
  isKnown: () => true,
  ready: () => Promise.resolve(),
  namesOf: () => ["mcp__notes__add", "mcp__notes__wipe"],
  specOf: (_agentId: string, name: string) =>
    name.startsWith("mcp__notes__") ? { name, description: "of a server", parameters: { type: "object" } } : undefined,
};

function makeDesk(toolRules: ToolRules, agent: Partial<TestAgent> = {}, channels: object = {}) {
  const config = makeConfig([{ id: "main", ...agent }], { toolRules, groups: groupsOf({ channels }) });
  const logged: object[] = [];
  const note =
    (level: string) =>
    (fields: object): void =>
      void logged.push({ level, ...fields });
  const desk = makeToolDesk({
    config,
    agents: new Map(config.agents.map((one) => [one.id, one])),
    tools: () => table,
    mcp,
    log: { debug: note("debug"), info: note("info"), warn: note("warn"), error: note("error") },
  });
  return { desk, logged, config };
}

const from = (principal: Principal, sessionKey = "agent:main:main") =>
  ({ agentId: "main", sessionKey, from: principal }) as EnvelopeHeader;
const operator = from({ type: "operator", client: "cli" });
const sender = (senderId: string, peer = "direct:x") =>
  from({ type: "channel", channel: "telegram", accountId: "default", peer, senderId });

const namesOf = (described: ReturnType<ReturnType<typeof makeDesk>["desk"]["describe"]>) =>
  (JSON.parse(described as string) as { name: string }[]).map(({ name }) => name);

describe("the tools of a turn", () => {
  const bySender: ToolRules = { toolsBySender: { "id:7": { deny: ["sessions_send"] }, "*": { deny: ["sessions_*"] } } };

  it("are bounded by whoever spoke in it, not only by who began it", () => {
    const { desk } = makeDesk(bySender);
    expect(namesOf(desk.describe({ messages: [operator] }, held, true))).toEqual(held);
    expect(namesOf(desk.describe({ messages: [sender("7")] }, held, true))).toEqual([
      "session_status",
      "sessions_list",
    ]);
    expect(namesOf(desk.describe({ messages: [operator, sender("9")] }, held, true))).toEqual(["session_status"]);
    expect(desk.whyNot({ messages: [operator] }, "sessions_send")).toBeUndefined();
    expect(desk.whyNot({ messages: [operator, sender("7")] }, "sessions_send")).toEqual({
      code: "CLOISTER_CAPABILITY_DENIED",
      message:
        'the tool policy removed the tool sessions_send: tools by sender: deny (tools.toolsBySender["id:7"].deny)',
      remedy: 'take it out of tools.toolsBySender["id:7"].deny',
    });
  });

  it("are what the rules of every model that answered in it leave, besides those of the session's", () => {
    const { desk } = makeDesk(
      { byProvider: { second: { deny: ["sessions_send"] } } },
      { model: "first/m", toolRules: { byProvider: { third: { deny: ["sessions_list"] } } } },
    );
    const turn = (...answered: readonly string[]) => ({ messages: [operator], answered });
    expect(desk.judge(turn("first/m"), held).allowed).toEqual(held);
    expect(desk.judge(turn("first/m", "second/m"), held).allowed).toEqual(["session_status", "sessions_list"]);
    expect(desk.judge(turn("second/m", "third/m"), held).allowed).toEqual(["session_status"]);
    expect(desk.whyNot(turn("second/m"), "sessions_send")).toMatchObject({
      message:
        'the tool policy removed the tool sessions_send: tools by provider: deny (tools.byProvider["second"].deny)',
    });
  });

  it("are bounded by * when an agent, a timer or a program began it; a sub-agent's by its requester's alone", () => {
    const { desk } = makeDesk(bySender);
    const peer: Principal = { type: "agent", agentId: "raul", sessionKey: "agent:raul:main" };
    for (const principal of [
      peer,
      { type: "timer", agentId: "main", timerId: "t" },
      { type: "caller", name: "ci" },
      { type: "hook", name: "h" },
    ] as const)
      expect(namesOf(desk.describe({ messages: [from(principal)] }, held, true))).toEqual(["session_status"]);
    const run = from(peer, "agent:main:subagent:r-1");
    expect(desk.judge({ messages: [run] }, ["sessions_list", "sessions_send"]).allowed).toEqual(["sessions_list"]);
  });

  it("are bounded by whoever speaks in a thread that a sub-agent has", () => {
    const { desk } = makeDesk(bySender);
    const run = "agent:main:subagent:r-1";
    const asked = ["read", "sessions_history", "subagents"];
    const begun = from({ type: "agent", agentId: "main", sessionKey: "agent:main:main" }, run);
    const said = (senderId: string): EnvelopeHeader => ({ ...sender(senderId), sessionKey: run });
    expect(desk.judge({ messages: [begun] }, ["read", "subagents"]).allowed).toEqual(["read", "subagents"]);
    expect(desk.judge({ messages: [begun, said("9")] }, asked).allowed).toEqual(["read", "subagents"]);
    expect(desk.whyNot({ messages: [said("9")] }, "sessions_history")?.message).toContain(
      'tools.toolsBySender["*"].deny',
    );
  });

  it("are bounded by the rules of its group, by the rules for every group otherwise", () => {
    const { desk } = makeDesk(
      {},
      {},
      {
        telegram: {
          groups: {
            "-100": { tools: { deny: ["sessions_list"] } },
            "*": { toolsBySender: { "*": { allow: ["session_status"] } } },
          },
        },
      },
    );
    expect(namesOf(desk.describe({ messages: [sender("7", "group:-100")] }, held, true))).toEqual([
      "session_status",
      "sessions_send",
    ]);
    expect(namesOf(desk.describe({ messages: [sender("7", "group:-5")] }, held, true))).toEqual(["session_status"]);
    expect(namesOf(desk.describe({ messages: [sender("7")] }, held, true))).toEqual(held);
  });

  it("are in a guild those of its channel, of the guild, or of every guild, also for what an agent lets happen there", () => {
    const guilds = {
      "1": {
        tools: { deny: ["sessions_list"] },
        channels: { "22": { tools: { allow: ["session_status"] } }, "*": {} },
      },
      "*": { tools: { deny: ["sessions_send"] } },
    };
    const { desk } = makeDesk({}, {}, { discord: { guilds } });
    const place = { channel: "discord", accountId: "default" };
    const said = (id: string, guildId: string): EnvelopeHeader =>
      from({ type: "channel", ...place, peer: `channel:${id}`, guildId, senderId: "7" });
    const job = (id: string, guildId: string): EnvelopeHeader => ({
      ...from({ type: "timer", agentId: "main", timerId: "j-1" }),
      via: "config:schedule:main",
      replyRoute: { type: "channel", ...place, peerKind: "channel", peerId: id, guildId },
    });
    for (const header of [said, job]) {
      const left = (id: string, guildId: string) =>
        namesOf(desk.describe({ messages: [header(id, guildId)] }, held, true));
      expect(left("22", "1")).toEqual(["session_status"]);
      expect(left("23", "1")).toEqual(held.filter((name) => name !== "sessions_list"));
      expect(left("22", "2")).toEqual(held.filter((name) => name !== "sessions_send"));
    }
  });

  it("are in a thread those of the channel that it hangs from, for a message, an answer to it, and what an agent lets happen there", () => {
    const groups = { "222": { tools: { deny: ["sessions_list"] } } };
    const { desk } = makeDesk({}, {}, { discord: { groups } });
    const [peer, place] = ["channel:555", { channel: "discord", accountId: "default" }];
    const said = (parentPeer: string): EnvelopeHeader =>
      from({ type: "channel", ...place, peer, parentPeer, senderId: "7" });
    const job = (parentPeer: string): EnvelopeHeader => ({
      ...from({ type: "timer", agentId: "main", timerId: "j-1" }, "agent:main:discord:channel:555"),
      via: "config:schedule:main",
      replyRoute: { type: "channel", ...place, peerKind: "channel", peerId: "555", parentPeer },
    });
    for (const message of [said, job]) {
      expect(desk.judge({ messages: [message("channel:222")] }, held).allowed).not.toContain("sessions_list");
      expect(desk.judge({ messages: [message("channel:333")] }, held).allowed).toEqual(held);
    }
  });

  it("of what the agent lets happen in a group are the group's; an operator's job has those of its session", () => {
    const groups = { "-100": { tools: { deny: ["sessions_list"] } } };
    const { desk } = makeDesk({}, {}, { telegram: { groups } });
    const timer = (more: Partial<EnvelopeHeader>): readonly EnvelopeHeader[] => [
      {
        ...from({ type: "timer", agentId: "main", timerId: "j-1" }),
        via: "config:schedule:main",
        replyRoute: { type: "none" },
        ...more,
      },
    ];
    const toGroup = {
      type: "channel",
      channel: "telegram",
      accountId: "default",
      peerKind: "group",
      peerId: "-100",
    } as const;
    const inGroup = { sessionKey: "agent:main:telegram:group:-100" };
    for (const about of [inGroup, { replyRoute: toGroup }, { ...inGroup, replyRoute: toGroup }])
      expect(desk.judge({ messages: timer(about) }, held).allowed).toEqual(["session_status", "sessions_send"]);
    expect(desk.judge({ messages: timer({}) }, held).allowed).toEqual(held);
    expect(desk.judge({ messages: timer({ ...inGroup, via: "door:operator" }) }, held).allowed).toEqual(held);
  });

  it("of a sandboxed session are those of the sandbox's list; `non-main` leaves the main session out", () => {
    const { desk } = makeDesk({ sandboxTools: { allow: ["session_status"] } }, { sandboxMode: "non-main" });
    expect(namesOf(desk.describe({ messages: [operator] }, held, true))).toEqual(held);
    expect(namesOf(desk.describe({ messages: [from(operator.from, "agent:main:other")] }, held, true))).toEqual([
      "session_status",
    ]);
  });

  it("are refused when a list of the only tools leaves none, and empty when all of them are denied", () => {
    expect(makeDesk({ allow: ["exec"] }).desk.describe({ messages: [operator] }, held, true)).toMatchObject({
      code: "CLOISTER_CAPABILITY_DENIED",
      message: "the tool policy removed every tool: tools: allow (tools.allow)",
    });
    expect(makeDesk({ deny: ["*"] }).desk.describe({ messages: [operator] }, held, true)).toBe("[]");
  });

  it("that are removed are logged with the rule and the key: once at info for an agent and a configuration, then at debug", () => {
    const { desk, logged, config } = makeDesk({ deny: ["sessions_list"] });
    const row = { agent: "main", rule: "tools: deny", key: "tools.deny", tools: ["sessions_list"] };
    const list = (header = operator): void => void desk.describe({ messages: [header] }, held, true);
    list();
    expect(logged).toEqual([{ level: "info", session: "agent:main:main", ...row }]);
    list();
    list(from({ type: "operator", client: "cli" }, "agent:main:side"));
    expect(logged.slice(1)).toEqual([
      { level: "debug", session: "agent:main:main", ...row },
      { level: "debug", session: "agent:main:side", ...row },
    ]);
    list({ ...operator, agentId: "raul" });
    expect(logged[3]).toMatchObject({ level: "info", agent: "raul" });
    Object.assign(config, { revision: "another" });
    list();
    expect(logged[4]).toMatchObject({ level: "info", agent: "main" });
  });
});

describe("what a model is told of a tool", () => {
  const told = (name: string) =>
    (
      JSON.parse(makeDesk({}).desk.describe({ messages: [operator] }, [name], true) as string) as {
        parameters: object;
      }[]
    )[0]?.parameters;

  it("is an object of the parameters that it may give, the message of a call among them", () => {
    expect(told("session_status")).toEqual({
      type: "object",
      properties: { sessionKey: { type: "string", default: "current" } },
    });
    expect(told("sessions_send")).toEqual({
      type: "object",
      properties: { message: { type: "string", description: "What to send." }, sessionKey: { type: "string" } },
      required: ["message"],
    });
  });

  it("is one object also where the tool has several forms", () => {
    expect(told("subagents")).toEqual({
      type: "object",
      properties: {
        action: { type: "string", enum: ["list", "wait", "cancel"] },
        taskIds: { type: "array", items: { type: "string" } },
        taskId: { type: "string" },
      },
      required: ["action"],
    });
  });
});
