/** The file tools on a real folder: what they answer, and that nothing leads out of it. */
import { execFileSync } from "node:child_process";
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import os from "node:os";
import path from "node:path";
import { afterAll, beforeEach, describe, expect, it } from "vitest";
import { limits } from "../../../runtime/kernel/limits.ts";
import { type Folder, walk } from "../../../runtime/tools/folder.ts";
import { makeToolHost } from "../../../runtime/tools/host.ts";
import { writeText } from "../../../runtime/tools/text-file.ts";
import { png } from "../../support/pictures.ts";

const base = mkdtempSync(path.join(os.tmpdir(), "cloister-tools-"));
afterAll(() => rmSync(base, { recursive: true }));

let root = "";
let outside = "";
let made = 0;
beforeEach(() => {
  const place = path.join(base, String(made++));
  root = path.join(place, "workspace");
  outside = path.join(place, "outside");
  mkdirSync(root, { recursive: true });
  mkdirSync(outside);
  writeFileSync(path.join(outside, "secret.txt"), "secret");
});

const host = makeToolHost();
const call = (tool: string, params: object): Promise<object> =>
  host.run({ tool, params: JSON.stringify(params), root });
const put = (name: string, text: string): void => {
  mkdirSync(path.dirname(path.join(root, name)), { recursive: true });
  writeFileSync(path.join(root, name), text);
};
const get = (name: string): string => readFileSync(path.join(root, name), "utf8");

it("what the system refuses is told without the gateway's paths", async () => {
  const inFile = path.join(outside, "secret.txt", "workspace");
  const params = JSON.stringify({ path: "a.txt" });
  expect(await host.run({ tool: "read", params, root: inFile })).toEqual({
    status: "error",
    code: "worker_unavailable",
    error: "read failed: ENOTDIR",
  });
  expect(await call("write", { path: "x".repeat(300), content: "" })).toMatchObject({
    error: "write failed: ENAMETOOLONG",
  });
});

it("folders beside the workspace are read by absolute paths, and no link leads out of them", async () => {
  const beside = [{ root: path.join(outside, "skill") }];
  mkdirSync(path.join(outside, "skill"));
  writeFileSync(path.join(outside, "skill/SKILL.md"), "how");
  symlinkSync(path.join(outside, "secret.txt"), path.join(outside, "skill/link"));
  const at = (name: string): string => JSON.stringify({ path: path.join(outside, name) });
  const read = (name: string) => host.run({ tool: "read", root, beside, params: at(name) });
  expect(await read("skill/SKILL.md")).toMatchObject({ text: "how" });
  expect(await host.run({ tool: "ls", root, beside, params: at("skill") })).toMatchObject({ status: "ok" });
  for (const name of ["secret.txt", "skill/link", "skill/../secret.txt", "skills"])
    expect(await read(name), name).toMatchObject({ status: "forbidden" });
  const own = { tool: "read", root, beside, params: '{"path":"SKILL.md"}' };
  expect(await host.run(own)).toMatchObject({ code: "not_found" });
  // An absolute path of the workspace is still one.
  put("own.md", "mine");
  const params = JSON.stringify({ path: path.join(root, "own.md") });
  expect(await host.run({ tool: "read", root, beside, params })).toMatchObject({ text: "mine" });
});

it("of a folder beside the workspace the parts that are named are read, and nothing else of it", async () => {
  const beside = [{ root: path.join(outside, "home"), folders: ["skills", ".agents/skills"] }];
  for (const name of ["home/skills/a", "home/.agents/skills/b", "home/notes"])
    mkdirSync(path.join(outside, name), { recursive: true });
  for (const name of ["home/skills/a/SKILL.md", "home/.agents/skills/b/SKILL.md", "home/notes/own.md", "home/own.md"])
    writeFileSync(path.join(outside, name), name);
  symlinkSync(path.join(outside, "home/notes"), path.join(outside, "home/skills/link"));
  const read = (name: string) => {
    const params = JSON.stringify({ path: path.join(outside, name) });
    return host.run({ tool: "read", root, beside, params });
  };
  for (const name of ["home/skills/a/SKILL.md", "home/.agents/skills/b/SKILL.md"])
    expect(await read(name)).toMatchObject({ text: name });
  for (const name of ["home/own.md", "home/notes/own.md", "home/skills/../own.md", "home/skills/link/own.md"])
    expect(await read(name), name).toMatchObject({ status: "forbidden" });
});

