/**
 * A9.1 as one table: every verb that can be granted × every door that an agent has × where the right comes from × visibility × sandbox.
 * The rule is one line: a door is open if and only if its own verb was granted, and the session is not clamped.
 */
import { describe, expect, test } from "vitest";
import { sessionTools } from "../../auth/tool-names.ts";
import type { ResolvedConfig } from "../../runtime/config/resolved.ts";
import { actor } from "../support/actors.ts";
import { openGateway, withSessionTools } from "../support/gateway.ts";

const toolUser = actor("tool-user");
const operator = { connId: "c", clientId: "cli-1", mode: "cli", scopes: ["operator.admin"] };
const verbs = ["send", "request", "list", "history", "spawn", "steer", "cancel"] as const;
const target = { sessionKey: "agent:raul:main" };

/** Each door with the verb that opens it; one without a verb is open to no grant of a single one. */
const doors: readonly (readonly [
  name: string,
  verb: (typeof verbs)[number] | undefined,
  tool: string,
  params: object,
])[] = [
  ["ctx.send", "send", "send", { to: "raul", text: "x" }],
  ["ctx.request", "request", "request", { to: "raul", text: "x" }],
  ["sessions_send, timeoutSeconds 0", "send", "sessions_send", { ...target, message: "x", timeoutSeconds: 0 }],
  ["sessions_send, timeoutSeconds 30", "request", "sessions_send", { ...target, message: "x", timeoutSeconds: 30 }],
  ["sessions_list", "list", "sessions_list", { agentId: "raul" }],
  ["sessions_history", "history", "sessions_history", target],
  ["sessions_search", "history", "sessions_search", { query: "hello", ...target }],
  ["sessions_send, mode steer", "steer", "sessions_send", { ...target, message: "x", mode: "steer" }],
  ["sessions, cancel", "cancel", "sessions", { ...target, action: "cancel" }],
  ["sessions_spawn", "spawn", "sessions_spawn", { agentId: "raul", task: "x" }],
  ["session_status", "list", "session_status", target],
  ["sessions_search of an agent", "history", "sessions_search", { query: "hello", agentId: "raul" }],
  // It tells when something was said: to list and to read.
  ["session_status, changesSince", undefined, "session_status", { ...target, changesSince: 0 }],
  // Who decides about a session is its agent, its spawner, or the operator.
  ["session_status, model", undefined, "session_status", { ...target, model: "some/model" }],
  ["sessions, patch", undefined, "sessions", { ...target, action: "patch", label: "mine" }],
  ["sessions, reset", undefined, "sessions", { ...target, action: "reset" }],
  ["sessions, delete", undefined, "sessions", { ...target, action: "delete" }],
];

test("has every session tool, but those that reach no other session", () => {
  const own = ["agents_list", "sessions_yield", "subagents"];
  const tools = new Set(doors.map(([, , tool]) => tool).filter((tool) => tool !== "send" && tool !== "request"));
  expect([...tools, ...own].toSorted()).toEqual([...sessionTools].toSorted());
});

// oxlint-disable-next-line typescript/no-explicit-any -- answers of tools, looked into by the test
function isOpen(answer: any): boolean {
  if (answer.status === "forbidden" || answer.code === "CLOISTER_CAPABILITY_DENIED") return false;
  return (
    !Array.isArray(answer.sessions) || answer.sessions.some(({ key }: { key: string }) => key === target.sessionKey)
  );
}

describe.each(["self", "tree", "agent", "all"] as const)("A9.1: visibility %s", (visibility) => {
  test.each(["config", "operator"] as const)("rights from %s", async (source) => {
    const holders = ["none", ...verbs];
    const agents = [
      // The main session of each works without a sandbox, its other one in one.
      ...holders.map((id) => ({ id, ...toolUser, sandboxMode: "non-main" as const })),
      { id: "raul", module: "echo" },
    ];
    const grants = verbs.map((verb) => ({ from: verb, to: "raul", verbs: [verb] }));
    const agentToAgent: ResolvedConfig["agentToAgent"] =
      source === "config" ? { enabled: true, allow: [], grants } : { enabled: false, allow: [] };
    const gateway = await openGateway(agents, { visibility, agentToAgent, toolRules: withSessionTools });
    await gateway.reply("raul", "hello");
    if (source === "operator")
      for (const grant of grants)
        expect(await gateway.doors.rpc(operator, "grants.add", grant)).toMatchObject({ ok: true });
    const open: string[] = [];
    const expected: string[] = [];
    const calls = JSON.stringify(doors.map(([, , tool, params]) => ({ tool, params })));
    for (const id of holders)
      for (const session of ["main", "boxed"]) {
        const answers = JSON.parse(await gateway.reply(id, calls, `agent:${id}:${session}`)) as readonly string[];
        for (const [at, [name, verb]] of doors.entries()) {
          if (id === verb && session === "main") expected.push(`${id}: ${name}`);
          if (isOpen(JSON.parse(answers[at] ?? ""))) open.push(`${id}${session === "main" ? "" : ", boxed"}: ${name}`);
        }
      }
    expect(open).toEqual(expected);
  });
});
