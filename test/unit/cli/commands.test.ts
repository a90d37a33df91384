/** Whole command lines against a scripted gateway: what they ask, print and exit with. */
import { readFile, writeFile } from "node:fs/promises";
import path from "node:path";
import JSON5 from "json5";
import { beforeEach, describe, expect, it } from "vitest";
import { runProgram } from "../../../runtime/cli/program.ts";
import { useCliHome } from "./cli-home.ts";
import { makeFakeTerminal } from "./fake-terminal.ts";
import type { Script } from "./scripted-gateway.ts";
import { eventually } from "../../support/eventually.ts";

const cli = useCliHome();
const { run, serve } = cli;

const asked = (): readonly unknown[] => cli.requests.slice(1).map(({ method, params }) => [method, params]) ?? [];
const agent = (agentId: string, isDefault = false): object => ({
  agentId,
  name: agentId,
  isDefault,
  module: "scripted",
  workspace: "/w",
  phase: "live",
  activeRuns: 0,
  queueDepth: 0,
  restarts: 0,
  mainSessionKey: `agent:${agentId}:main`,
});
const agents = { agents: [agent("main", true), agent("raul")] };

describe("send", () => {
  it("prints the reply alone, and asks for the right to write alone", async () => {
    await serve((request, { answer }) => {
      answer(request, { runId: "r", sessionKey: "agent:raul:main", status: "accepted" });
      answer(request, { runId: "r", status: "ok", result: { payloads: [{ text: "It is noon.", mediaUrl: null }] } });
    });
    expect(await run("send", "--agent", "raul", "--timeout", "5", "what", "time?")).toBe(0);
    expect([cli.terminal.outText(), cli.terminal.errText()]).toEqual(["It is noon.\n", ""]);
    expect(cli.requests[0]?.params["scopes"]).toEqual(["operator.write"]);
    expect(asked()).toEqual([
      [
        "agent",
        { agentId: "raul", message: "what time?", deliver: false, timeout: 5, idempotencyKey: expect.any(String) },
      ],
    ]);
  });

  it.each([
    ["silence", { status: "ok", result: { payloads: [] } }, 0, "(the agent said nothing)\n"],
    ["a failed run", { status: "error", summary: "crashed" }, 1, "the run ended as error: crashed\n"],
  ])("tells of %s", async (_name, final, exitCode, remark) => {
    await serve((request, { answer }) => answer(request, { runId: "r", ...final }));
    expect([await run("send", "hi"), cli.terminal.outText(), cli.terminal.errText()]).toEqual([exitCode, "", remark]);
  });

  it("a run that takes longer goes on, which the error says", async () => {
    await serve((request, { answer }) => answer(request, { runId: "r", status: "timeout" }));
    await expect(run("send", "--timeout", "3", "hi")).rejects.toMatchObject({
      code: "CLOISTER_ASK_TIMEOUT",
      message: "Waiting for the answer: run r was not done within 3 s and goes on.",
    });
  });

  it("Ctrl-C stops the run and exits as the signal does", async () => {
    await serve((request, caller) => {
      if (request.method === "agent") {
        // Whether the signal or the answer comes first makes no difference.
        cli.terminal.signal("SIGINT");
        caller.answer(request, { runId: "r", sessionKey: "agent:main:main", status: "accepted" });
        return;
      }
      caller.answer(request, { ok: true });
      const [, first] = cli.requests ?? [];
      if (first !== undefined) caller.refuse(first, { code: "INVALID_REQUEST", message: "stopped" });
    });
    expect(await run("send", "hi")).toBe(130);
    expect(asked().at(-1)).toEqual(["chat.abort", { runId: "r", sessionKey: "agent:main:main" }]);
    expect([cli.terminal.exits, cli.terminal.listeners(), cli.terminal.errText()]).toEqual([[], 0, ""]);
  });

  it("a second Ctrl-C does not wait", async () => {
    await serve((request, { answer }) => {
      cli.terminal.signal("SIGINT");
      cli.terminal.signal("SIGTERM");
      answer(request, { runId: "r", status: "ok" });
    });
    await run("send", "hi");
    expect(cli.terminal.exits).toEqual([143]);
  });

  it("text of an agent cannot steer the terminal", async () => {
    await serve((request, { answer }) =>
      answer(request, { runId: "r", status: "ok", result: { payloads: [{ text: "a\u001b]0;x\u0007\u001b[2Jb" }] } }),
    );
    await run("send", "hi");
    expect(cli.terminal.outText()).toBe("ab\n");
  });
});

describe("send of a command that needs more than sending", () => {
  const missing = {
    code: "FORBIDDEN",
    message: "missing scope: operator.admin",
    details: { code: "MISSING_SCOPE", missingScope: "operator.admin", remedy: "approve it" },
  };
  const scopes = () => cli.requests.filter(({ method }) => method === "connect").map(({ params }) => params["scopes"]);

  it("is tried once more with the scope that was missing", async () => {
    await serve((request, caller) => {
      if (scopes().length === 1) caller.refuse(request, missing);
      else caller.answer(request, { runId: "r", status: "ok", result: { payloads: [{ text: "anew" }] } });
    });
    expect(await run("send", "/new")).toBe(0);
    expect(cli.terminal.outText()).toBe("anew\n");
    expect(scopes()).toEqual([["operator.write"], ["operator.admin", "operator.write"]]);
  });

  it("says what to do when that does not help", async () => {
    await serve((request, caller) => caller.refuse(request, missing));
    await expect(run("send", "/new")).rejects.toMatchObject({ code: "CLOISTER_EDGE_FORBIDDEN", remedy: "approve it" });
    expect(scopes()).toHaveLength(2);
  });
});

describe("agents delete", () => {
  it("says which folders stay when the agent is there until the next start", async () => {
    await serve((request, { answer }) =>
      answer(request, { path: "cloister.json", status: "off", filesLeft: { workspace: "/w", agentDir: "/a" } }),
    );
    expect(await run("agents", "delete", "work", "--force")).toBe(0);
    expect(cli.terminal.outText()).toMatch(/its folders stay: remove them then\n {2}\/w\n {2}\/a\n$/);
  });
});

const answering: Script = (request, caller) => {
  if (request.method === "agents.list") caller.answer(request, agents);
  else if (request.method === "chat.send") {
    const runId = String(request.params["idempotencyKey"]);
    const said = String(request.params["message"]);
    caller.answer(request, { runId });
    const message = { content: [{ type: "text", text: `you said ${said}` }] };
    const state = said === "fail" ? { state: "error", errorMessage: "broke" } : { state: "final", message };
    caller.event("chat", { runId, sessionKey: "agent:main:main", ...state });
  } else caller.answer(request, {});
};