it("a write whose file cannot take its name leaves no draft behind", async () => {
  const folder: Folder = {
    at: (name) => path.join(root, name.startsWith(".cloister-") ? name : path.join("missing", name)),
    owner: statSync(root),
    close: async () => undefined,
  };
  await expect(writeText(folder, "a.txt", "text")).rejects.toMatchObject({ code: "ENOENT" });
  expect(readdirSync(root)).toEqual([]);
});

it("a file may have as many bytes as the bound says, and not one more", async () => {
  const content = "x".repeat(limits.toolFileBytesMax);
  expect(await call("write", { path: "a.txt", content })).toMatchObject({ status: "ok" });
  expect(await call("read", { path: "a.txt" })).toMatchObject({ status: "ok" });
  put("b.txt", `${content}x`);
  expect(await call("read", { path: "b.txt" })).toMatchObject({ code: "invalid" });
  expect(await call("edit", { path: "a.txt", edits: [{ oldText: content, newText: "x" }] })).toMatchObject({
    status: "ok",
  });
});

it("a change that fails holds up no change of the same workspace behind it", async () => {
  put("a.txt", "one");
  const [failed, ...others] = await Promise.all([
    call("edit", { path: "none.txt", edits: [{ oldText: "x", newText: "y" }] }),
    call("write", { path: "b.txt", content: "b" }),
    call("edit", { path: "a.txt", edits: [{ oldText: "one", newText: "two" }] }),
  ]);
  expect(failed).toMatchObject({ code: "not_found" });
  expect(others).toMatchObject([{ status: "ok" }, { status: "ok" }]);
  expect(get("a.txt")).toBe("two");
});

it.each(["read", "ls"])("a path with a NUL is one that leaves the workspace (%s)", async (tool) => {
  put("a", "text");
  expect(await call(tool, { path: "a\u0000b" })).toMatchObject({ status: "forbidden" });
});

describe("read", () => {
  it("gives lines, and where to go on", async () => {
    put("a/b.txt", "one\ntwo\nthree\n");
    expect(await call("read", { path: "a/b.txt" })).toEqual({
      status: "ok",
      path: "a/b.txt",
      text: "one\ntwo\nthree",
      offset: 1,
      lines: 3,
      totalLines: 3,
    });
    expect(await call("read", { path: path.join(root, "a/b.txt"), offset: 2, limit: 1 })).toMatchObject({
      text: "two",
      nextOffset: 3,
    });
    expect(await call("read", { path: "a/b.txt", offset: 4 })).toMatchObject({ code: "invalid" });
  });

  it("gives no more than fits, in whole lines, and the beginning of a line that never fits", async () => {
    const line = "x".repeat(limits.toolReadCharsMax / 2);
    put("long.txt", `${line}\n${line}\nend\n`);
    expect(await call("read", { path: "long.txt" })).toMatchObject({ text: line, lines: 1, nextOffset: 2 });
    put("huge.txt", "y".repeat(limits.toolReadCharsMax + 1));
    expect(await call("read", { path: "huge.txt" })).toMatchObject({
      text: "y".repeat(limits.toolReadCharsMax),
      cut: expect.any(String),
    });
  });

  it.each([
    ["nothing there", "none.txt", "not_found"],
    ["no folder there", "none/a.txt", "not_found"],
    ["a folder", "folder", "invalid"],
    ["a file in a file", "a.txt/b.txt", "invalid"],
    ["no text", "bytes.bin", "invalid"],
    ["a pipe", "pipe", "invalid"],
    ["more than the bound", "large.bin", "invalid"],
    ["the workspace itself", ".", "invalid"],
  ])("refuses %s", async (_what, name, code) => {
    put("a.txt", "a");
    mkdirSync(path.join(root, "folder"));
    writeFileSync(path.join(root, "bytes.bin"), Buffer.from([0xff, 0xfe, 0x00]));
    writeFileSync(path.join(root, "large.bin"), Buffer.alloc(limits.toolFileBytesMax + 1, 97));
    execFileSync("mkfifo", [path.join(root, "pipe")]);
    expect(await call("read", { path: name })).toMatchObject({ status: "error", code });
  });
});

