/** `cloister chat` at a terminal: commands, moving between agents, history, a gateway that goes and comes back; `cloister agent`. */
import { describe, expect, it } from "vitest";
import { useCliHome } from "./cli-home.ts";
import type { Script } from "./scripted-gateway.ts";

const cli = useCliHome({ isTty: true });
const { run, serve } = cli;

const agent = (agentId: string, isDefault: boolean): object => ({
  agentId,
  isDefault,
  phase: "dormant",
  mainSessionKey: `agent:${agentId}:main`,
});
const messages = [
  { role: "user", content: "where were we", timestamp: Date.UTC(2026, 0, 1) },
  { role: "assistant", content: "at the start", timestamp: Date.UTC(2026, 0, 1) },
];

const missing = {
  code: "FORBIDDEN",
  message: "missing scope: operator.admin",
  details: { code: "MISSING_SCOPE", missingScope: "operator.admin", remedy: "approve it" },
};

/** Says again what was said to it, in the session that was spoken in. */
const echoing: Script = (request, { answer, event }) => {
  const { method, params } = request;
  if (method === "agents.list") answer(request, { agents: [agent("main", true), agent("raul", false)] });
  else if (method === "chat.history") answer(request, { messages });
  else if (method === "sessions.list") answer(request, { sessions: [{ key: "agent:raul:hook:build", messages: 3 }] });
  else if (method === "chat.send") {
    const { sessionKey, idempotencyKey: runId, message } = params;
    answer(request, { runId });
    event("chat", {
      runId,
      sessionKey,
      state: "final",
      message: { content: [{ text: `${String(sessionKey)} heard ${String(message)}` }] },
    });
  } else answer(request, {});
};

const asked = (method: string): readonly Readonly<Record<string, unknown>>[] =>
  cli.requests.filter((request) => request.method === method).map(({ params }) => params) ?? [];
const type = (text: string): boolean => cli.terminal.input.write(`${text}\n`);
const sees = (text: string): Promise<void> => expect.poll(() => cli.terminal.outText()).toContain(text);

async function open(...args: readonly string[]): Promise<Promise<number>[]> {
  const ended = run("chat", ...args);
  await sees("> ");
  return [ended];
}

describe("chat", () => {
  it("begins with the last messages and where one is, and /help lists the commands", async () => {
    await serve(echoing);
    const [ended] = await open();
    expect(cli.terminal.outText()).toMatch(
      /user\n {2}where were we\n\n[^]*assistant\n {2}at the start\nagent:main:main at ws:/,
    );
    expect(asked("chat.history")).toEqual([{ sessionKey: "agent:main:main", limit: 6 }]);
    type("/help");
    await sees("/session <key>");
    type("/quit");
    expect(await ended).toBe(0);
    expect(asked("chat.send")).toEqual([]);
  });

  it("--history 0 asks for none", async () => {
    await serve(echoing);
    const [ended] = await open("--history", "0");
    type("/exit");
    await ended;
    expect(asked("chat.history")).toEqual([]);
  });

  it("/agent and /session move the conversation, and the bare words tell what there is", async () => {
    await serve(echoing);
    const [ended] = await open();
    type("/agent");
    await sees("main (default)  dormant");
    type("/agent raul");
    await sees("agent:raul:main at ws:");
    type("hello");
    await sees("agent:raul:main heard hello");
    type("/sessions");
    await sees("agent:raul:hook:build");
    type("/session agent:raul:hook:build");
    await sees("agent:raul:hook:build at ws:");
    type("and you");
    await sees("agent:raul:hook:build heard and you");
    type("/quit");
    expect(await ended).toBe(0);
  });

  it("a mistake is told, and the conversation goes on where it was", async () => {
    await serve(echoing);
    const [ended] = await open();
    type("/agent paul");
    await expect.poll(() => cli.terminal.errText()).toContain('found no agent "paul"');
    type("/history many");
    await sees("wanted a number: /history 20");
    type("/history 2");
    await expect.poll(() => asked("chat.history").at(-1)).toEqual({ sessionKey: "agent:main:main", limit: 2 });
    type("still here");
    await sees("agent:main:main heard still here");
    type("/quit");
    await ended;
  });

  it("the gateway's own commands go to the gateway", async () => {
    await serve(echoing);
    const [ended] = await open();
    type("/status");
    await sees("heard /status");
    type("/quit");
    await ended;
  });

  it("a command that needs more than sending is sent again with the scope that it lacks, once", async () => {
    let scopes: unknown;
    await serve((request, caller) => {
      if (request.method !== "chat.send") return echoing(request, caller);
      scopes = cli.requests.findLast(({ method }) => method === "connect")?.params["scopes"];
      if (!(scopes as string[]).includes("operator.admin") || request.params["message"] === "/never")
        return caller.refuse(request, missing);
      return echoing(request, caller);
    });
    const [ended] = await open();
    type("/reset");
    await sees("heard /reset");
    expect(scopes).toEqual(["operator.admin", "operator.read", "operator.write"]);
    type("/never");
    await expect.poll(() => cli.terminal.errText()).toContain("→ approve it");
    type("/quit");
    expect(await ended).toBe(0);
  });

  it("/abort stops the running answer at once, and not the messages that wait behind it", async () => {
    let runId: unknown;
    await serve((request, caller) => {
      const { method, params } = request;
      if (method === "chat.abort") {
        caller.answer(request, {});
        caller.event("chat", { runId, sessionKey: "k", state: "aborted" });
      } else if (method === "chat.send" && params["message"] === "think") {
        runId = params["idempotencyKey"];
        caller.answer(request, { runId });
        caller.event("chat", { runId, sessionKey: "k", state: "delta", message: { content: [{ text: "hmm" }] } });
      } else echoing(request, caller);
    });
    const [ended] = await open();
    type("think");
    await sees("hmm");
    type("next");
    type("/abort");
    await expect.poll(() => cli.terminal.errText()).toContain("(stopped)");
    await sees("heard next");
    type("/quit");
    expect(await ended).toBe(0);
  });
});