describe("chat from a pipe", () => {
  it("answers each line and ends with the input", async () => {
    await serve(answering);
    cli.terminal.input.end("one\n\ntwo\n");
    expect(await run("chat")).toBe(0);
    expect(cli.terminal.outText()).toBe("you said one\nyou said two\n");
    expect(asked().map((request) => (request as [string])[0])).toEqual([
      "agents.list",
      "sessions.subscribe",
      "chat.send",
      "chat.send",
    ]);
  });

  it("goes on after a failed line and exits with 1", async () => {
    await serve(answering);
    cli.terminal.input.end("fail\nmore\n");
    expect(await run("chat", "--session", "agent:main:main")).toBe(1);
    expect([cli.terminal.outText(), cli.terminal.errText()]).toEqual(["you said more\n", "(failed: broke)\n"]);
  });

  it("with an agent that does not exist names those that do", async () => {
    await serve(answering);
    await expect(run("chat", "--agent", "paul")).rejects.toMatchObject({
      code: "CLOISTER_AGENT_UNKNOWN",
      message: 'Choosing the agent: found no agent "paul"; there are main, raul.',
    });
  });
});

const streaming: Script = (request, caller) => {
  if (request.method === "agents.list") caller.answer(request, agents);
  else if (request.method === "chat.send") {
    const runId = String(request.params["idempotencyKey"]);
    caller.answer(request, { runId });
    for (const [state, text] of [
      ["delta", "Hel"],
      ["delta", "Hello"],
      ["final", "Hello!"],
    ] as const) {
      caller.event("chat", { runId, sessionKey: "agent:main:main", state, message: { content: [{ text }] } });
    }
  } else caller.answer(request, {});
};

describe("chat at a terminal", () => {
  beforeEach(() => {
    cli.clear({ isTty: true });
  });

  it("streams the answer and leaves with /quit", async () => {
    await serve(streaming);
    const exit = run("chat");
    await expect.poll(() => cli.terminal.outText()).toContain("> ");
    cli.terminal.input.write("hi\n");
    await expect.poll(() => cli.terminal.outText()).toContain("Hello!\n");
    cli.terminal.input.write("/quit\n");
    expect(await exit).toBe(0);
  });

  it("Ctrl-C without an answer says how to leave, the second one leaves", async () => {
    await serve(streaming);
    const exit = run("chat");
    await expect.poll(() => cli.terminal.outText()).toContain("> ");
    cli.terminal.input.write("\u0003");
    await expect.poll(() => cli.terminal.errText()).toContain("press Ctrl-C again");
    cli.terminal.input.write("\u0003");
    expect(await exit).toBe(0);
  });

  it("Ctrl-C stops a running answer", async () => {
    await serve((request, caller) => {
      if (request.method === "agents.list") caller.answer(request, agents);
      else if (request.method === "chat.send") {
        caller.answer(request, { runId: "r" });
        caller.event("chat", { runId: "r", sessionKey: "k", state: "delta", message: { content: [{ text: "long" }] } });
      } else {
        caller.answer(request, {});
        if (request.method === "chat.abort") caller.event("chat", { runId: "r", sessionKey: "k", state: "aborted" });
      }
    });
    const exit = run("chat");
    await expect.poll(() => cli.terminal.outText()).toContain("> ");
    cli.terminal.input.write("hi\n");
    await expect.poll(() => cli.terminal.outText()).toContain("long");
    cli.terminal.input.write("\u0003");
    await expect.poll(() => cli.terminal.errText()).toContain("(stopped)");
    cli.terminal.input.write("/quit\n");
    expect(await exit).toBe(0);
    expect(asked().at(-1)).toEqual(["chat.abort", { sessionKey: "agent:main:main", runId: "r" }]);
  });
});

describe("agents unpark", () => {
  it("puts a parked agent back, and says how another one is", async () => {
    await serve((request, { answer }) =>
      answer(request, { unparked: request.params["agentId"] === "raul", before: "live" }),
    );
    expect(await run("agents", "unpark", "raul")).toBe(0);
    expect(cli.terminal.outText()).toBe("raul is back in service; its mail goes on\n");
    expect(cli.requests[0]?.params["scopes"]).toEqual(["operator.admin"]);
    await expect(run("agents", "unpark", "main")).rejects.toMatchObject({
      code: "CLOISTER_REQUEST_INVALID",
      message: "Unparking main: found it live, wanted it parked.",
    });
  });
});

describe("agents start, stop, park and restart", () => {
  it("tell what happens now, pass the reason on, and say how an agent is that cannot obey", async () => {
    await serve((request, { answer }) =>
      answer(request, {
        done: request.params["agentId"] !== "main",
        before: request.params["agentId"] === "raul" ? "live" : "disabled",
      }),
    );
    expect(await run("agents", "stop", "raul")).toBe(0);
    expect(await run("agents", "park", "raul", "--reason", "it moves")).toBe(0);
    expect(await run("agents", "start", "raul")).toBe(0);
    expect(await run("agents", "restart", "raul")).toBe(0);
    expect(cli.terminal.outText().trimEnd().split("\n")).toEqual([
      "raul stops: turns in flight may end for up to 10 s; its mail waits until it is started",
      "raul is parked: turns in flight may end for up to 10 s; its mail waits until it is started",
      "raul is back in service; its mail goes on",
      "raul restarts: turns in flight may end for up to 10 s; its next message starts a new cell",
    ]);
    expect(
      cli.requests.filter(({ method }) => method.startsWith("agents.")).map(({ method, params }) => [method, params]),
    ).toEqual([
      ["agents.stop", { agentId: "raul" }],
      ["agents.park", { agentId: "raul", reason: "it moves" }],
      ["agents.start", { agentId: "raul" }],
      ["agents.restart", { agentId: "raul" }],
    ]);
    for (const order of ["stop", "park"]) expect(await run("agents", order, "broken")).toBe(0);
    expect(cli.terminal.outText().trimEnd().split("\n").slice(4)).toEqual(
      ["stop", "park"].map(
        () => "broken is disabled, and stays out of service when it is repaired, until it is started",
      ),
    );
    await expect(run("agents", "restart", "main")).rejects.toMatchObject({
      code: "CLOISTER_REQUEST_INVALID",
      message: "Order to restart main: found it disabled, wanted it in service.",
    });
  });
});

describe("agents list", () => {
  it("works from the config alone and says so", async () => {
    expect(await run("agents")).toBe(0);
    expect(cli.terminal.outText()).toContain("main (default)");
    expect(cli.terminal.errText()).toBe(
      "from the config alone, since no gateway is running; `cloister gateway` starts one\n",
    );
  });

  it("has live states when a gateway runs, in JSON too", async () => {
    await serve((request, { answer }) => answer(request, agents));
    expect(await run("agents", "list", "--json")).toBe(0);
    const { source, agents: entries } = JSON.parse(cli.terminal.outText()) as {
      source: string;
      agents: { id: string; state: string }[];
    };
    expect([source, entries.map(({ id, state }) => `${id} ${state}`)]).toEqual(["gateway", ["main live", "raul live"]]);
    expect([cli.terminal.errText(), cli.requests[0]?.params["scopes"]]).toEqual(["", ["operator.read"]]);
  });
});

