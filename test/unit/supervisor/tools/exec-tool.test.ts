/** Calls of `exec` before they reach the tools' thread: who may leave a sandbox, and what judges a command that does. */
import { describe, expect, it, test } from "vitest";
import type { EnvelopeHeader } from "../../../../runtime/kernel/envelope.ts";
import type { ElevatedLevel } from "../../../../runtime/kernel/session-choices.ts";
import type { Approval } from "../../../../runtime/supervisor/tools/exec-approvals.ts";
import { makeExecTools } from "../../../../runtime/supervisor/tools/exec-tool.ts";
import type { ToolCall } from "../../../../runtime/supervisor/tools/table.ts";
import type { CommandStart, ToolsForKernel } from "../../../../runtime/tools/port.ts";
import { execSettings } from "../../../support/exec-settings.ts";
import { makeConfig } from "../../../support/gateway.ts";

type Message = Pick<EnvelopeHeader, "from" | "signal">;

const operator = { from: { type: "operator" } } as Message;
const sender = (senderId: string): Message => ({ from: { type: "channel", channel: "Telegram", senderId } }) as Message;
/** The turn that is told of a decision. */
const decided = {
  from: { type: "timer", agentId: "main", timerId: "a-1" },
  signal: { type: "task", id: "a-1", name: "approval x-1", status: "done" },
} as Message;
const free = { security: "full", ask: "off" } as const;

interface World {
  readonly exec?: object;
  readonly enabled?: boolean;
  readonly level?: ElevatedLevel;
  /** `agents.defaults.elevatedDefault`. */
  readonly usual?: ElevatedLevel;
  /** What the operator said of the command. */
  readonly approval?: Approval;
  readonly isAllowed?: boolean;
  /** Until then the operator says nothing. */
  readonly decides?: Promise<void>;
}

/** Where a command ran; else what the call was told. */
async function run(messages: readonly Message[], asked: object, world: World = {}): Promise<object> {
  return open(messages, world).run(asked);
}

function open(messages: readonly Message[], world: World) {
  const { exec: written = free, enabled = true, level, usual, approval, isAllowed = false, decides } = world;
  const counts = { questions: 0, starts: 0 };
  const exec = execSettings({
    tools: { exec: written, elevated: { enabled, allowFrom: { telegram: ["7"] } } },
    ...(usual === undefined ? {} : { agents: { defaults: { elevatedDefault: usual } } }),
  });
  const config = makeConfig([{ id: "main", workspace: "/ws/main", sandboxMode: "all", exec }]);
  const agents = new Map(config.agents.map((agent) => [agent.id, agent]));
  const [agent] = config.agents;
  if (agent === undefined) throw new Error("no agent");
  const seen: { asked?: string } = {};
  const remote = {
    plan: () =>
      Promise.resolve({ ok: true, vector: { argv: ["/bin/true"], cwd: "/ws/main", env: {} }, program: undefined }),
    start: ({ place }: CommandStart) => {
      counts.starts++;
      return Promise.resolve({ ran: place.type, ...seen });
    },
  } as Partial<ToolsForKernel> as ToolsForKernel;
  const tools = makeExecTools({
    config,
    agents,
    approvals: {
      async ask(_, { told }) {
        if (approval === undefined) throw new Error("nobody is asked");
        counts.questions++;
        await decides;
        if (approval.type === "allowed") seen.asked = told?.asked ?? "";
        return approval;
      },
      isAllowed: (_, tasks) => isAllowed && tasks.includes("a-1"),
    },
    inThread: (_, ask) => ask(agent, remote),
    kernel: () => ({
      judgedTurn: () => ({
        messages: messages as readonly EnvelopeHeader[],
        ...(level === undefined ? {} : { elevated: level }),
      }),
    }),
    news: {
      expect: () => Promise.reject(new Error("nothing goes on")),
      heard: () => undefined,
      turnOver: () => undefined,
    },
    isOver: () => false,
  });
  const header = { agentId: "main", sessionKey: "agent:main:main", runId: "run-1", ...messages[0] };
  return {
    counts,
    async run(given: object, turn = 1): Promise<object> {
      const body = JSON.stringify({ command: "true", ...given });
      return (await tools.exec.run({ agentId: "main", turn, tool: "exec", header, body } as ToolCall)) ?? {};
    },
  };
}

const elevated = { elevated: true };

test("F135: a command leaves the sandbox only when each message of its turn may let it, and none borrows it from another", async () => {
  for (const given of [[operator], [sender("7")], [operator, sender("7")]])
    expect(await run(given, elevated), JSON.stringify(given)).toEqual({ ran: "host" });
  for (const given of [[sender("8")], [operator, sender("8")], [sender("7"), sender("8")], []])
    expect(await run(given, elevated), JSON.stringify(given)).toMatchObject({ status: "forbidden" });
});

