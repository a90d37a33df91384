/** `cloister approvals` against a scripted gateway. */
import { describe, expect, it } from "vitest";
import { useCliHome } from "./cli-home.ts";

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