describe("agents bindings", () => {
  it("are the rules alone, of all agents or of one", async () => {
    const config = {
      agents: { list: [{ id: "main", default: true }, { id: "raul" }] },
      bindings: [{ agentId: "raul", match: { channel: "irc", accountId: "*" } }],
    };
    await writeFile(path.join(cli.stateDir, "cloister.json"), JSON.stringify(config));
    expect(await run("agents", "bindings", "--json")).toBe(0);
    expect(JSON.parse(cli.terminal.outText())).toEqual({
      bindings: [
        { agentId: "raul", index: 0, channel: "irc", account: "*", accountScope: "all accounts of the channel" },
      ],
    });
    cli.clear();
    expect(await run("agents", "bindings", "--agent", "raul")).toBe(0);
    expect(cli.terminal.outText()).toBe("raul: configured, 1 binding\n  bindings[0]  channel irc, any account\n");
    await expect(run("agents", "bindings", "--agent", "nobody")).rejects.toMatchObject({
      message: expect.stringContaining("those are main, raul") as string,
    });
  });
});

describe("timers", () => {
  const timer = { id: "t-1", agentId: "main", sessionKey: "agent:main:main", name: "nightly" };

  it.each([
    [["list"], ["timers.list", {}]],
    [
      ["list", "--agent", "raul", "--limit", "5", "--offset", "2"],
      ["timers.list", { agentId: "raul", limit: 5, offset: 2 }],
    ],
    [
      ["remove", "t-1"],
      ["timers.remove", { id: "t-1" }],
    ],
  ])("%j asks %j, and --json prints the answer alone", async (args, request) => {
    const payload = { timers: [], total: 0, name: "nightly", sessionKey: "k" };
    await serve((asking, { answer }) => answer(asking, payload));
    expect(await run("timers", ...args)).toBe(0);
    expect(asked()).toEqual([request]);
    cli.clear();
    expect(await run("timers", ...args, "--json")).toBe(0);
    expect([JSON.parse(cli.terminal.outText()), cli.terminal.errText()]).toEqual([payload, ""]);
  });

  it("are listed with when they are due and how often, and what is left out is told", async () => {
    const rows = [
      { ...timer, dueAtMs: 1_000 },
      { ...timer, id: "t-2", dueAtMs: 8e15, everyMs: 7_200_000 },
      { ...timer, id: "t-3", dueAtMs: 8.64e15 },
    ];
    await serve((asking, { answer }) => answer(asking, { timers: rows, total: 5 }));
    expect(await run("timers")).toBe(0);
    expect(cli.terminal.outText()).toMatch(
      /^ID +SESSION +NAME +DUE +EVERY\nt-1 +agent:main:main +nightly +\d+ \w+ ago +-\n/,
    );
    expect(cli.terminal.outText()).toMatch(/t-2 +agent:main:main +nightly +in \d+ d +2 h\nt-3 .* never +-\n$/);
    expect(cli.terminal.errText()).toBe("3 of 5; the next: --offset 3\n");
  });

  it("say what was removed, which asks for the right to administer", async () => {
    await serve((asking, { answer }) => answer(asking, { ok: true, ...timer }));
    expect(await run("timers", "remove", "t-1")).toBe(0);
    expect(cli.terminal.outText()).toBe("t-1 (nightly) of agent:main:main was removed\n");
    expect(cli.requests[0]?.params["scopes"]).toEqual(["operator.admin"]);
  });
});

describe("tasks", () => {
  const task = {
    id: "c-1",
    agentId: "main",
    sessionKey: "agent:main:main",
    name: "exec make",
    kind: "command",
    state: "open",
    createdAtMs: 1_000,
    expiresAtMs: 8e15,
  };

  it.each([
    [["list"], ["tasks.list", {}]],
    [
      ["list", "--agent", "raul", "--session", "agent:raul:main", "--limit", "5", "--offset", "2"],
      ["tasks.list", { agentId: "raul", sessionKey: "agent:raul:main", limit: 5, offset: 2 }],
    ],
    [
      ["show", "c-1"],
      ["tasks.get", { id: "c-1" }],
    ],
    [
      ["cancel", "c-1", "--reason", "too long"],
      ["tasks.cancel", { id: "c-1", reason: "too long" }],
    ],
  ])("%j asks %j, and --json prints the answer alone", async (args, request) => {
    const payload = { tasks: [], total: 0, task, name: "exec make", sessionKey: "k", cancelled: true };
    await serve((asking, { answer }) => answer(asking, payload));
    expect(await run("tasks", ...args)).toBe(0);
    expect(asked()).toEqual([request]);
    cli.clear();
    expect(await run("tasks", ...args, "--json")).toBe(0);
    expect([JSON.parse(cli.terminal.outText()), cli.terminal.errText()]).toEqual([payload, ""]);
  });

  it("that go on although they were cancelled are told with why and what helps, as a failure", async () => {
    const told = { name: "report", sessionKey: "k", cancelled: false, stillRunning: true };
    await serve((asking, { answer }) => answer(asking, told));
    expect(await run("tasks", "cancel", "s-1")).toBe(1);
    expect(cli.terminal.outText()).toBe(
      "s-1 (report) was told to end, and is still running; k is told when it has ended\n",
    );
    cli.clear();
    const known = { ...told, why: "its server is \u001b[31maway", remedy: "cancel it again" };
    await serve((asking, { answer }) => answer(asking, known));
    expect(await run("tasks", "cancel", "s-1")).toBe(1);
    expect(cli.terminal.outText()).toBe("s-1 (report) is still running; k is told when it has ended\n");
    expect(cli.terminal.errText()).toMatch(/^its server is away\n {2}→ cancel it again\n/);
  });

  it("are listed with who has them done, and what is left out is told", async () => {
    const rows = [task, { ...task, id: "t-2", kind: "agent", state: "ended", expiresAtMs: 2_000 }];
    await serve((asking, { answer }) => answer(asking, { tasks: rows, total: 3 }));
    expect(await run("tasks")).toBe(0);
    expect(cli.terminal.outText()).toMatch(
      /^ID +SESSION +NAME +DONE BY +STATE +SINCE +EXPIRES\nc-1 +agent:main:main +exec make +command +open +\d+ \w+ ago +in \d+ d\n/,
    );
    expect(cli.terminal.outText()).toMatch(/t-2 .* agent +ended +\d+ \w+ ago +\d+ \w+ ago\n$/);
    expect(cli.terminal.errText()).toBe("2 of 3; the next: --offset 2\n");
  });

  it("are shown with where their session answers, and with an end that is still to be told", async () => {
    const shown = { ...task, answersTo: "telegram:default:direct:7", status: "failed", result: "no paper" };
    await serve((asking, { answer }) => answer(asking, { task: shown }));
    expect(await run("tasks", "show", "c-1")).toBe(0);
    const text = cli.terminal.outText();
    expect(text).toMatch(/^task +c-1$/m);
    expect(text).toMatch(/^done by +a command in the background$/m);
    expect(text).toMatch(/^state +failed, and its session is still to be told$/m);
    expect(text).toMatch(/^answers to +telegram:default:direct:7$/m);
    expect(text).toMatch(/^result +no paper$/m);
  });

  it.each([
    [true, "c-1 (exec make) was cancelled; agent:main:main is told\n"],
    [false, "c-1 (exec make) had ended already, and nothing was cancelled\n"],
  ])("say what became of a cancel (%j), which asks for the right to administer", async (cancelled, said) => {
    await serve((asking, { answer }) => answer(asking, { ok: true, ...task, cancelled }));
    expect(await run("tasks", "cancel", "c-1")).toBe(0);
    expect(cli.terminal.outText()).toBe(said);
    expect(cli.requests[0]?.params["scopes"]).toEqual(["operator.admin"]);
  });
});

