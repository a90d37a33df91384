/** The workspace as an actor has it: what leaves it is refused by code. With cells: `test/contract/cell.test.ts`. */
import { lstatSync } from "node:fs";
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
  const workspace = makeWorkspace(path.join(root, "own"), fs, lstatSync, path);
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

it("has no part in a folder beside it whose name begins with its own", async () => {
  const workspace = makeWorkspace(path.join(root, "own"), fs, lstatSync, path);
  await fs.mkdir(path.join(root, "own2"));
  await fs.writeFile(path.join(root, "own2", "a.md"), "theirs");
  await fs.symlink(path.join(root, "own2"), path.join(root, "own", "link"));
  for (const name of ["../own2/a.md", path.join(root, "own2", "a.md"), "../own2", "link/a.md"])
    await expect(workspace.read(name), name).rejects.toMatchObject({ code: "CLOISTER_WORKSPACE_ESCAPE" });
  expect(await workspace.stamps(["../own2/a.md", "link/a.md"])).toEqual(["outside", "outside"]);
});

it("follows links that stay inside, and refuses every path through one that does not", async () => {
  const own = path.join(root, "own");
  const workspace = makeWorkspace(own, fs, lstatSync, path);
  await fs.mkdir(path.join(own, "notes"));
  await fs.writeFile(path.join(own, "notes", "a.md"), "mine");
  await fs.mkdir(path.join(root, "others"));
  await fs.writeFile(path.join(root, "others", "a.md"), "theirs");
  await fs.symlink(path.join(own, "notes"), path.join(own, "inside"));
  await fs.symlink(path.join(root, "others"), path.join(own, "outside"));
  await fs.symlink(path.join(root, "others", "a.md"), path.join(own, "file.md"));
  await fs.symlink(path.join(root, "nowhere"), path.join(own, "dangling"));
  expect(await workspace.read("inside/a.md")).toBe("mine");
  expect((await workspace.stamp("inside/a.md")).value).toBe((await workspace.stamp("notes/a.md")).value);
  const refused = { code: "CLOISTER_WORKSPACE_ESCAPE" };
  for (const name of ["outside", "outside/a.md", "outside/none/new.md", "file.md", "dangling", "dangling/x"]) {
    await expect(workspace.read(name), name).rejects.toMatchObject(refused);
    await expect(workspace.stamp(name), name).rejects.toMatchObject(refused);
    await expect(workspace.write(name, "changed"), name).rejects.toMatchObject(refused);
  }
  expect(await fs.readFile(path.join(root, "others", "a.md"), "utf8")).toBe("theirs");
});

it("is left at once when the workspace itself becomes a link", async () => {
  const own = path.join(root, "own");
  const workspace = makeWorkspace(own, fs, lstatSync, path);
  await workspace.write("a.md", "mine");
  await fs.rename(own, path.join(root, "moved"));
  await fs.symlink(path.join(root, "moved"), own);
  await expect(workspace.read("a.md")).rejects.toMatchObject({ code: "CLOISTER_WORKSPACE_ESCAPE" });
});

it("stamps a file with a value that changes with it, and rejects for what is not there", async () => {
  const workspace = makeWorkspace(path.join(root, "own"), fs, lstatSync, path);
  await workspace.write("deep/a.md", "one");
  const before = await workspace.stamp("deep/a.md");
  expect(before.bytes).toBe(3);
  expect(await workspace.stamp("deep/a.md")).toEqual(before);
  await workspace.write("deep/a.md", "three");
  expect((await workspace.stamp("deep/a.md")).value).not.toBe(before.value);
  for (const name of ["none.md", "none/a.md"])
    await expect(workspace.stamp(name)).rejects.toMatchObject({ code: "ENOENT" });
  await expect(workspace.stamp("deep/a.md/below")).rejects.toMatchObject({ code: "ENOTDIR" });
});

it("stamps several at one look at its folder: none is missing for another, and none leaves it", async () => {
  const own = path.join(root, "own");
  let looks = 0;
  const lstat = ((...given: Parameters<typeof lstatSync>) => {
    looks++;
    return lstatSync(...given);
  }) as typeof lstatSync;
  const workspace = makeWorkspace(own, fs, lstat, path);
  await workspace.write("a.md", "mine");
  await workspace.write("deep/b.md", "mine too");
  await fs.writeFile(path.join(root, "other.txt"), "theirs");
  await fs.symlink(path.join(own, "a.md"), path.join(own, "inside.md"));
  await fs.symlink(path.join(root, "other.txt"), path.join(own, "outside.md"));
  const plain = ["a.md", "none.md", "deep/b.md", "deep/none/b.md", "."];
  const alone = await Promise.all(plain.map((name) => workspace.stamp(name).catch(() => "missing")));
  looks = 0;
  expect(await workspace.stamps(plain)).toEqual(alone);
  expect(looks).toBe(1 + 1 + 1 + 2 + 2);
  expect(await workspace.stamps(["../other.txt", "inside.md", "outside.md", "a.md/below", "none.md"])).toEqual([
    "outside",
    await workspace.stamp("a.md"),
    "outside",
    "missing",
    "missing",
  ]);
  await workspace.write("a.md", "changed");
  expect(await workspace.stamps(["a.md"])).not.toEqual([alone[0]]);
  expect(await workspace.stamps([])).toEqual([]);
});
