/** A6.2: `cloister agents memory`: what it asks, and what it prints. */
import { describe, expect, it } from "vitest";
import { useCliHome } from "./cli-home.ts";
import { helloOk, type Script } from "./scripted-gateway.ts";

const cli = useCliHome();
const { run } = cli;

const everyKind = ["cells", "commands", "mcp"];
const kim = {
  agentId: "kim",
  heldBytes: 312_000_000,
  cells: 2,
  heapBytes: 11_000_000,
  externalBytes: 1_000_000,
  processes: {
    commands: { processes: 4, residentBytes: 200_000_000 },
    mcp: { processes: 1, residentBytes: 100_000_000 },
  },
};
const raul = { agentId: "raul", heldBytes: 0, cells: 1, processes: {} };

async function serve(payload: object): Promise<readonly unknown[]> {
  const asked: unknown[] = [];
  const script: Script = (request, { answer, refuse }) => {
    if (request.method === "connect") answer(request, helloOk);
    else if (request.method === "agents.memory") {
      asked.push(request.params);
      answer(request, payload);
    } else refuse(request, { code: "INVALID_REQUEST", message: "unknown method" });
  };
  await cli.serve(script, { raw: true });
  return asked;
}

describe("agents memory", () => {
  it("has a line for each agent, with its cells and the processes of each kind", async () => {
    const asked = await serve({ read: everyKind, residentBytes: 150_000_000, agents: [kim, raul] });
    expect(await run("agents", "memory")).toBe(0);
    const lines = cli.terminal.outText().split("\n");
    expect(lines[0]).toMatch(/^AGENT +HELD +CELLS +HEAP +BUFFERS +CELL PROCESSES +COMMANDS +MCP SERVERS$/);
    expect(lines[1]).toMatch(/^kim +312 MB +2 +11\.0 MB +1\.00 MB +- +200 MB in 4 +100 MB$/);
    // Its cell was not read yet.
    expect(lines[2]).toMatch(/^raul +0 B +1 +\? +\? +- +- +-$/);
    expect(cli.terminal.errText()).toBe("the gateway's process holds 150 MB, with the cells that are threads in it\n");
    expect(asked).toEqual([{}]);
  });

  it("says what is not known, and not that there is nothing", async () => {
    await serve({ read: ["cells"], residentBytes: 150_000_000, agents: [raul] });
    expect(await run("agents", "memory", "raul")).toBe(0);
    expect(cli.terminal.outText()).toMatch(/^raul +0 B +1 +\? +\? +- +\? +\?$/m);
    expect(cli.terminal.errText()).toContain("not known here: what processes of commands, MCP servers hold\n");
  });

  it("asks for one agent, prints JSON, and says when there is nothing to tell", async () => {
    const payload = { read: everyKind, residentBytes: 1, agents: [kim] };
    const asked = await serve(payload);
    expect(await run("agents", "memory", "kim", "--json")).toBe(0);
    expect(JSON.parse(cli.terminal.outText())).toEqual(payload);
    expect(asked).toEqual([{ agentId: "kim" }]);
    await serve({ ...payload, agents: [] });
    expect(await run("agents", "memory")).toBe(0);
    expect(cli.terminal.errText()).toContain("no agent has a cell or a process\n");
  });
});