describe("deadletters", () => {
  const letter = {
    id: "e1",
    fate: "poison",
    reason: "it was delivered 2 times and ended its cell",
    agentId: "main",
    sessionKey: "agent:main:main",
    from: "operator (cli)",
    attempts: 2,
    acceptedAtMs: 1_000,
    atMs: 2_000,
    bodyChars: 11,
    preview: "first\nline",
  };

  it.each([
    [["list"], ["deadletters.list", {}]],
    [
      ["list", "--agent", "raul", "--fate", "poison", "--limit", "5", "--offset", "2"],
      ["deadletters.list", { agentId: "raul", fate: "poison", limit: 5, offset: 2 }],
    ],
    [
      ["show", "e1"],
      ["deadletters.show", { id: "e1" }],
    ],
    [
      ["replay", "e1"],
      ["deadletters.replay", { id: "e1" }],
    ],
    [
      ["purge", "e1"],
      ["deadletters.purge", { id: "e1" }],
    ],
    [
      ["purge", "--all"],
      ["deadletters.purge", { all: true }],
    ],
    [
      ["purge", "--fate", "expired", "--agent", "raul", "--older-than", "2"],
      ["deadletters.purge", { agentId: "raul", fate: "expired", olderThanMs: 172_800_000 }],
    ],
  ])("%j asks %j, and --json prints the answer alone", async (args, request) => {
    const payload = {
      letters: [],
      total: 0,
      letter: { ...letter, body: "" },
      envelopeId: "e2",
      sessionKey: "k",
      purged: 1,
    };
    await serve((asking, { answer }) => answer(asking, payload));
    expect(await run("deadletters", ...args)).toBe(0);
    expect(asked()).toEqual([request]);
    cli.clear();
    expect(await run("deadletters", ...args, "--json")).toBe(0);
    expect([JSON.parse(cli.terminal.outText()), cli.terminal.errText()]).toEqual([payload, ""]);
  });

  it("are listed with their reason, and what is left out is told", async () => {
    await serve((asking, { answer }) => answer(asking, { letters: [letter], total: 3 }));
    expect(await run("deadletters")).toBe(0);
    expect(cli.terminal.outText()).toMatch(
      /^ID {2}FATE +SESSION +SINCE +REASON +MESSAGE\ne1 {2}poison +agent:main:main/,
    );
    expect(cli.terminal.outText()).toContain("it was delivered 2 times and ended its cell  first line\n");
    expect(cli.terminal.errText()).toBe("1 of 3; the next: --offset 1\n");
  });

  it("say so when there are none", async () => {
    await serve((asking, { answer }) => answer(asking, { letters: [], total: 0 }));
    expect(await run("deadletters")).toBe(0);
    expect([cli.terminal.outText(), cli.terminal.errText()]).toEqual(["", "no dead letter\n"]);
  });

  it("show has the facts and the whole message", async () => {
    await serve((asking, { answer }) => answer(asking, { letter: { ...letter, body: "first\nline\u001b[2J" } }));
    expect(await run("deadletters", "show", "e1")).toBe(0);
    expect(cli.terminal.outText()).toContain("reason     it was delivered 2 times and ended its cell\n");
    expect(cli.terminal.outText()).toContain("accepted   1970-01-01 00:00:01\n");
    expect(cli.terminal.outText()).toContain("delivered  2 times\n");
    expect(cli.terminal.outText()).toMatch(/\n\n {2}first\n {2}line/);
    expect(cli.terminal.outText()).not.toContain("\u001b");
  });

  it("show has the answer that was not delivered, and a replay of it tells that there was no turn", async () => {
    await serve((asking, { answer }) =>
      answer(asking, {
        letter: { ...letter, body: "question", answer: "answer\u001b[2J" },
        ok: true,
        status: "sent",
        sessionKey: "agent:main:main",
      }),
    );
    expect(await run("deadletters", "show", "e1")).toBe(0);
    expect(cli.terminal.outText()).toMatch(/\n\n {2}question\n\nanswer, not delivered\n\n {2}answer/);
    expect(cli.terminal.outText()).not.toContain("\u001b");
    cli.clear();
    expect(await run("deadletters", "replay", "e1")).toBe(0);
    expect([cli.terminal.outText(), cli.terminal.errText()]).toEqual([
      "the answer of e1 was sent again, and its channel took it; agent:main:main had no turn\n",
      "",
    ]);
  });

  it("tell what a replay and a purge did, and ask for the right to administer", async () => {
    await serve((asking, { answer }) =>
      answer(asking, { ok: true, id: "e1", envelopeId: "e2", sessionKey: "agent:main:main", purged: 2 }),
    );
    expect(await run("deadletters", "replay", "e1")).toBe(0);
    expect(cli.terminal.outText()).toBe("e1 was given to agent:main:main again, as e2\n");
    expect(cli.terminal.errText()).toBe("how it ends: `cloister history agent:main:main`\n");
    expect(await run("deadletters", "purge", "--all")).toBe(0);
    expect(cli.terminal.outText()).toContain("2 dead letters purged\n");
    expect(cli.requests[0]?.params["scopes"]).toEqual(["operator.admin"]);
  });

  it.each([
    [[], "nothing that says which"],
    [["e1", "--all"], "id and all"],
    [["--all", "--fate", "poison"], "fate and all"],
  ])("purge %j is refused before it asks: found %s", async (args, found) => {
    await expect(run("deadletters", "purge", ...args)).rejects.toMatchObject({
      code: "CLOISTER_REQUEST_INVALID",
      message: expect.stringContaining(`found ${found}, wanted`),
    });
  });

  it("of a fate that is none is a mistake in usage", async () => {
    expect(await run("deadletters", "list", "--fate", "lost")).toBe(2);
    expect(cli.terminal.errText()).toContain("refused, dropped, expired, unhandled, undeliverable, poison");
  });
});

describe("a gateway that runs with another config", () => {
  const text = `{
    agents: { list: [{ id: "main" }, { id: "raul" }] },
    bindings: [{ agentId: "raul", match: { channel: "webhook" } }],
    channels: { webhook: { accounts: { home: { token: "t" } } } },
    gateway: { controlUi: { basePath: "/ui" } },
  }`;

  it("is described by that one", async () => {
    const configPath = path.join(cli.dir, "other.json5");
    await writeFile(configPath, text);
    const { port } = await serve((request, { answer }) => answer(request, { ...agents, configPath }));
    expect(await run("agents", "--bindings")).toBe(0);
    expect(cli.terminal.outText()).toContain("raul: live, 1 binding\n");
    expect(await run("dashboard", "--no-open")).toBe(0);
    expect(cli.terminal.outText()).toContain(`:${port}/ui#key=`);
  });

  it("and is on another machine has no rules to show", async () => {
    const { url } = await serve((request, { answer }) => answer(request, agents));
    expect(await run("agents", "--bindings", "--url", url)).toBe(0);
    expect(cli.terminal.outText()).toContain("raul: live, 0 bindings\n");
  });
});

