/** Calls that wait for an agent when its cell ends, however it ends. How soon they settle is measured in `bench/scenarios/settle.ts`. */
import { mkdtempSync, readFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { type Death, deaths } from "../../bench/inside/mortal.ts";
import type { Settlement, SettlingOrder } from "../../bench/inside/settling.ts";
import { openGatewayAt } from "../support/gateway.ts";
import { levels } from "../support/levels.ts";

const pending = 20;
/** Far beyond what it takes, below the bound of a test: what is shown is that each settles. */
const windowMs = 40_000;

const actor = (name: string): { module: string; moduleKind: "file" } => ({
  module: fileURLToPath(new URL(`../../bench/inside/${name}.ts`, import.meta.url)),
  moduleKind: "file",
});

const byThemselves = deaths.filter((how): how is Exclude<Death, "ended from outside"> => how !== "ended from outside");

describe.each(levels)("at level %s, every call settles with one typed error when its target dies by", (level) => {
  test.each(byThemselves)("%s", async (how) => {
    const workspace = mkdtempSync(path.join(os.tmpdir(), "cloister-waiting-"));
    const gateway = await openGatewayAt(level)(
      [
        { id: "asker", ...actor("asker") },
        { id: "target", ...actor("target"), workspace, maxConcurrent: pending + 1 },
      ],
      { agentToAgent: { enabled: true, allow: ["*"] }, visibility: "all" },
    );
    const file = path.join(workspace, "signs-of-life");
    const order: SettlingOrder = { how, pending, windowMs, file };
    const settled = JSON.parse(await gateway.reply("asker", JSON.stringify(order))) as readonly Settlement[];
    expect(settled.map(({ as, isTyped }) => [as, isTyped])).toEqual(
      Array.from({ length: pending }, () => ["CLOISTER_AGENT_CRASHED", true]),
    );
    // None was told of a death that had not begun.
    const faultNs = readFileSync(file).readBigInt64LE(BigInt64Array.BYTES_PER_ELEMENT);
    expect(faultNs).toBeGreaterThan(0n);
    expect(settled.every(({ atNs }) => BigInt(atNs) > faultNs)).toBe(true);
  });
});
