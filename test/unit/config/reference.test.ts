import { readFile } from "node:fs/promises";
import path from "node:path";
import { describe, expect, it } from "vitest";
import { configSchema } from "../../../runtime/config/schema.ts";
import { formatTable, listRows } from "./reference.ts";

const page = path.resolve(import.meta.dirname, "../../../docs/reference/config.md");
const mark =
  "<!-- keys: written from the schema; `npx vitest run --project unit test/unit/config/reference.test.ts -u` -->";
const rows = listRows(configSchema);

describe("the reference page of the configuration", () => {
  it("lists the keys of the schema, with defaults and whether they are active", async () => {
    const text = await readFile(page, "utf8");
    const [before = "", ...after] = text.split(mark);
    expect(after).toHaveLength(1);
    await expect(`${before}${mark}\n\n${formatTable(rows)}\n`).toMatchFileSnapshot(page);
  });

  it("says of every key what it is for", () => {
    expect(rows.filter(({ text }) => text === undefined || text === "").map((row) => row.path)).toEqual([]);
    expect(rows.length).toBeGreaterThan(200);
  });

  it("shows the defaults that are written down elsewhere", () => {
    const byPath = new Map(rows.map((row) => [row.path, row]));
    expect(byPath.get("gateway.port")).toMatchObject({ fallback: "`18789`", active: "yes", type: "whole number" });
    expect(byPath.get("tools.sessions.visibility")).toMatchObject({ fallback: '`"tree"`', active: "yes" });
    expect(byPath.get("tools.agentToAgent.enabled")).toMatchObject({ fallback: "`false`", active: "yes" });
    expect(byPath.get("channels.matrix")).toMatchObject({ active: "no: channel matrix" });
    expect(byPath.get("gateway.controlUi.allowInsecureAuth")).toMatchObject({ active: "no effect" });
    expect(byPath.get("agents.list[].id")).toMatchObject({ active: "yes", type: "text" });
    expect(byPath.get("channels.webhook.accounts.<name>.token")).toMatchObject({ active: "yes" });
  });
});