describe("listings", () => {
  it.each([
    [
      ["sessions", "--agent", "raul", "--active", "60", "--limit", "5"],
      ["sessions.list", { agentId: "raul", activeMinutes: 60, limit: 5 }],
    ],
    [["sessions"], ["sessions.list", {}]],
    [
      ["history", "agent:main:main", "--limit", "2"],
      ["chat.history", { sessionKey: "agent:main:main", limit: 2 }],
    ],
  ])("%j asks %j", async (args, request) => {
    await serve((asking, { answer }) => answer(asking, { sessions: [], messages: [] }));
    expect(await run(...args)).toBe(0);
    expect([asked(), cli.terminal.outText()]).toEqual([[request], ""]);
  });

  it.each([
    [["label", "k", "Front desk"], ["sessions.patch", { key: "k", label: "Front desk" }], 'k is labelled "Front desk"'],
    [["label", "k"], ["sessions.patch", { key: "k", label: null }], "k has no label any more"],
    [["set", "k", "--model", "a/b"], ["sessions.patch", { key: "k", model: "a/b" }], "k has it from its next turn on"],
    [
      ["set", "k", "--send", "inherit"],
      ["sessions.patch", { key: "k", sendPolicy: null }],
      "k has it from its next turn on",
    ],
    [
      ["set", "k", "--send", "deny"],
      ["sessions.patch", { key: "k", sendPolicy: "deny" }],
      "k has it from its next turn on",
    ],
    [["archive", "k"], ["sessions.patch", { key: "k", archived: true }], "k is archived"],
    [["pin", "k"], ["sessions.patch", { key: "k", pinned: true }], "k is pinned"],
    [["pin", "k", "--undo"], ["sessions.patch", { key: "k", pinned: false }], "k is pinned no more"],
    [["archive", "k", "--undo"], ["sessions.patch", { key: "k", archived: false }], "k is out of the archive"],
    [["reset", "k"], ["sessions.reset", { key: "k" }], "k begins anew"],
    [["delete", "k"], ["sessions.delete", { key: "k" }], "k is gone"],
  ])("sessions %j asks %j and says what is done", async (args, request, said) => {
    await serve((asking, { answer }) => answer(asking, { ok: true, key: "k", session: {} }));
    expect(await run("sessions", ...args)).toBe(0);
    expect(asked()).toEqual([request]);
    expect(cli.terminal.outText()).toContain(said);
  });

  it.each([
    [[], {}, false],
    [["--dry-run"], { enforce: false }, false],
    [["--enforce"], { enforce: true }, true],
  ])("sessions cleanup %j asks %j and says what goes", async (options, request, enforced) => {
    const row = {
      agentId: "raul",
      sessions: 2,
      transcripts: 3,
      messages: 40,
      tooMany: 1,
      bytesOver: 7,
      more: !enforced,
    };
    await serve((asking, { answer }) => answer(asking, { enforced, agents: [row] }));
    expect(await run("sessions", "cleanup", ...options)).toBe(0);
    expect(asked()).toEqual([["sessions.cleanup", request]]);
    expect(cli.terminal.outText()).toBe(
      enforced
        ? "raul: 2 sessions ended, 3 transcripts with 40 messages removed\n"
        : "raul: 2 sessions would end, at least 3 transcripts with 40 messages would be removed\n",
    );
    expect(cli.terminal.errText()).toContain("raul: 1 sessions beyond session.maintenance.maxEntries");
    expect(cli.terminal.errText()).toContain(
      `raul: 7 bytes beyond session.maintenance.maxDiskBytes ${enforced ? "may not go" : "would go"}`,
    );
  });

  it.each([["sessions"], ["history", "k"], ["status"], ["health"]])(
    "%s --json prints what the gateway said, and nothing else",
    async (...args) => {
      await serve((asking, { answer }) =>
        answer(asking, { ok: true, sessions: [], messages: [], agents: [], more: 1 }),
      );
      expect(await run(...args, "--json")).toBe(0);
      expect(JSON.parse(cli.terminal.outText())).toMatchObject({ more: 1 });
      expect(cli.terminal.errText()).toBe("");
    },
  );

  it("health that is not well exits with 1", async () => {
    await serve((asking, { answer }) => answer(asking, { ok: false }));
    expect([await run("health"), cli.terminal.outText()]).toEqual([
      1,
      "gateway  not healthy\nversion  9.9.9\nup       2 min\n",
    ]);
  });

  it("status shows every agent", async () => {
    await serve((asking, { answer }) => answer(asking, { ...agents, sessions: [] }));
    expect(await run("status")).toBe(0);
    expect(cli.terminal.outText()).toMatch(/agents {3}2, of which 2 live\n[\s\S]*\nraul /);
  });
});

describe("--json of what says one line to people", () => {
  const answers: Readonly<Record<string, object>> = {
    "agents.park": { ok: true, agentId: "raul", done: true, before: "live" },
    "agents.unpark": { ok: true, agentId: "raul", unparked: true, before: "parked" },
    "gateway.stop": { pid: 2 ** 22 + 1, bootId: "b", drainMs: 0, runs: 0 },
    "gateway.status": { pid: 9, bootId: "next", startedAtMs: 1, runs: 0, ready: true },
  };

  it.each([
    [["agents", "park", "raul", "--reason", "holiday"], answers["agents.park"]],
    [["agents", "unpark", "raul"], answers["agents.unpark"]],
    [["config", "path"], { configPath: expect.stringMatching(/cloister\.json$/) }],
    [["dashboard"], { url: expect.stringContaining("#key=") }],
    [["gateway", "stop"], { ok: true, pid: 2 ** 22 + 1, stopped: true }],
  ])("%j", async (words, wanted) => {
    await serve((request, { answer }) => answer(request, answers[request.method] ?? {}));
    expect(await run(...words, "--json")).toBe(0);
    expect(JSON.parse(cli.terminal.outText())).toEqual(wanted);
  });
});

