/** `cloister config proposals` against a scripted gateway: what it asks, prints and exits with. */
import { describe, expect, it } from "vitest";
import { useCliHome } from "./cli-home.ts";

const cli = useCliHome();
const { run, serve } = cli;

const asked = (): readonly unknown[] => cli.requests.slice(1).map(({ method, params }) => [method, params]);
const proposal = {
  id: "p-1",
  agentId: "main",
  reason: "it is\u001b[2J slow",
  createdAtMs: 1,
  expiresAtMs: 2,
  set: [{ key: "session.dmScope", value: "main" }],
  unset: ["hooks"],
};
const check = {
  file: "/c.json",
  hash: "h1",
  valid: true,
  issues: [],
  changes: [
    { path: "session.dmScope", before: '"a"', after: '"b"' },
    { path: "hooks.token", isHidden: true },
  ],
  plan: {
    agents: { added: [], removed: [], changed: ["raul"] },
    restart: [{ key: "gateway.port", why: "it listens" }],
  },
};
const serveProposals = (more: object = {}) =>
  serve((asking, { answer }) =>
    answer(
      asking,
      asking.method === "config.proposals.apply"
        ? { id: "p-1", status: "applied", restart: [] }
        : { proposals: [proposal], proposal, check: { ...check, ...more } },
    ),
  );

describe("config proposals", () => {
  it("lists what waits, with why, and without what could change the terminal", async () => {
    await serveProposals();
    expect(await run("config", "proposals")).toBe(0);
    expect(asked()).toEqual([["config.proposals", {}]]);
    expect(cli.terminal.outText()).toMatch(
      /^p-1: main proposes .*slow.*\n {2}session\.dmScope, without hooks\n.*show p-1\n$/,
    );
    expect(cli.terminal.outText()).not.toContain("\u001b");
  });

  it("shows each place, what it does and what it needs", async () => {
    await serveProposals({ guarded: "the file would shrink" });
    expect(await run("config", "proposals", "show", "p-1")).toBe(0);
    for (const line of [
      '    - "a"\n    + "b"\n',
      "hooks.token: changes; what differs is not shown\n",
      "agents changed: raul\n",
      "needs a restart: gateway.port (it listens)\n",
      "needs --force: the file would shrink\n",
    ])
      expect(cli.terminal.outText()).toContain(line);
  });

  it("applies nothing without --yes, and with it what it has shown", async () => {
    await serveProposals();
    expect(await run("config", "proposals", "apply", "p-1")).toBe(1);
    expect(cli.terminal.errText()).toContain("nothing is applied yet: add --yes");
    expect(asked()).toEqual([["config.proposals.show", { id: "p-1" }]]);
    cli.clear();
    expect(await run("config", "proposals", "apply", "p-1", "--yes")).toBe(0);
    expect(asked()).toContainEqual(["config.proposals.apply", { id: "p-1", hash: "h1", force: false }]);
    expect(cli.terminal.outText()).toContain("/c.json is changed and in force\n");
  });

  it("does not try what would be wrong, and says why", async () => {
    await serveProposals({ valid: false, issues: [{ path: "session.dmScop", message: "is not a known key" }] });
    expect(await run("config", "proposals", "apply", "p-1", "--yes")).toBe(1);
    expect(asked()).toEqual([["config.proposals.show", { id: "p-1" }]]);
    expect(cli.terminal.outText()).toContain("wrong: session.dmScop: is not a known key");
  });

  it("lets one go", async () => {
    await serve((asking, { answer }) => answer(asking, { ok: true, id: "p-1" }));
    expect(await run("config", "proposals", "reject", "p-1")).toBe(0);
    expect(asked()).toEqual([["config.proposals.reject", { id: "p-1" }]]);
    expect(cli.terminal.outText()).toBe("p-1 was rejected; nothing has changed\n");
  });
});
