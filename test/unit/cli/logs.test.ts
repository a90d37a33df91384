/** `cloister logs`: what is shown, and that following survives a gateway that goes and comes back. */
import { writeFile } from "node:fs/promises";
import path from "node:path";
import { describe, expect, it } from "vitest";
import { limits } from "../../../runtime/kernel/limits.ts";
import { useCliHome } from "./cli-home.ts";
import type { Request, Script } from "./scripted-gateway.ts";

const cli = useCliHome();
const { serve } = cli;

const run = (...args: readonly string[]): Promise<number> => cli.run("logs", ...args);

const line = (message: string, more: object = {}): string =>
  JSON.stringify({ level: "info", time: "2026-01-02T03:04:05.678Z", subsystem: "gateway", ...more, message });

/** Answers one piece after the other; the cursor is the number of the next one. */
const pieces =
  (list: readonly (readonly string[])[], more: object = {}): Script =>
  ({ params, ...request }, { answer }) => {
    const at = typeof params["cursor"] === "number" ? params["cursor"] : 0;
    const lines = list[at] ?? [];
    const cursor = Math.min(at + 1, list.length);
    answer({ params, ...request }, { cursor, lines, truncated: at > 0 && cursor < list.length, reset: false, ...more });
  };

const shown = (): readonly string[] => cli.terminal.outText().trim().split("\n");
const until = (fits: () => boolean): Promise<void> => expect.poll(fits, { interval: 5 }).toBe(true);
const cursors = (requests: readonly Request[] = []): readonly unknown[] =>
  requests.filter(({ method }) => method === "logs.tail").map(({ params }) => params["cursor"]);

describe("logs", () => {
  it("one line a record, with what it is about, and no control characters", async () => {
    await serve(pieces([[line("first\u001b[2J", { agentId: "raul", ms: 5, why: "two words" }), line("sec\nond")]]));
    expect(await run("--utc")).toBe(0);
    expect(shown()).toEqual([
      '2026-01-02T03:04:05.678Z info  gateway: first agentId=raul ms=5 why="two words"',
      "2026-01-02T03:04:05.678Z info  gateway: sec\\nond",
    ]);
    expect(cli.requests.map(({ method, params }) => [method, params["scopes"] ?? params])).toEqual([
      ["connect", ["operator.read"]],
      ["logs.tail", { limit: limits.logsLinesDefault }],
    ]);
  });

  it("filters by level and by agent, as JSON one record a line", async () => {
    const lines = [
      line("a", { level: "debug", agentId: "raul" }),
      line("b", { level: "error", session: "agent:raul:main" }),
      line("c", { level: "warn", from: "agent:raul" }),
      line("d", { level: "error", agentId: "raula" }),
      line("e", { level: "error" }),
      "not a record",
    ];
    await serve(pieces([lines]));
    expect(await run("--level", "warn", "--agent", "Raul", "--json", "--limit", "7")).toBe(0);
    expect(shown()).toEqual([lines[1], lines[2]]);
    expect(cli.requests[1]?.params).toEqual({ limit: 7 });
    cli.clear();
    await run("--utc");
    expect(shown()).toHaveLength(6);
  });

  it("without a gateway reads the file, and says so; what follows needs one", async () => {
    const record = { level: 30, time: "2026-01-02T03:04:05.678Z", msg: "from the file" };
    await writeFile(path.join(cli.stateDir, "logs", "cloister.log"), `${JSON.stringify(record)}\n`);
    await writeFile(path.join(cli.stateDir, "cloister.json"), "{ gateway: { port: 1 } }");
    expect(await run("--utc")).toBe(0);
    expect([cli.terminal.outText(), cli.terminal.errText()]).toEqual([
      "2026-01-02T03:04:05.678Z info  from the file\n",
      expect.stringContaining("cloister.log itself"),
    ]);
    await expect(run("--follow", "--interval", "10")).rejects.toMatchObject({
      code: "CLOISTER_GATEWAY_UNREACHABLE",
      message: expect.stringContaining("8 times in a row"),
    });
    expect(cli.terminal.errText()).toContain("trying again (8 of 8)");
  });

  it.each([
    ["--level", "loud"],
    ["--limit", "0"],
    ["--interval", "1"],
  ])("%s %s is a mistake in usage", async (...args) => {
    expect(await run(...args)).toBe(2);
  });
});

describe("logs --follow", () => {
  it("asks on from the cursor, at once while it is behind, and ends as the signal does", async () => {
    await serve(pieces([[line("1")], [line("2")], [line("3")], [line("4")]]));
    const ended = run("--follow", "--interval", "10");
    await until(() => cli.terminal.outText().includes(": 4"));
    cli.terminal.signal("SIGINT");
    expect(await ended).toBe(130);
    expect(shown().map((text) => text.slice(-1))).toEqual(["1", "2", "3", "4"]);
    expect(cursors(cli.requests).slice(0, 4)).toEqual([undefined, 1, 2, 3]);
    expect(cli.terminal.listeners()).toBe(0);
  });

  it("goes on where it was when the gateway comes back elsewhere", async () => {
    await serve(pieces([[line("1")], [line("2")]]));
    const ended = run("--follow", "--interval", "10");
    await until(() => cli.terminal.outText().includes(": 2"));
    await cli.stop();
    await until(() => cli.terminal.errText().includes("trying again (1 of 8)"));
    await serve(pieces([[line("never")], [line("never")], [line("3")]]));
    await until(() => cli.terminal.outText().includes(": 3"));
    cli.terminal.signal("SIGTERM");
    expect(await ended).toBe(143);
    expect(cursors(cli.requests)[0]).toBe(2);
    expect(shown()).toHaveLength(3);
  });

  it("says when records are gone", async () => {
    await serve(pieces([[line("1")]], { reset: true }));
    const ended = run("--follow", "--interval", "10");
    await until(() => cli.terminal.errText().includes("are gone"));
    cli.terminal.signal("SIGINT");
    await ended;
  });

  it("a refusal ends it: it is not tried again", async () => {
    await serve((request, { refuse }) =>
      refuse(request, { code: "FORBIDDEN", message: "missing scope: operator.read" }),
    );
    await expect(run("--follow")).rejects.toMatchObject({ code: "CLOISTER_EDGE_FORBIDDEN" });
  });
});