describe("cron", () => {
  const job = {
    id: "j-1",
    name: "report",
    agentId: "main",
    sessionTarget: "isolated",
    enabled: true,
    schedule: { kind: "cron", expr: "0 7 * * *", tz: "Europe/Berlin" },
    state: { nextRunAtMs: Date.UTC(2026, 0, 2, 2), lastStatus: "ok" },
  };

  it("lists jobs with their times, and those that are disabled or over", async () => {
    const jobs = [
      job,
      { ...job, id: "j-2", enabled: false, schedule: { kind: "every", everyMs: 7_200_000 } },
      { ...job, id: "j-5", schedule: { kind: "every", everyMs: 5_400_000 } },
      { ...job, id: "j-4", wakeMode: "next-heartbeat", schedule: { kind: "every", everyMs: 7_200_000 } },
      { ...job, id: "j-3", schedule: { kind: "at", at: "2026-01-01T00:00:00.000Z" }, state: {} },
    ];
    await serve((request, { answer }) => answer(request, { jobs, total: 6 }));
    expect(await run("automations")).toBe(0);
    expect(cli.terminal.outText()).toMatch(
      /j-1 +report +main +isolated +0 7 \* \* \* \(Europe\/Berlin\) +in 2 h +ok\n/,
    );
    expect(cli.terminal.outText()).toMatch(/j-2 .*every 2 h +disabled/);
    expect(cli.terminal.outText()).toMatch(/j-5 .*every 1 h 30 min +in 2 h/);
    expect(cli.terminal.outText()).toMatch(/j-4 .*every 2 h, with the next heartbeat +in 2 h/);
    expect(cli.terminal.outText()).toMatch(/j-3 .*2026-01-01T00:00:00.000Z +none/);
    expect(cli.terminal.errText()).toBe("5 of 6\n");
  });

  it.each([
    [
      ["add", "tea", "--at", "2h", "--message", "tea", "--session", "session:agent:main:x", "--keep"],
      {
        name: "tea",
        schedule: { kind: "at", at: "2026-01-02T02:00:00.000Z" },
        payload: { kind: "agentTurn", message: "tea" },
        sessionTarget: "session:agent:main:x",
        deleteAfterRun: false,
      },
    ],
    [
      ["add", "n", "--cron", "0 7 * * *", "--tz", "UTC", "--event", "e", "--agent", "raul", "--disabled"],
      {
        name: "n",
        agentId: "raul",
        schedule: { kind: "cron", expr: "0 7 * * *", tz: "UTC" },
        payload: { kind: "systemEvent", text: "e" },
        enabled: false,
      },
    ],
    [
      ["add", "n", "--every", "2h", "--event", "e", "--wake", "next-heartbeat"],
      {
        name: "n",
        schedule: { kind: "every", everyMs: 7_200_000 },
        payload: { kind: "systemEvent", text: "e" },
        wakeMode: "next-heartbeat",
      },
    ],
    [["update", "j-1", "--wake", "now"], { id: "j-1", patch: { wakeMode: "now" } }],
    [["update", "j-1", "--channel", "none"], { id: "j-1", patch: { delivery: { mode: "none" } } }],
    [
      ["add", "leap", "--at", "2028-02-29T10:00:00Z", "--message", "m"],
      {
        name: "leap",
        schedule: { kind: "at", at: "2028-02-29T10:00:00.000Z" },
        payload: { kind: "agentTurn", message: "m" },
      },
    ],
    [
      ["add", "n", "--every", "2h", "--message", "m", "--webhook", "https://example.org/x"],
      {
        name: "n",
        schedule: { kind: "every", everyMs: 7_200_000 },
        payload: { kind: "agentTurn", message: "m" },
        delivery: { mode: "webhook", to: "https://example.org/x" },
      },
    ],
    [
      ["add", "n", "--every", "2h", "--message", "m", "--model", "p/m", "--thinking", "low", "--timeout-seconds", "90"],
      {
        name: "n",
        schedule: { kind: "every", everyMs: 7_200_000 },
        payload: { kind: "agentTurn", message: "m", model: "p/m", thinking: "low", timeoutSeconds: 90 },
      },
    ],
    [
      ["update", "j-1", "--enable", "--name", "m", "--channel", "webhook", "--account", "biz", "--to", "direct:ana"],
      {
        id: "j-1",
        patch: {
          name: "m",
          enabled: true,
          delivery: { mode: "announce", channel: "webhook", accountId: "biz", to: "direct:ana" },
        },
      },
    ],
  ])("%j asks for that and nothing else", async (args, params) => {
    await serve((request, { answer }) => answer(request, job));
    expect(await run("cron", ...args)).toBe(0);
    expect(asked()).toEqual([[`cron.${args[0]}`, params]]);
    expect(cli.terminal.outText()).toContain("j-1 (report) was ");
  });

  it.each([
    [["add", "x", "--message", "m"], "found no time"],
    [["add", "x", "--every", "1h"], "found nothing to say"],
    [["add", "x", "--every", "1h", "--at", "1h", "--message", "m"], "more than one"],
    [["add", "x", "--every", "1h", "--event", "e", "--message", "m"], "--event and --message"],
    [["add", "x", "--every", "1h", "--tz", "UTC", "--message", "m"], "--tz without --cron"],
    [["add", "x", "--every", "1h", "--message", "m", "--channel", "webhook"], "--channel without --to"],
    [
      ["add", "x", "--every", "1h", "--message", "m", "--channel", "irc", "--to", "direct:a", "--webhook", "http://x/"],
      "--channel and --webhook",
    ],
    [["add", "x", "--every", "1h", "--message", "m", "--to", "direct:a"], "--to without --channel"],
    [["add", "x", "--every", "1h", "--message", "m", "--account", "home"], "--account without --channel"],
    [["update", "j-1", "--name", "n", "--to", "direct:a"], "--to without --channel"],
    [
      ["add", "x", "--every", "1h", "--message", "m", "--channel", "none", "--to", "direct:a"],
      "--channel none with --to",
    ],
    [
      ["add", "x", "--every", "1h", "--message", "m", "--webhook", "http://x/", "--account", "home"],
      "--webhook with --account",
    ],
    [["update", "j-1", "--enable", "--disable"], "--enable and --disable"],
    [["add", "x", "--every", "1h", "--event", "e", "--model", "p/m"], "without --message"],
    [["update", "j-1", "--timeout-seconds", "5"], "without --message"],
    [["update", "j-1"], "found nothing to change"],
  ])("%j is refused before anything is asked", async (args, why) => {
    await serve((request, { answer }) => answer(request, job));
    await expect((async () => run("cron", ...args))()).rejects.toMatchObject({
      code: "CLOISTER_REQUEST_INVALID",
      message: expect.stringContaining(why),
    });
    expect(cli.requests).toEqual([]);
  });

  it("a job that runs already is not run, with exit code 1; the ends of runs are told with their reasons", async () => {
    await serve((request, { answer }) =>
      answer(
        request,
        request.method === "cron.run"
          ? { ok: true, ran: false, reason: "already-running" }
          : {
              entries: [
                { ts: Date.UTC(2026, 0, 1, 23), status: "error", durationMs: 4_000, error: "no luck" },
                {
                  ts: Date.UTC(2026, 0, 1, 23),
                  status: "ok",
                  summary: "hello",
                  delivered: false,
                  deliveryError: "no URL",
                },
                { ts: Date.UTC(2026, 0, 1, 23), status: "ok", summary: "hello", delivered: true },
              ],
            },
      ),
    );
    expect([await run("cron", "run", "j-1"), cli.terminal.errText()]).toEqual([
      1,
      "j-1 was not run: already-running\n",
    ]);
    expect(await run("cron", "runs", "j-1")).toBe(0);
    expect(cli.terminal.outText()).toMatch(
      /1 h ago +error +4 s +- +no luck\n1 h ago +ok +- +no: no URL +hello\n1 h ago +ok +- +yes +hello\n$/,
    );
  });
});

describe("dashboard", () => {
  it("prints the link with the key, once a gateway answers", async () => {
    const { port } = await serve((request, { answer }) => answer(request, {}));
    expect(await run("dashboard", "--no-open")).toBe(0);
    expect(cli.terminal.outText()).toBe(`http://127.0.0.1:${port}/#key=${"ab".repeat(32)}\n`);
  });

  it("prints no link when none answers", async () => {
    await writeFile(path.join(cli.stateDir, "cloister.json"), "{ gateway: { port: 0 } }");
    await expect(run("dashboard", "--no-open")).rejects.toMatchObject({ code: "CLOISTER_GATEWAY_UNREACHABLE" });
    expect(cli.terminal.outText()).toBe("");
  });
});

