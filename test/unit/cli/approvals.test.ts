/** `cloister approvals` against a scripted gateway, and what somebody who waits for an answer is told of commands that wait. */
import { describe, expect, it } from "vitest";
import { eventually } from "../../support/eventually.ts";
import { useCliHome } from "./cli-home.ts";
import type { Caller, Request } from "./scripted-gateway.ts";

const cli = useCliHome();
const request = {
  id: "x-1a2b3c4d",
  agentId: "main",
  sessionKey: "agent:main:main",
  shown: {
    words: String.raw`["/bin/sh","-c","echo 'a  b'\n"]`,
    folder: '"/srv/work"',
    variables: ['PATH="/bin"', 'A="b"'],
  },
  place: "host",
  allowed: false,
};

describe("cloister approvals", () => {
  it("shows all of a command, word by word, and lets none of it reach the terminal", async () => {
    await cli.serve((asked, { answer }) =>
      answer(asked, { requests: [request, { ...request, id: "x-2\u001b[2J", input: true, allowed: true }] }),
    );
    expect(await cli.run("approvals", "list")).toBe(0);
    expect(cli.terminal.outText().split("\n").slice(0, 6)).toEqual([
      "x-1a2b3c4d  main in agent:main:main",
      String.raw`  runs   ["/bin/sh","-c","echo 'a  b'\n"]`,
      '  in     "/srv/work" (host)',
      '  with   PATH="/bin"',
      '  with   A="b"',
      "x-2  main in agent:main:main (allowed, not yet run)",
    ]);
    expect(cli.terminal.outText().match(/takes {2}what the agent writes to it/g)).toHaveLength(1);
  });

  it("says that none waits", async () => {
    await cli.serve((asked, { answer }) => answer(asked, { requests: [] }));
    expect(await cli.run("approvals", "list")).toBe(0);
    expect(cli.terminal.outText()).toContain("no command waits");
  });

  it.each([
    ["allow", "allow-once", true, false, "allowed x-1a2b3c4d: it runs"],
    ["allow", "allow-once", false, false, "it runs once, when its run calls it again in the same words"],
    ["allow", "allow-once", false, true, "it runs once, when its session, which is told so, calls it again"],
    ["deny", "deny", false, true, "denied x-1a2b3c4d"],
  ])(
    "%s sends %s and says what follows (somebody waits: %s, is told: %s)",
    async (command, decision, ran, told, said) => {
      const params: unknown[] = [];
      await cli.serve((asked, { answer }) => {
        params.push([asked.method, asked.params]);
        answer(asked, { id: request.id, decision, ran, told });
      });
      expect(await cli.run("approvals", command, request.id)).toBe(0);
      expect(params).toEqual([["exec.approval.resolve", { id: request.id, decision }]]);
      expect(cli.terminal.outText()).toContain(said);
    },
  );

  it("fails with the gateway's reason when it was decided before", async () => {
    await cli.serve((asked, { refuse }) =>
      refuse(asked, { code: "INVALID_REQUEST", message: "nobody decided it in time" }),
    );
    await expect(cli.run("approvals", "deny", request.id)).rejects.toThrow("nobody decided it in time");
  });
});

describe("an answer that waits for a command", () => {
  const decide = (id: string): string => `cloister approvals allow ${id})`;

  it.each([
    ["send", ["send", "list the files"]],
    ["chat from a pipe", ["chat"]],
  ])("%s says which one and how to allow it, each once, and of its own session alone", async (_what, words) => {
    const createdAtMs = cli.context().nowMs();
    const waiting = [
      { ...request, createdAtMs },
      { ...request, createdAtMs, id: "x-other", sessionKey: "agent:main:hook:a" },
      { ...request, createdAtMs: createdAtMs - 1, id: "x-other-turn" },
    ];
    let run: { readonly caller: Caller; readonly asked: Request } | undefined;
    let watcher: Caller | undefined;
    await cli.serve((asked, caller) => {
      const { method } = asked;
      if (method === "agents.list") {
        const main = { agentId: "main", isDefault: true, phase: "live", mainSessionKey: request.sessionKey };
        caller.answer(asked, { agents: [main] });
      } else if (method === "agent" || method === "chat.send") {
        run = { caller, asked };
        caller.answer(asked, { runId: "r", sessionKey: request.sessionKey, status: "accepted" });
      } else if (method === "exec.approval.list") {
        watcher = caller;
        caller.answer(asked, { requests: waiting });
      } else caller.answer(asked, {});
    });
    if (words[0] === "chat") cli.terminal.input.end("list the files\n");
    const ended = cli.run(...words);
    await eventually(() => expect(cli.terminal.errText()).toContain(decide("x-1a2b3c4d")));
    waiting.push({ ...request, createdAtMs, id: "x-second" });
    watcher?.event("exec.approvals", { total: 3 });
    await eventually(() => expect(cli.terminal.errText()).toContain(decide("x-second")));
    if (run?.asked.method === "agent")
      run.caller.answer(run.asked, { runId: "r", status: "ok", result: { payloads: [{ text: "two files" }] } });
    else {
      const message = { content: [{ text: "two files" }] };
      run?.caller.event("chat", { runId: "r", sessionKey: request.sessionKey, state: "final", message });
    }
    expect([await ended, cli.terminal.outText()]).toEqual([0, "two files\n"]);
    expect(cli.terminal.errText().match(/x-1a2b3c4d/g)).toHaveLength(1);
    expect(cli.terminal.errText()).toContain(`(main wants to run ${request.shown.words} and waits for you`);
    expect(cli.terminal.errText()).not.toContain("x-other");
  });
});