describe("F135: /elevated", () => {
  const allowed = { approval: { type: "allowed" } } as const;
  const listed = { exec: { security: "allowlist", ask: "off", allow: ["/bin/other"] } };
  const rows: readonly (readonly [string, ElevatedLevel | undefined, Message, object, World, object])[] = [
    ["nothing chosen: a call that does not ask stays", undefined, sender("7"), {}, {}, { ran: "bubblewrap" }],
    [
      "nothing chosen: one that asks is judged as on the host",
      undefined,
      operator,
      elevated,
      listed,
      { code: "forbidden" },
    ],
    ["off: refused, also to the operator", "off", operator, elevated, {}, { status: "forbidden" }],
    ["off: the sandbox is there", "off", operator, {}, {}, { ran: "bubblewrap" }],
    ["on: every call leaves", "on", sender("7"), {}, {}, { ran: "host" }],
    ["on: judged as on the host", "on", sender("7"), {}, listed, { code: "forbidden" }],
    ["on: of whom the gates do not name stays", "on", sender("8"), {}, {}, { ran: "bubblewrap" }],
    ["on: a timer's stays", "on", decided, {}, {}, { ran: "bubblewrap" }],
    ["on: whoever is not named may not ask for it", "on", sender("8"), elevated, {}, { status: "forbidden" }],
    ["on: the gates are shut again", "on", operator, {}, { enabled: false }, { ran: "bubblewrap" }],
    ["ask: an operator is asked of what is free", "ask", sender("7"), {}, allowed, { ran: "host" }],
    ["ask: and refuses", "ask", sender("7"), {}, { approval: { type: "denied", id: "x" } }, { status: "forbidden" }],
    ["full: nobody is asked, and no list is", "full", sender("7"), {}, listed, { ran: "host" }],
    ["full: deny stays", "full", operator, {}, { exec: { security: "deny" } }, { status: "forbidden" }],
    ["on by default: every call leaves", undefined, sender("7"), {}, { usual: "on" }, { ran: "host" }],
    ["on by default: what was chosen goes before it", "off", sender("7"), {}, { usual: "on" }, { ran: "bubblewrap" }],
    ["on by default: the gates stay", undefined, sender("8"), {}, { usual: "on" }, { ran: "bubblewrap" }],
    [
      "off by default: refused, with what would allow it",
      undefined,
      operator,
      elevated,
      { usual: "off" },
      { status: "forbidden", operatorHint: "agents.defaults.elevatedDefault, or /elevated on" },
    ],
    ["full: the gates stay", "full", sender("8"), {}, listed, { code: "forbidden" }],
  ];
  it.each(rows)("%s", async (_, level, message, asked, world, expected) => {
    expect(await run([message], asked, { ...world, ...(level === undefined ? {} : { level }) })).toMatchObject(
      expected,
    );
  });

  it("what the operator allowed word by word leaves in the turn that is told so, and nothing else does", async () => {
    const ask = { exec: { security: "full", ask: "always" }, approval: { type: "allowed" } } as const;
    expect(await run([decided], elevated, { ...ask, isAllowed: true })).toMatchObject({ ran: "host" });
    expect(await run([decided], elevated, ask)).toMatchObject({ status: "forbidden" });
    expect(await run([decided], elevated, { ...ask, isAllowed: true, enabled: false })).toMatchObject({
      status: "forbidden",
    });
    // Where nobody has to allow it, nobody has.
    expect(await run([decided], elevated, { isAllowed: true })).toMatchObject({ status: "forbidden" });
  });

  it("the session is told to call with `elevated`, also where it did not have to say so", async () => {
    const told = await run([sender("7")], {}, { level: "ask", approval: { type: "allowed" } });
    expect(JSON.parse((told as { asked: string }).asked)).toMatchObject({ command: "true", elevated: true });
  });
});

describe("equal calls of one turn that are under way together", () => {
  const asks = { security: "full", ask: "always" } as const;
  const together = async (approval: Approval) => {
    const { promise: decides, resolve: decide } = Promise.withResolvers<void>();
    const opened = open([operator], { exec: asks, approval, decides });
    const calls = [opened.run({}), opened.run({}), opened.run({ timeout: 5 })];
    const others = [opened.run({}, 2), opened.run({ background: true })];
    await expect.poll(() => opened.counts.questions).toBe(3);
    decide();
    return { told: await Promise.all(calls), others: await Promise.all(others), ...opened };
  };

  it("are one question, and what the operator allows runs once", async () => {
    const opened = await together({ type: "allowed" });
    const { told, others, counts } = opened;
    const isRun = { status: "forbidden", error: expect.stringContaining("an equal call of this turn runs it") };
    expect(told).toEqual([
      expect.objectContaining({ ran: "bubblewrap" }),
      ...[1, 2].map(() => expect.objectContaining(isRun)),
    ]);
    for (const other of others) expect(other).toMatchObject({ ran: "bubblewrap" });
    expect(counts).toEqual({ questions: 3, starts: 3 });
    // One that comes after it is one of its own.
    expect(await opened.run({})).toMatchObject({ ran: "bubblewrap" });
    expect(counts).toEqual({ questions: 4, starts: 4 });
  });

  it.each([
    [
      { type: "denied", id: "x-1" },
      { status: "forbidden", error: expect.stringContaining("x-1") },
    ],
    [
      { type: "waits", id: "x-1", waited: true, isTold: true },
      { status: "needs_approval", approvalId: "x-1" },
    ],
  ] as const)("are all told %j", async (approval, expected) => {
    const { told, counts } = await together(approval);
    for (const one of told) expect(one).toMatchObject(expected);
    expect(counts).toEqual({ questions: 3, starts: 0 });
  });
});