describe("route explain", () => {
  it("needs no gateway", async () => {
    const text = `{
      agents: { list: [{ id: "main", default: true }, { id: "raul" }] },
      bindings: [{ agentId: "raul", match: { channel: "webhook", accountId: "*", peer: { kind: "direct", id: "p:1" } } }],
      channels: { webhook: { accounts: { home: { token: "t" } } } },
    }`;
    await writeFile(path.join(cli.stateDir, "cloister.json"), text);
    expect(await run("route", "explain", "--channel", "webhook", "--account", "home", "--peer", "direct:p:1")).toBe(0);
    expect(cli.terminal.outText()).toContain("agent    raul\n");
    expect(
      await run("route", "explain", "--channel", "webhook", "--role", "a", "--role", "b", "--guild", "g", "--json"),
    ).toBe(0);
    expect(cli.terminal.outText()).toContain('"asked": "channel webhook, account home, guild g, roles a,b"');
  });

  it("tells whether the message is admitted and heard, and the key that decides", async () => {
    const text = `{
      agents: { list: [{ id: "main", identity: { name: "Robin" } }, { id: "raul" }] },
      channels: { webhook: { groups: { g1: {}, g2: {} }, groupAllowFrom: ["ana"], accounts: { home: { token: "t" } } } },
      broadcast: { "webhook:g2": { agents: ["main", "raul"] } },
    }`;
    await writeFile(path.join(cli.stateDir, "cloister.json"), text);
    const explain = (...args: readonly string[]) =>
      run("route", "explain", "--channel", "webhook", "--account", "home", ...args);
    expect(await explain("--peer", "group:g1", "--sender", "ana", "--text", "hi Robin")).toBe(0);
    expect(cli.terminal.outText()).toContain("message  handled: the agent is mentioned (pattern)");
    expect(await explain("--peer", "group:g1", "--sender", "ana", "--text", "hi")).toBe(0);
    expect(cli.terminal.outText()).toContain("message  pending: mention required\n");
    expect(await explain("--peer", "group:g1", "--sender", "bob")).toBe(0);
    expect(cli.terminal.outText()).toContain("decided  channels.webhook.groupAllowFrom\n");
    expect(await explain("--peer", "group:g2", "--sender", "ana", "--mentioned", "--text", "@raul")).toBe(0);
    expect(cli.terminal.outText()).toContain("agents   raul (broadcast webhook:g2)");
  });
});

describe("without a gateway, the file", () => {
  const file = (): string => path.join(cli.stateDir, "cloister.json");
  beforeEach(async () => {
    await writeFile(file(), '{ agents: { list: [{ id: "main", name: "Main" }] } }');
  });

  it("is printed by key: a text as it is, and as JSON when asked to", async () => {
    expect(await run("config", "get", "agents.list[id=main].name")).toBe(0);
    expect(await run("config", "get", "agents.list[id=main].name", "--json")).toBe(0);
    expect(cli.terminal.outText()).toBe('Main\n"Main"\n');
  });

  it("takes an agent whose name is asked for at a terminal, with what was given beside it", async () => {
    const screen = makeFakeTerminal({ isTty: true });
    const adding = runProgram({ ...cli.context(), terminal: screen }, [
      "agents",
      "add",
      "--workspace",
      "/here",
      "--module",
      "scripted",
    ]);
    for (const [question, answer] of [
      ["Name of the agent: ", "Work"],
      ["Model (empty: the default): ", ""],
    ] as const) {
      await eventually(() => expect(screen.outText()).toContain(question));
      screen.input.write(`${answer}\n`);
    }
    expect(await adding).toBe(0);
    expect(screen.outText()).not.toContain("Workspace (empty");
    const written = JSON5.parse<{ agents: { list: unknown } }>(await readFile(file(), "utf8"));
    expect(written.agents.list).toEqual([
      { id: "main", name: "Main" },
      { id: "work", name: "Work", workspace: "/here", module: "scripted" },
    ]);
  });
});

describe("wrong usage", () => {
  it.each([
    [["gatway"], "unknown command 'gatway'"],
    [["gateway", "--port", "70000"], "Wanted a whole number from 0 to 65535."],
    [["gateway", "--port", "x"], "Wanted a whole number"],
    [["send"], "missing required argument 'text'"],
    [["send", "--timeout", "0", "hi"], "Wanted a whole number from 1"],
    [["send", "--nope", "hi"], "unknown option '--nope'"],
    [["history"], "missing required argument 'sessionKey'"],
    [["history", "a", "b"], "too many arguments"],
    [["sessions", "--active", "-1"], "Wanted a whole number from 1"],
    [["route", "explain"], "required option '--channel"],
    [["route", "explain", "--channel", "x", "--peer", "person:1"], "Wanted kind:id"],
    [["route", "explain", "--channel", "x", "--peer", "direct: "], "Wanted kind:id"],
  ])("%j exits with 2 and says what is wrong", async (args, reason) => {
    expect(await run(...args)).toBe(2);
    expect(cli.terminal.errText()).toContain(reason);
    expect(cli.terminal.outText()).toBe("");
  });

  it.each([[["--help"]], [["send", "--help"]], [["--version"]]])("%j exits with 0", async (args) => {
    expect([await run(...args), cli.terminal.errText()]).toEqual([0, ""]);
  });

  it("the version is printed with the name", async () => {
    await run("--version");
    expect(cli.terminal.outText()).toBe("cloister 1.2.3\n");
  });
});

