/** The workspace as an actor has it: what leaves it is refused by code. With cells: `test/contract/cell.test.ts`. */
import fs from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { makeWorkspace } from "../../../runtime/thread/cell/workspace.ts";

let root: string;
beforeEach(async () => {
  root = await fs.realpath(await fs.mkdtemp(path.join(tmpdir(), "cloister-workspace-")));
  await fs.mkdir(path.join(root, "own"));
});
afterEach(async () => {
  await fs.rm(root, { recursive: true, force: true });
});

it("every call refuses a path that leaves it, with the code and what to do, and touches nothing", async () => {
  const workspace = makeWorkspace(path.join(root, "own"), fs, path);
  const refused = { code: "CLOISTER_WORKSPACE_ESCAPE", remedy: expect.stringContaining("relative to the workspace") };
  await fs.writeFile(path.join(root, "other.txt"), "kept");
  for (const call of [
    workspace.resolve("../other.txt"),
    workspace.read("../other.txt"),
    workspace.write("../other.txt", "changed"),
    workspace.append("../other.txt", "changed"),
    workspace.list(".."),
    workspace.exists("../other.txt"),
    workspace.remove("../other.txt"),
  ])
    await expect(call).rejects.toMatchObject(refused);
  expect(await fs.readFile(path.join(root, "other.txt"), "utf8")).toBe("kept");
});