describe("write", () => {
  it("makes folders and files, replaces what is there, keeps its mode and leaves no draft", async () => {
    expect(await call("write", { path: "x/y/z.sh", content: "one" })).toEqual({
      status: "ok",
      path: "x/y/z.sh",
      bytes: 3,
      created: true,
    });
    execFileSync("chmod", ["750", path.join(root, "x/y/z.sh")]);
    expect(await call("write", { path: "x/y/z.sh", content: "two" })).toMatchObject({ created: false });
    expect(get("x/y/z.sh")).toBe("two");
    expect(statSync(path.join(root, "x/y/z.sh")).mode & 0o777).toBe(0o750);
    expect(readdirSync(path.join(root, "x/y"))).toEqual(["z.sh"]);
  });

  it("refuses a folder, and leaves it as it is", async () => {
    put("x/a.txt", "a");
    expect(await call("write", { path: "x", content: "" })).toMatchObject({ code: "invalid" });
    expect(get("x/a.txt")).toBe("a");
  });
});

describe("edit", () => {
  it("makes all edits in order", async () => {
    put("a.txt", "one two three");
    const edits = [
      { oldText: "two", newText: "$& 2" },
      { oldText: "$& 2 three", newText: "rest" },
    ];
    expect(await call("edit", { path: "a.txt", edits })).toMatchObject({ status: "ok", edits: 2 });
    expect(get("a.txt")).toBe("one rest");
  });

  it.each([
    ["is not there", "four", "does not have"],
    ["is there twice", "aa", "more than once"],
  ])("makes none when a text %s", async (_what, oldText, message) => {
    put("a.txt", "one aaa");
    const edits = [
      { oldText: "one", newText: "1" },
      { oldText, newText: "x" },
    ];
    expect(await call("edit", { path: "a.txt", edits })).toMatchObject({
      code: "invalid",
      error: expect.stringContaining(message),
    });
    expect(get("a.txt")).toBe("one aaa");
  });

  it("loses no change of others: what changes files of one folder is done one after the other", async () => {
    put("a.txt", "");
    for (let n = 0; n < 20; n++) put("a.txt", `${get("a.txt")}<${n}>\n`);
    const edit = (n: number) => call("edit", { path: "a.txt", edits: [{ oldText: `<${n}>`, newText: `[${n}]` }] });
    await Promise.all(Array.from({ length: 20 }, (_, n) => edit(n)));
    expect(get("a.txt")).not.toContain("<");
  });
});

describe("apply_patch", () => {
  const patch = (...lines: readonly string[]) =>
    call("apply_patch", { input: ["*** Begin Patch", ...lines, "*** End Patch"].join("\n") });

  it("adds, changes, renames and deletes files", async () => {
    put("old.txt", "a\nb\n");
    put("gone.txt", "x");
    expect(
      await patch(
        "*** Add File: sub/new.txt",
        "+hello",
        "*** Update File: old.txt",
        "*** Move to: moved.txt",
        "-b",
        "+B",
        "*** Delete File: gone.txt",
      ),
    ).toEqual({
      status: "ok",
      files: [
        { path: "sub/new.txt", change: "add" },
        { path: "old.txt", change: "update", moveTo: "moved.txt" },
        { path: "gone.txt", change: "delete" },
      ],
    });
    expect([get("sub/new.txt"), get("moved.txt")]).toEqual(["hello\n", "a\nB\n"]);
    expect(readdirSync(root).toSorted()).toEqual(["moved.txt", "sub"]);
  });

  it.each([
    ["a hunk does not fit", ["*** Update File: a.txt", "-nowhere", "+x"]],
    ["a file to add is there", ["*** Add File: a.txt", "+x"]],
    ["a file to delete is not there", ["*** Delete File: none.txt"]],
    ["the new name is taken", ["*** Update File: b.txt", "*** Move to: a.txt", "-b", "+c"]],
    ["a file is named twice", ["*** Update File: b.txt", "-b", "+c", "*** Delete File: ./b.txt"]],
    ["a path leaves the workspace", ["*** Delete File: ../outside/secret.txt"]],
  ])("changes nothing when %s", async (_what, lines) => {
    put("a.txt", "a\n");
    put("b.txt", "b\n");
    const result = await patch("*** Add File: first.txt", "+first", ...lines);
    expect(result).toHaveProperty("error");
    expect(readdirSync(root).toSorted()).toEqual(["a.txt", "b.txt"]);
    expect([get("a.txt"), get("b.txt")]).toEqual(["a\n", "b\n"]);
    expect(readFileSync(path.join(outside, "secret.txt"), "utf8")).toBe("secret");
  });
});

