/**
 * One pipeline for every path (needs A9.5): what reaches an agent goes through `judge` and through the check at delivery, whatever
 * door it came by. The tables name each door with the check that it passes; a door that is not in them fails here, and so does one
 * that no longer has its check.
 */
import { describe, expect, test } from "vitest";
import { sessionTools } from "../../auth/tool-names.ts";
import { methods } from "../../runtime/edge/methods.ts";
import { operatorScopes } from "../../auth/scopes.ts";
import { type GrantVerb, grantVerbs } from "../../runtime/kernel/envelope.ts";
import { up } from "../../runtime/kernel/frames.ts";
import { allFiles, readText } from "./files.ts";

const program = allFiles.filter((file) => /^(?:runtime|auth|actors|channels)\/.*\.tsx?$/.test(file));

/** Files with the text, beside those that only declare it. */
const withText = (text: string | RegExp): readonly string[] =>
  program.filter((file) => (typeof text === "string" ? readText(file).includes(text) : text.test(readText(file))));

describe("A9.5: a message", () => {
  test("is journaled from two places, and both judge it first", () => {
    const emitters = withText(/emit\(\{\s*type: "append"/);
    expect(emitters).toEqual(["runtime/kernel/admit.ts", "runtime/kernel/sends.ts"]);
    for (const file of emitters) {
      const text = readText(file);
      const judged = text.search(/[^.\w]judge\(k, admission/);
      expect(judged, file).toBeGreaterThan(-1);
      expect(text.search(/emit\(\{\s*type: "append"/), file).toBeGreaterThan(judged);
    }
    // What comes through a pairing from outside of a cell (a replay, an approval, an exchange) has its right judged there.
    expect(readText("runtime/kernel/admit.ts")).toMatch(/judge\(k, admission[^)]*\) \?\? judgeRight\(k, admission\)/);
  });

  test("in memory is delivered from one place, by what was judged for it and still holds", () => {
    expect(withText(/\bdown\.question,/)).toEqual(["runtime/kernel/memory-asks.ts"]);
    const text = readText("runtime/kernel/memory-asks.ts");
    expect(text).toMatch(/holds\(k, kept, [^)]*\) \? kept : judgeRoute\(k, /);
    expect(text.match(/\bask\(k, route, /g)).toHaveLength(1);
    expect(text.indexOf("const route: Route = {")).toBeGreaterThan(text.indexOf("judge(k, admission, nowMs)"));
  });

  test("is delivered from one place, behind the second check", () => {
    expect(withText(/\[\s*down\.deliver,/)).toEqual(["runtime/kernel/turns.ts"]);
    const text = readText("runtime/kernel/turns.ts");
    // At once, or when what joins the turn is recorded: that is asked for behind the check as well, and only for what came by a door.
    expect(text.match(/\bdeliver\(k, agent, turn/g)).toHaveLength(2);
    expect(text.match(/turn\.opening = \{/g)).toHaveLength(1);
    for (const what of ["turn.opening = {", "takeFirst(k, agent, turn)", "deliver(k, agent, turn"])
      expect(text.indexOf(what), what).toBeGreaterThan(text.indexOf("whyNotDelivered(k, turn"));
  });

  /** Every file that hands a message to the accept path, and what was checked of its sender before. */
  const doors: Readonly<Record<string, string>> = {
    "runtime/supervisor/driver.ts": "the one caller of the kernel's `admit`",
    "runtime/supervisor/gateway.ts": "hands the driver's `accept` to those below",
    "runtime/supervisor/ingress.ts":
      "channels, hooks and clients: credential and scope at the edge, then the route, the hooks' pairing or the named agent",
    "runtime/supervisor/program-calls.ts":
      "programs over HTTP: token at the edge, then the caller's pairing, whose id is the `via`; the operator's own secret reaches all",
    "runtime/supervisor/channel-mail.ts":
      "messages of channels: admission, mention gate and route, then `accept` of ingress",
    "runtime/supervisor/broadcasts.ts": "one message of a channel to several agents, behind the same checks",
    "runtime/supervisor/subagents.ts":
      "what a run of a sub-agent begins and ends with: `sessions_spawn` was judged, and the run holds its derived rights",
    "runtime/supervisor/signals.ts":
      "timers and monitors: the right when they were set (`signals.ts` of the kernel), again by `via`",
    "runtime/supervisor/heartbeats.ts":
      "turns for BOOT.md: the configuration names the agent, and nobody else a word of it",
    "runtime/supervisor/dead-letters.ts": "replays: scope of the method, then the letter's own `via`",
    "runtime/supervisor/exchanges.ts": "turns of an exchange: the `via` of the message that began it",
    "runtime/supervisor/grant-requests.ts":
      "approved messages: scope of the method, sandbox and policy of the moment, then `via`",
  };
  test("comes to the accept path through these files alone", () => {
    expect(
      withText(/\b(?:deps\.|driver\.)?accept\((?!admission: Admission)|kernel\.admit\(/).filter((file) =>
        file.startsWith("runtime/supervisor"),
      ),
    ).toEqual(Object.keys(doors).toSorted());
    expect(withText("kernel.admit(")).toEqual(["runtime/supervisor/driver.ts"]);
    expect(withText(/\.sendFor\(/)).toEqual(["runtime/supervisor/tools/sessions-send.ts"]);
  });
});

describe("A9.5: what a cell asks for", () => {
  /** Each operation of a frame, and the function that checks the right to it; `none` says why there is no right to check. */
  const operations: Readonly<
    Record<keyof typeof up, { readonly check: string; readonly file: string } | { readonly none: string }>
  > = {
    send: { check: "checkSend(k, agent, turn, record)", file: "sends" },
    sendVolatile: { check: "checkSend(k, agent, turn, record)", file: "sends" },
    call: { check: "whyNoTool(k, agent, turn, record)", file: "syscalls" },
    model: { check: "whyNoModel(k, agent, turn, record)", file: "models" },
    tools: { check: "toolsOf(slotPairing(k, agent, slot))", file: "tool-lists" },
    schedule: { check: "judgeCall(k, agent, turn, record)", file: "signals" },
    timers: { check: "judgeCall(k, agent, turn, record)", file: "signals" },
    monitor: { check: "judgeCall(k, agent, turn, record)", file: "signals" },
    unschedule: { check: "judgeCall(k, agent, turn, record)", file: "signals" },
    demonitor: { check: "judgeCall(k, agent, turn, record)", file: "signals" },
    complete: { check: "judgeCall(k, agent, turn, record)", file: "signals" },
    stepStart: { none: "a step runs in the cell, and reaches nobody" },
    stepEnd: { none: "the end of one's own step" },
    // What agents steer with is behind the right of each message.
    take: { check: "holdsRight(k, header.via)", file: "gather" },
    stream: { none: "part of the turn's own answer" },
    usage: { none: "a report about the own turn, which only takes from its budget" },
    compacted: { none: "a bounded row in the transcript of the turn's own session" },
    done: { none: "the turn's own end" },
    log: { none: "bounded, and marked with the agent that the port belongs to" },
  };

  test("has a row here, and its check in the kernel", () => {
    expect(Object.keys(operations).toSorted()).toEqual(Object.keys(up).toSorted());
    for (const [name, row] of Object.entries(operations))
      if ("check" in row) expect(readText(`runtime/kernel/${row.file}.ts`), name).toContain(row.check);
    // What the switch knows and the tables do not would be a way around them.
    const cases = [...readText("runtime/kernel/syscalls.ts").matchAll(/case up\.(\w+):/g)].map(([, name]) => name);
    expect(new Set([...cases, "log"])).toEqual(new Set(Object.keys(up)));
  });

  /** The file of each session tool, and how it asks the policy about another session. */
  const judges: Readonly<Record<(typeof sessionTools)[number], readonly [file: string, check: RegExp]>> = {
    agents_list: ["agents-list", /find\.judge\(/],
    session_status: ["session-status", /find\.judge\(/],
    sessions: ["sessions", /find\.judgeControl\(/],
    sessions_history: ["sessions-history", /find\.judge\(/],
    sessions_list: ["sessions-list", /find\.visibleAgents\(/],
    sessions_search: ["sessions-search", /find\.judge\(/],
    sessions_send: ["sessions-send", /find\.judge\(/],
    sessions_spawn: ["sessions-spawn", /find\.maySpawn\(/],
    sessions_yield: ["sessions-yield", /yieldTurn\(call/],
    subagents: ["subagents", /findOwn\(/],
  };

  /** Every verb of a grant, and the tool that asks the policy for it; `ctx.send` and `ctx.request` are in the operations above. */
  const verbs: Readonly<Record<GrantVerb, readonly [file: string, check: RegExp]>> = {
    send: ["sessions-send", /steers \? "steer" : timeoutSeconds > 0 \? "request" : "send"/],
    request: ["sessions-send", /steers \? "steer" : timeoutSeconds > 0 \? "request" : "send"/],
    list: ["sessions-list", /find\.judge\(requester, target, "list"\)/],
    history: ["sessions-history", /"history"/],
    spawn: ["sessions-spawn", /find\.maySpawn\(/],
    steer: ["sessions-send", /steers \? "steer" : timeoutSeconds > 0 \? "request" : "send"/],
    cancel: ["sessions", /find\.judge\(requester, target, "cancel"\)/],
  };

  test("A9.1: by a verb that can be granted has a door that asks for it", () => {
    expect(Object.keys(verbs)).toEqual([...grantVerbs]);
    for (const [verb, [file, check]] of Object.entries(verbs))
      expect(readText(`runtime/supervisor/tools/${file}.ts`), verb).toMatch(check);
  });

  test("of a session tool is judged by the policy's own function", () => {
    expect(Object.keys(judges).toSorted()).toEqual([...sessionTools].toSorted());
    for (const [tool, [file, check]] of Object.entries(judges))
      expect(readText(`runtime/supervisor/tools/${file}.ts`), tool).toMatch(check);
    // Only the finder and the commands of operators ask the policy; nobody has rules of his own.
    for (const judge of [/\bjudgeSession\(/, /\bjudgeControl\((?:policy|$)/m])
      expect(withText(judge)).toEqual(["auth/policy.ts", "runtime/supervisor/tools/find-session.ts"]);
  });
});

test("A9.5: every method of the socket has a scope, which is checked before its parameters are read", () => {
  for (const [name, { scope }] of Object.entries(methods)) expect(operatorScopes, name).toContain(scope);
  const text = readText("runtime/edge/requests.ts");
  expect(text.indexOf("holdsScope(")).toBeGreaterThan(-1);
  expect(text.indexOf("holdsScope(")).toBeLessThan(text.indexOf("params.safeParse("));
});
