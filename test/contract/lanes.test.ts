/** The lanes of a running gateway, as operators see them. */
import { readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { expect, it } from "vitest";
import type { LaneRow } from "../../runtime/kernel/lanes.ts";
import { actorPath } from "../support/actors.ts";
import { openGateway, type TestGateway } from "../support/gateway.ts";
import { loadText } from "../unit/config/load-text.ts";

const holder = actorPath("holder");
const operator = { connId: "c1", clientId: "page", mode: "ui", scopes: ["operator.admin"] } as const;

async function lanesOf(gateway: TestGateway): Promise<readonly LaneRow[]> {
  const result = await gateway.doors.rpc(operator, "lanes.list", {});
  if (!result.ok) throw new Error(result.refusal.message);
  return (result.payload as { lanes: readonly LaneRow[] }).lanes;
}

/** The rows of the table in `docs/ARCHITECTURE.md`. */
function documented(): readonly (readonly [lane: string, per: string, places: string])[] {
  const text = readFileSync(new URL("../../docs/ARCHITECTURE.md", import.meta.url), "utf8");
  const [, table = ""] = text.split("| lane | of each | places | turns |");
  const [rows = ""] = table.split("\n\n");
  return [...rows.matchAll(/^\| `(\w+)` \| (\w+) \| (.+?) \|/gmu)].map(([, lane = "", per = "", places = ""]) => {
    return [lane, per, places] as const;
  });
}

it("AC-05.1: the snapshot of the lanes is the documented table", async () => {
  // As the program reads its file: what is not written there has the default.
  const { resolved: config } = await loadText({
    agents: { defaults: { maxConcurrent: 11, module: "scripted" }, list: [{ id: "main" }] },
  });
  const gateway = await openGateway([], {}, { config });
  const lanes = await lanesOf(gateway);
  const table = documented();
  expect(table).toHaveLength(6);
  expect(
    lanes.map(({ lane, per, places }) => [
      lane,
      per,
      lane === "main" ? "`agents.defaults.maxConcurrent`" : String(places),
    ]),
  ).toEqual(table);
  expect(lanes.find(({ lane }) => lane === "main")?.places).toBe(11);
  const status = await gateway.doors.rpc(operator, "status", {});
  expect(status).toMatchObject({ ok: true, payload: { lanes } });
});

it("the snapshot counts what runs and what waits", async () => {
  const gateway = await openGateway([{ id: "main", module: holder, moduleKind: "file" }], {
    lanes: { main: 1, subagent: 8, cron: 4, background: 3 },
  });
  for (const key of ["agent:main:a", "agent:main:a", "agent:main:b"])
    await gateway.doors.rpc(operator, "chat.send", { sessionKey: key, message: "hold" });
  const rows = async () =>
    Object.fromEntries((await lanesOf(gateway)).map(({ lane, running, waiting }) => [lane, { running, waiting }]));
  await expect.poll(rows).toMatchObject({
    session: { running: 1, waiting: 1 },
    main: { running: 1, waiting: 1 },
    cron: { running: 0, waiting: 0 },
  });
});

it("A4.3: behind a flood of any size in another agent, an agent's message waits for the turns that have places", async () => {
  const module = { module: holder, moduleKind: "file" as const };
  const waits: number[] = [];
  for (const flood of [50, 500]) {
    const gateway = await openGateway(
      [
        { id: "busy", ...module, maxConcurrent: 100 },
        { id: "quiet", ...module },
      ],
      {
        lanes: { main: 2, subagent: 8, cron: 4, background: 3 },
      },
    );
    await gateway.reply("quiet", "hello");
    const tell = (agentId: string, rest: string, message: string) =>
      gateway.doors.rpc(operator, "chat.send", { sessionKey: `agent:${agentId}:${rest}`, message });
    // Two turns have the places of lane `main`, until there is a file.
    for (let n = 0; n < flood; n++)
      expect(await tell("busy", `s${n}`, n < 2 ? "hold" : "x")).toMatchObject({ ok: true });
    await tell("quiet", "main", "urgent");
    const ends = (): readonly string[] =>
      gateway.events.flatMap(({ event, payload }) =>
        event === "chat" && payload.state === "final" ? [payload.sessionKey] : [],
      );
    const before = ends().length;
    writeFileSync(path.join(gateway.config.agents[0]?.workspace ?? "", "go-on"), "");
    await gateway.until(() => ends().length === before + flood + 1);
    // None: it ended before the places were free, and nothing was measured.
    const waited = ends().slice(before).indexOf("agent:quiet:main");
    expect(waited).toBeGreaterThanOrEqual(0);
    waits.push(waited);
    await gateway.drain(0);
  }
  for (const turns of waits) expect(turns).toBeLessThanOrEqual(4);
});