describe("ls", () => {
  it("gives names in order with what they are", async () => {
    put("b.txt", "12");
    put("a/c.txt", "");
    symlinkSync(outside, path.join(root, "link"));
    expect(await call("ls", {})).toEqual({
      status: "ok",
      path: ".",
      entries: [
        { name: "a", type: "directory" },
        { name: "b.txt", type: "file", bytes: 2 },
        { name: "link", type: "link" },
      ],
    });
    expect(await call("ls", { limit: 1 })).toMatchObject({ entries: [{ name: "a" }], more: true });
    expect(await call("ls", { path: "b.txt" })).toMatchObject({ code: "invalid" });
  });

  it("gives no more names than its bound, and says when there are more", async () => {
    const entriesOf = async () => (await call("ls", {})) as { readonly entries: readonly object[]; more?: true };
    for (let at = 0; at < limits.toolListMax; at++) put(`${at}.txt`, "");
    const all = await entriesOf();
    expect([all.entries.length, all.more]).toEqual([limits.toolListMax, undefined]);
    put("one-more.txt", "");
    const cut = await entriesOf();
    expect([cut.entries.length, cut.more]).toEqual([limits.toolListMax, true]);
  });
});

describe("nothing leads out of the root", () => {
  const tries = (name: string) =>
    [
      ["read", { path: name }],
      ["write", { path: name, content: "mine" }],
      ["edit", { path: name, edits: [{ oldText: "secret", newText: "mine" }] }],
      ["apply_patch", { input: `*** Begin Patch\n*** Update File: ${name}\n-secret\n+mine\n*** End Patch` }],
      ["apply_patch", { input: `*** Begin Patch\n*** Add File: ${name}\n+mine\n*** End Patch` }],
      ["apply_patch", { input: `*** Begin Patch\n*** Delete File: ${name}\n*** End Patch` }],
      ["ls", { path: path.dirname(name) }],
    ] as const;

  it.each([
    ["a path upwards", () => "../outside/secret.txt"],
    ["a path upwards from a folder", () => "folder/../../outside/secret.txt"],
    ["an absolute path", () => path.join(outside, "secret.txt")],
    ["a name with a zero", () => "../outside/secret.txt\0"],
    ["a link to a folder", () => "linked/secret.txt"],
    ["a link to a folder, further down", () => "folder/linked/secret.txt"],
    ["/proc", () => "/proc/self/environ"],
  ])("by %s", async (_what, name) => {
    mkdirSync(path.join(root, "folder"));
    symlinkSync(outside, path.join(root, "linked"));
    symlinkSync(outside, path.join(root, "folder/linked"));
    for (const [tool, params] of tries(name())) {
      const result = await call(tool, params);
      expect(result, tool).toMatchObject({ error: expect.any(String) });
      expect(JSON.stringify(result), tool).not.toMatch(/"text"|"entries"/);
    }
    expect(readdirSync(outside)).toEqual(["secret.txt"]);
    expect(readFileSync(path.join(outside, "secret.txt"), "utf8")).toBe("secret");
  });

  it("by a link in the place of the file", async () => {
    symlinkSync(path.join(outside, "secret.txt"), path.join(root, "secret.txt"));
    for (const [tool, params] of tries("secret.txt").slice(0, 5)) {
      expect(await call(tool, params), tool).toMatchObject({ error: expect.any(String) });
    }
    expect(readFileSync(path.join(outside, "secret.txt"), "utf8")).toBe("secret");
  });

  it.each([true, false])("also where folders are not held open (by handle: %s)", async (byHandle) => {
    mkdirSync(path.join(root, "a/b"), { recursive: true });
    symlinkSync(outside, path.join(root, "a/linked"));
    const folder = await walk(root, ["a", "b"], false, byHandle);
    writeFileSync(folder.at("x"), "x");
    await folder.close();
    expect(get("a/b/x")).toBe("x");
    await expect(walk(root, ["a", "linked"], true, byHandle)).rejects.toThrow("is a link");
  });

  it("by a link that takes the place of a folder on the way to a root that was judged", async () => {
    const top = realpathSync(root);
    mkdirSync(path.join(top, "way", "notes"), { recursive: true });
    mkdirSync(path.join(top, "secret", "notes"), { recursive: true });
    const judged = { real: path.join(top, "way", "notes") };
    for (const byHandle of [true, false]) await (await walk(judged, [], false, byHandle)).close();
    renameSync(path.join(top, "way"), path.join(top, "gone"));
    await expect(walk(judged, [], true, true)).rejects.toThrow("there is no");
    symlinkSync(path.join(top, "secret"), path.join(top, "way"));
    for (const byHandle of [true, false])
      await expect(walk(judged, [], false, byHandle)).rejects.toThrow("leads to another folder");
    // What nobody judged is wherever it leads to.
    await (await walk(judged.real, [], false, true)).close();
  });

  it("by a link that takes the place of a folder that is open", async () => {
    mkdirSync(path.join(root, "a"));
    const folder = await walk(root, ["a"], false, true);
    rmSync(path.join(root, "a"), { recursive: true });
    symlinkSync(outside, path.join(root, "a"));
    expect(() => writeFileSync(folder.at("planted.txt"), "x")).toThrow("ENOENT");
    await folder.close();
    expect(readdirSync(outside)).toEqual(["secret.txt"]);
  });
});

