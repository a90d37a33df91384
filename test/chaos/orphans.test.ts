/** The processes of cells when their gateway is killed: none outlives it, whatever it was doing. */
import { execFile } from "node:child_process";
import path from "node:path";
import { promisify } from "node:util";
import { expect, test } from "vitest";
import { repoRoot } from "../support/program.ts";

/** What it saw (`orphans-room.ts`). What it leaves ends with the room: bubblewrap is its first process. */
async function inRoomOfItsOwn(scene: "alone" | "stopped"): Promise<unknown> {
  const room = ["--bind", "/", "/", "--dev-bind", "/dev", "/dev", "--proc", "/proc", "--unshare-pid"];
  const script = path.join(repoRoot, "test", "chaos", "orphans-room.ts");
  const command = [...room, "--die-with-parent", "--", process.execPath, script, scene];
  const { stdout } = await promisify(execFile)("bwrap", command);
  return JSON.parse(stdout);
}

test("idle, spinning and stuck in native code: all end with the gateway", async () => {
  const awake = "handled 1: awake";
  expect(await inRoomOfItsOwn("alone")).toEqual({ replies: [awake, awake, awake], cells: 3, before: 3, after: 0 });
});

test("stopped by a signal: they end with the next start of a gateway, or by the launcher, and no other gateway's do", async () => {
  expect(await inRoomOfItsOwn("stopped")).toEqual({
    own: 2,
    withoutGateway: 2,
    second: 2,
    withNext: 0,
    ended: 1,
    exit: 0,
    ofOther: 1,
    afterOther: 0,
  });
});