describe("a chat whose gateway hangs", () => {
  it.each(["agents.list", "chat.send"])("is left with two Ctrl-C while %s is not answered", async (silent) => {
    await serve((request, caller) => {
      if (request.method !== silent && request.method !== "chat.abort") echoing(request, caller);
    });
    const [ended] = await (silent === "agents.list" ? open("--session", "agent:main:main") : open());
    type(silent === "agents.list" ? "/agent" : "hello");
    await expect.poll(() => asked(silent).length).toBe(1);
    cli.terminal.input.write("\u0003");
    cli.terminal.input.write("\u0003");
    expect(await ended).toBe(0);
  });

  it("is left with two Ctrl-C while it is tried again, and no connection is left open", async () => {
    const gateway = await serve((request, caller) => {
      if (request.method === "chat.send") caller.socket.terminate();
      else echoing(request, caller);
    });
    const [ended] = await open();
    type("hello");
    await expect.poll(() => cli.terminal.errText()).toContain("trying again");
    cli.terminal.input.write("\u0003");
    cli.terminal.input.write("\u0003");
    expect(await ended).toBe(0);
    await expect.poll(() => gateway.connections()).toBe(0);
  });
});

describe("a chat whose gateway goes in the middle of an answer", () => {
  it("sends the message again under its key on the next connection, and shows how it ended", async () => {
    const first = await serve((request, caller) => {
      if (request.method === "chat.send") caller.socket.terminate();
      else echoing(request, caller);
    });
    const [ended] = await open();
    type("hello");
    await expect.poll(() => cli.terminal.errText()).toContain("trying again (1 of 8)");
    await first.close();
    await serve((request, caller) => {
      if (request.method === "chat.send") caller.answer(request, { runId: "r", status: "in_flight" });
      else if (request.method === "agent.wait")
        caller.answer(request, { runId: "r", status: "ok", reply: "as before" });
      else echoing(request, caller);
    });
    await sees("as before");
    expect(cli.terminal.errText()).toContain("connected again");
    const sent = first.requests.find(({ method }) => method === "chat.send")?.params;
    expect(asked("chat.send")).toEqual([sent]);
    expect(asked("agent.wait")).toMatchObject([{ runId: "r" }]);
    type("/quit");
    expect(await ended).toBe(0);
  });

  it("waits on while the run goes on, and tells of one that failed", async () => {
    await serve((request, caller) => {
      if (request.method === "chat.send" && asked("chat.send").length === 1) caller.socket.terminate();
      else if (request.method === "chat.send") caller.answer(request, { runId: "r" });
      else if (request.method === "agent.wait" && asked("agent.wait").length === 1)
        caller.answer(request, { runId: "r", status: "timeout" });
      else if (request.method === "agent.wait")
        caller.answer(request, { runId: "r", status: "error", error: "it crashed" });
      else echoing(request, caller);
    });
    const [ended] = await open();
    type("hello");
    await expect.poll(() => cli.terminal.errText()).toContain("(failed: it crashed)");
    expect(asked("agent.wait")).toHaveLength(2);
    type("/quit");
    expect(await ended).toBe(0);
  });
});

describe("chat --json", () => {
  it("is one line of JSON for each line, also at a terminal", async () => {
    await serve(echoing);
    cli.terminal.input.end("one\ntwo\n");
    expect(await run("chat", "--json")).toBe(0);
    const answers = cli.terminal
      .outText()
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line) as object);
    expect(answers).toEqual([
      { sessionKey: "agent:main:main", status: "final", text: "agent:main:main heard one" },
      { sessionKey: "agent:main:main", status: "final", text: "agent:main:main heard two" },
    ]);
  });
});

describe("agent", () => {
  const answering: Script = (request, { answer }) =>
    answer(request, { runId: "r", status: "ok", result: { payloads: [{ text: "It is noon." }] } });

  it("sends one message and prints the answer alone", async () => {
    await serve(answering);
    expect(await run("agent", "--agent", "raul", "--message", "what time is it", "--timeout", "5")).toBe(0);
    expect([cli.terminal.outText(), cli.terminal.errText()]).toEqual(["It is noon.\n", ""]);
    expect(asked("agent")).toMatchObject([{ agentId: "raul", message: "what time is it", timeout: 5 }]);
  });

  it("reads the message from standard input", async () => {
    await serve(answering);
    cli.terminal.input.end("what\ntime?\n");
    expect(await run("agent", "--message", "-", "--json")).toBe(0);
    expect(asked("agent")).toMatchObject([{ message: "what\ntime?" }]);
    expect(JSON.parse(cli.terminal.outText())).toMatchObject({ status: "ok" });
  });

  it("without a message is a mistake in usage; a failed run ends with 1", async () => {
    expect(await run("agent")).toBe(2);
    await serve((request, { answer }) => answer(request, { runId: "r", status: "error", summary: "crashed" }));
    expect([await run("agent", "--message", "x"), cli.terminal.errText()]).toEqual([
      1,
      expect.stringContaining("crashed"),
    ]);
  });
});