describe("what does not fit is answered", () => {
  it.each([
    ["read", {}, "read: path"],
    ["read", { path: "a", more: 1 }, "Unrecognized key"],
    ["write", { path: "a" }, "write: content"],
    ["exec", { command: "id" }, "no tool is called exec"],
    ["constructor", {}, "no tool is called constructor"],
  ])("%s %o", async (tool, params, message) => {
    expect(await call(tool, params)).toMatchObject({ status: "error", error: expect.stringContaining(message) });
  });

  it("also when the parameters are not JSON", async () => {
    expect(await host.run({ tool: "ls", params: "{", root })).toMatchObject({ code: "invalid" });
  });
});

it("a picture of the workspace is named where a model may be shown it, and refused elsewhere", async () => {
  writeFileSync(path.join(root, "a.png"), png);
  mkdirSync(path.join(outside, "skill"));
  writeFileSync(path.join(outside, "skill", "b.png"), png);
  const beside = [{ root: path.join(outside, "skill") }];
  const read = (place: string, showsPictures: boolean): Promise<object> =>
    host.run({
      tool: "read",
      params: JSON.stringify({ path: place }),
      root,
      inside: "/workspace",
      beside,
      showsPictures,
    });
  const shown = { status: "ok", type: "image/png", bytes: png.length, pictures: ["a.png"] };
  expect(await read("a.png", true)).toEqual({ ...shown, path: "a.png" });
  expect(await read("/workspace/a.png", true)).toMatchObject(shown);
  for (const refusal of [await read("a.png", false), await read(path.join(outside, "skill/b.png"), true)])
    expect(refusal).toMatchObject({ code: "invalid", error: expect.stringContaining("is a picture") as string });
});
