/**
 * AC-19.1 with the real program: what an MCP server carries out as a task is told to its session once, by one message on the channel, also when the
 * gateway is killed while it goes on, before or just after its end.
 */
import http from "node:http";
import type { AddressInfo } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import { afterAll, afterEach, expect, test } from "vitest";
import { actorPath } from "../support/actors.ts";
import { eventually } from "../support/eventually.ts";
import { type HttpMcp, openHttpMcp } from "../support/mcp.ts";
import { endPrograms, gatewayPid, launchWithLauncher, makeStateDir, nextLife, runCommand } from "../support/program.ts";
import { post } from "../support/webhook.ts";

afterAll(endPrograms);
const closing: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0)) await close();
});

interface Platform {
  readonly url: string;
  /** What came, by the key that says which message it is: what a killed process had under way may come again by the same. */
  readonly got: ReadonlyMap<string, string>;
}

async function openPlatform(): Promise<Platform> {
  const got = new Map<string, string>();
  const server = http.createServer((request, response) => {
    let text = "";
    request.on("data", (chunk: Buffer) => (text += String(chunk)));
    request.on("end", () => {
      got.set(String(request.headers["idempotency-key"]), (JSON.parse(text) as { text: string }).text);
      response.writeHead(200).end("{}");
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  closing.push(() => (server.closeAllConnections(), server.close()));
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`, got };
}

const openReports = async (): Promise<HttpMcp> => {
  const server = await openHttpMcp();
  closing.push(() => server.close());
  return server;
};

const key = "agent:worker:main";
/** When the task ends: while no gateway is there, or so long before the kill. */
const rounds = [undefined, 0, 200];
const nameOf = (beforeMs: number | undefined): string =>
  `ends ${beforeMs === undefined ? "after the kill" : `${beforeMs} ms before it`}`;

interface History {
  readonly messages: readonly {
    readonly provenance?: { readonly sourceTool?: string };
    readonly content: readonly { readonly text: string }[];
  }[];
}

test("AC-19.1: a gateway that is killed while a task of an MCP server goes on tells its end once: one turn, one message", async () => {
  const platform = await openPlatform();
  const reports = await openReports();
  const stateDir = makeStateDir({
    agents: { list: [{ id: "worker", module: actorPath("commander") }] },
    mcp: { servers: { reports: { url: reports.url, taskWaitMs: 1 } } },
    bindings: [{ agentId: "worker", match: { channel: "webhook", accountId: "home" } }],
    channels: { webhook: { accounts: { home: { token: "t", outboundUrl: platform.url } } } },
  });
  let program = await launchWithLauncher(stateDir).ready;
  const said = (): readonly string[] => [...platform.got.values()];
  const kill = async (): Promise<void> => {
    const pid = gatewayPid(stateDir);
    process.kill(pid, "SIGKILL");
    program = await nextLife(program, pid);
  };
  const text = JSON.stringify({ calls: [{ name: "mcp__reports__report", params: {} }] });
  for (const beforeMs of rounds) {
    const before = platform.got.size;
    const round = nameOf(beforeMs);
    const asked = { text, sender: { id: "p" } };
    const { body } = await post(`${program.url}/channels/webhook/home`, asked, {
      authorization: "Bearer t",
      connection: "close",
    });
    expect(body, round).toMatchObject({ status: "accepted" });
    await eventually(() =>
      expect(said().slice(before), round).toEqual([expect.stringContaining('"status":"pending"')]),
    );
    if (beforeMs === undefined) {
      const killed = kill();
      reports.forget();
      await reports.tasks.finish(round);
      await killed;
    } else {
      await reports.tasks.finish(round);
      await delay(beforeMs);
      await kill();
    }
    await eventually(() => expect(said().slice(before + 1), round).toEqual([`mcp__reports__report done: ${round}`]));
  }
  expect(await program.stop()).toBe(0);
  program = await launchWithLauncher(stateDir).ready;
  const { stdout } = await runCommand(stateDir, ["history", key, "--limit", "100", "--json"]);
  const { messages } = JSON.parse(stdout) as History;
  const news = messages.filter(({ provenance }) => provenance?.sourceTool === "task");
  expect(news.map(({ content: [first] }) => first?.text)).toEqual(rounds.map(nameOf));
  expect(JSON.parse((await runCommand(stateDir, ["tasks", "list", "--json"])).stdout)).toMatchObject({ total: 0 });
  expect(await program.stop()).toBe(0);
  expect(platform.got.size).toBe(2 * rounds.length);
});
