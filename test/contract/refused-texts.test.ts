/**
 * AC-08.1 over random calls: whatever an agent asks of its session tools, what it is told when that fails has one form, and neither
 * that nor what it says in a channel speaks of connections, of pairing or of devices.
 */
import { expect, test } from "vitest";
import { actor } from "../support/actors.ts";
import { openGateway, type TestGateway } from "../support/gateway.ts";
import { makeRandom, type Random } from "../support/random.ts";

const codes = [
  "forbidden",
  "not_found",
  "archived",
  "busy",
  "timeout",
  "would_deadlock",
  "worker_unavailable",
  "invalid",
];
const tools = [
  "sessions_send",
  "sessions_send",
  "sessions_list",
  "sessions_history",
  "sessions_search",
  "session_status",
  "sessions",
  "sessions_spawn",
  "subagents",
  "agents_list",
];
const transports = /\b1008\b|pairing|websocket|\bdevice|\brequest ?id\b|[0-9a-f]{64}|econn|socket/i;

/** Every parameter that a session tool knows, with values that fit and values that do not. */
function randomParams(random: Random): Record<string, unknown> {
  const keys = [
    "agent:main:main",
    "agent:raul:main",
    "agent:raul:side",
    "agent:nobody:main",
    "agent:crasher:main",
    "agent::",
    "main",
    "current",
    "agent:raul:slack:channel:c1:thread:t1",
    "1e7d3b1e-1111-4222-8333-0123456789ab",
    "",
    7,
  ];
  const values: Readonly<Record<string, readonly unknown[]>> = {
    sessionKey: keys,
    agentId: ["raul", "nobody", "RAUL", "no such!", "crasher", null],
    label: ["side", "nowhere", "", "x".repeat(2_000)],
    message: ["throw", "exit", "hello", "", " ", 5],
    query: ["hello", " ", 3],
    task: ["throw", "say it", ""],
    timeoutSeconds: [0, 0.001, -1, 1e12, "soon"],
    action: ["patch", "reset", "delete", "list", "wait", "cancel", "steal"],
    taskId: ["r-none", 1],
    taskIds: [["r-none"], [], "r-none"],
    limit: [1, 0, 1e9, "many"],
    offset: [0, -1],
    mode: ["followup", "session", "interrupt"],
    thread: [true, "yes"],
    context: ["fork", "spoon"],
    channel: ["webhook"],
  };
  return Object.fromEntries(
    Object.entries(values)
      .filter(([name]) => random.chance(name === "sessionKey" ? 0.7 : 0.5))
      .map(([name, choices]) => [name, random.pick(choices)]),
  );
}

test.each(["all", "agent", "self"] as const)(
  "AC-08.1: 150 random calls are told in one form, without a word of transports; visibility %s",
  async (visibility) => {
    const gateway = await openGateway(
      [
        { id: "main", ...actor("tool-user") },
        { id: "raul", module: "echo" },
        { id: "crasher", ...actor("crasher") },
      ],
      {
        visibility,
        agentToAgent: { enabled: true, allow: ["*"] },
        webhook: {
          accounts: { default: { token: "t", outboundUrl: "http://127.0.0.1:1/" } },
          defaultAccount: "default",
        },
      },
    );
    await gateway.store.labelSession("agent:raul:side", "raul", "side", 1);
    const random = makeRandom(visibility.length);
    const seen = new Set<string>();
    for (let n = 0; n < 150; n++) {
      const tool = random.pick(tools);
      const params = randomParams(random);
      const text = await sayInChannel(gateway, n, JSON.stringify({ tool, params }));
      const asked = `${tool} ${JSON.stringify(params)}: ${text}`;
      expect(text, asked).not.toMatch(transports);
      const result = JSON.parse(text) as Record<string, unknown>;
      if (!["error", "forbidden", "timeout"].includes(String(result["status"]))) continue;
      expect(codes, asked).toContain(result["code"]);
      expect(result["error"], asked).toMatch(/\S/);
      // Beside its form only what a caller needs to go on.
      const allowed = ["status", "code", "error", "operatorHint", "retryAfterMs", "delivery", "runId", "sessionKey"];
      expect(allowed, asked).toEqual(expect.arrayContaining(Object.keys(result)));
      seen.add(String(result["code"]));
    }
    expect([...seen]).toEqual(expect.arrayContaining(["invalid", "not_found"]));
    if (visibility !== "all") expect([...seen]).toContain("forbidden");
  },
);

/** As a person would: over the channel, so that what comes back is what a channel shows. */
async function sayInChannel(gateway: TestGateway, n: number, text: string): Promise<string> {
  const count = gateway.sent.length;
  const heard = await gateway.doors.inbound({
    channel: "webhook",
    accountId: "default",
    peer: { kind: "direct", id: "ana" },
    sender: { id: "ana" },
    messageId: `m${n}`,
    text,
    tsMs: n,
  });
  expect(heard).toMatchObject({ status: "accepted", agentId: "main" });
  await gateway.until(() => gateway.sent.length > count);
  return gateway.sent.at(-1)?.text ?? "";
}