describe("grants", () => {
  const grant = { id: "g-1", from: "main", to: "raul", verbs: ["send"], createdAtMs: 1, by: "cli" };
  const verbs = [
    { verb: "send", allowed: false, rule: "r1", message: "no", config: "a line", command: "grants add main raul send" },
    { verb: "list", allowed: true, rule: "r2", message: "yes", command: "grants revoke g-1" },
  ];

  it.each([
    [["list"], ["grants.list", {}], "operator.read"],
    [["explain", "main", "raul"], ["grants.explain", { from: "main", to: "raul" }], "operator.read"],
    [
      ["explain", "main", "raul", "send"],
      ["grants.explain", { from: "main", to: "raul", verb: "send" }],
      "operator.read",
    ],
    [
      ["add", "main", "raul", "send", "list"],
      ["grants.add", { from: "main", to: "raul", verbs: ["send", "list"] }],
      "operator.admin",
    ],
    [
      ["add", "main", "raul", "send", "--until", "2100-01-01T00:00:00Z"],
      ["grants.add", { from: "main", to: "raul", verbs: ["send"], untilMs: 4_102_444_800_000 }],
      "operator.admin",
    ],
    [["revoke", "g-1"], ["grants.revoke", { id: "g-1" }], "operator.admin"],
  ])("%j asks %j, and --json prints the answer alone", async (args, request, scope) => {
    const payload = { grants: [grant], grant, verbs };
    await serve((asking, { answer }) => answer(asking, payload));
    expect(await run("grants", ...args)).toBe(0);
    expect(asked()).toEqual([request]);
    expect(cli.requests[0]?.params["scopes"]).toEqual([scope]);
    cli.clear();
    expect(await run("grants", ...args, "--json")).toBe(0);
    expect([JSON.parse(cli.terminal.outText()), cli.terminal.errText()]).toEqual([payload, ""]);
  });

  it("are explained with the line and the command that would change them", async () => {
    await serve((asking, { answer }) => answer(asking, { verbs }));
    expect(await run("grants", "explain", "main", "raul")).toBe(0);
    expect(cli.terminal.outText()).toMatch(
      /^send: refused by r1\n {2}no\n {2}in the config: a line\n {2}until it is revoked: .*cloister.* grants add main raul send\nlist: allowed by r2\n {2}to end it: .* grants revoke g-1\n$/,
    );
  });

  it("end after a while, or at a time, and not both", async () => {
    await serve((asking, { answer }) => answer(asking, { grant }));
    expect(await run("grants", "add", "main", "raul", "send", "--for", "2h")).toBe(0);
    expect(asked()).toEqual([
      ["grants.add", { from: "main", to: "raul", verbs: ["send"], untilMs: cli.context().nowMs() + 7_200_000 }],
    ]);
    await expect(run("grants", "add", "main", "raul", "send", "--for", "2h", "--until", "2100-01-01")).rejects.toThrow(
      "found --until and --for, wanted at most one of them",
    );
    expect(await run("grants", "add", "main", "raul", "send", "--for", "soon")).not.toBe(0);
    expect(cli.terminal.errText()).toContain("Wanted a duration such as 90s, 30m, 2h or 7d.");
    expect(await run("cron", "add", "tea", "--at", "yesterday", "--event", "x")).not.toBe(0);
    expect(cli.terminal.errText()).toContain("Wanted a time such as 2026-01-31T18:00:00Z, or a duration such as 90s");
    for (const day of ["2027-02-30T10:00:00Z", "2027-02-29", "2027-13-01"]) {
      expect(await run("cron", "add", "tea", "--at", day, "--event", "x")).not.toBe(0);
      expect(cli.terminal.errText()).toContain(`argument '${day}' is invalid. Wanted a time such as`);
    }
    expect(asked()).toHaveLength(1);
  });

  it("name what was refused before and waits for such a right", async () => {
    await serve((asking, { answer }) => answer(asking, { grant, waiting: ["r-7"] }));
    expect(await run("grants", "add", "main", "raul", "send")).toBe(0);
    expect(cli.terminal.errText()).toMatch(/^r-7 was refused before and waits: `.*grants approve r-7` delivers/m);
  });
});

describe("stop", () => {
  const stopped = { ok: true, scope: "all", queued: 2, active: 1, senders: 0, backlog: 0, ending: 0, runIds: ["r"] };

  it("says what was stopped, and where what waited is", async () => {
    await serve((asking, { answer }) => answer(asking, stopped));
    expect(await run("stop", "all")).toBe(0);
    expect(asked()).toEqual([["runs.stop", { target: "all" }]]);
    expect(cli.requests[0]?.params["scopes"]).toEqual(["operator.write"]);
    expect(cli.terminal.outText()).toBe(
      "all: stopped 1 run that ran, 2 that waited\nwhat waited is a dead letter now: `cloister deadletters list --fate dropped`\n",
    );
    cli.clear();
    await run("stop", "all", "--json");
    expect(JSON.parse(cli.terminal.outText())).toEqual(stopped);
  });

  it("names senders, a backlog and what is not over yet, and exits with 1 then", async () => {
    await serve((asking, { answer }) =>
      answer(asking, { ...stopped, active: 2, queued: 0, senders: 1, backlog: 3, ending: 2 }),
    );
    expect(await run("stop", "main")).toBe(1);
    expect(cli.terminal.outText()).toBe(
      "main: stopped 2 runs that ran, 0 that waited, 1 sender that waited for a place\n3 messages lie on the disk; what of them is meant ends when it is read\n2 runs are not over yet; none of them gets a call through any more\n",
    );
  });
});

describe("grants requests, approve and deny", () => {
  const request = {
    id: "r-1",
    from: "main",
    to: "raul",
    verb: "send",
    createdAtMs: 1,
    expiresAtMs: 2,
    calls: 2,
    revision: 3,
    messages: [
      { fromSession: "agent:main:main", toSession: "agent:raul:main", bodyChars: 5, preview: "hello", atMs: 1 },
    ],
    releasing: false,
    consequences: { once: ["once only"], grant: ["from now on"] },
  };
  const serveRequests = (payload: object = {}) =>
    serve((asking, { answer }) => answer(asking, { requests: [request], ...payload }));

  it("list what waits, with the commands that decide it", async () => {
    await serveRequests();
    expect(await run("grants", "requests")).toBe(0);
    expect(cli.terminal.outText()).toMatch(/^r-1: main asks to send to raul .*2 refused calls/);
    expect(cli.terminal.outText()).toContain('kept: agent:main:main → agent:raul:main, 5 characters: "hello"');
    expect(cli.terminal.outText()).toMatch(/grants approve r-1\n.*grants deny r-1\n$/);
  });

  it("approve shows the consequences and does nothing without --yes", async () => {
    await serveRequests();
    expect(await run("grants", "approve", "r-1", "--for", "1h")).toBe(1);
    expect(cli.terminal.outText()).toContain("from now on");
    expect(cli.terminal.outText()).toContain("The right ends at ");
    expect(cli.terminal.errText()).toContain("nothing is approved yet: add --yes");
    expect(asked()).toEqual([["grants.requests", {}]]);
  });

  it("approve --yes approves what it has shown", async () => {
    await serveRequests({ delivered: 1, waiting: 2, buried: 1, why: "it is full of sand" });
    expect(await run("grants", "approve", "r-1", "--once", "--yes")).toBe(0);
    expect(asked()).toEqual([
      ["grants.requests", {}],
      ["grants.approve", { id: "r-1", mode: "once", revision: 3 }],
    ]);
    expect(cli.terminal.outText()).toContain("once only");
    expect(cli.terminal.outText()).toContain(
      "r-1 was approved: 1 message delivered\n2 messages wait for room in a mailbox\n1 message is a dead letter: it is full of sand\n",
    );
  });

  it("approve takes one end at most, and only what waits", async () => {
    await serveRequests();
    await expect(run("grants", "approve", "r-1", "--once", "--for", "1h")).rejects.toThrow("found --once and --for");
    await expect(run("grants", "approve", "r-2")).rejects.toThrow("no request that waits has this id");
  });

  it("deny says what became of the messages", async () => {
    await serve((asking, { answer }) => answer(asking, { buried: 2 }));
    expect(await run("grants", "deny", "r-1")).toBe(0);
    expect(asked()).toEqual([["grants.deny", { id: "r-1" }]]);
    expect(cli.terminal.outText()).toBe(
      "r-1 was denied; 2 messages are dead letters (refused); nothing is asked again for an hour\n",
    );
  });
});
