/** The memory of agents on real files: what is found, what is kept up to date, and what never comes into an index. */
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  rmSync,
  statSync,
  symlinkSync,
  unlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import os from "node:os";
import path from "node:path";
import { DatabaseSync } from "node:sqlite";
import { afterAll, afterEach, beforeEach, describe, expect, it } from "vitest";
import { limits } from "../../../../runtime/kernel/limits.ts";
import { makeMemory } from "../../../../runtime/tools/memory/host.ts";
import type { MemoryForKernel, MemoryPlace, MemorySource } from "../../../../runtime/tools/memory/port.ts";

const base = mkdtempSync(path.join(os.tmpdir(), "cloister-memory-"));
afterAll(() => rmSync(base, { recursive: true }));

/** No agent here has a model for embeddings. */
const none = () => Promise.reject(new Error("nothing asks for vectors"));

let home = "";
let memory: MemoryForKernel;
let made = 0;
let nowMs = 0;
beforeEach(() => {
  home = path.join(base, String(made++));
  nowMs = 0;
  for (const id of ["kim", "raul"]) mkdirSync(path.join(home, `workspace-${id}`, "memory"), { recursive: true });
  memory = makeMemory(none, () => nowMs);
});
afterEach(() => memory.close());

const put = (name: string, text: string | Buffer): void => {
  mkdirSync(path.dirname(path.join(home, name)), { recursive: true });
  writeFileSync(path.join(home, name), text);
};
const placeOf = (agentId = "kim", sources: readonly MemorySource[] = [], includesDefault = true): MemoryPlace => ({
  agentId,
  workspace: path.join(home, `workspace-${agentId}`),
  indexFile: path.join(home, "state", "agents", agentId, "agent", "memory", "index.sqlite"),
  includesDefault,
  sources,
  closed: [path.join(home, "state")],
  open: [path.join(home, "workspace-raul")],
  others: [],
  resultsMax: 6,
});
type Result = Readonly<Record<string, unknown>> & { readonly results: readonly Readonly<Record<string, unknown>>[] };
const run = (tool: "memory_search" | "memory_get", params: object, place = placeOf()): Promise<Result> =>
  memory.run(tool, place, JSON.stringify(params)) as Promise<Result>;
const found = async (query: string, place = placeOf()): Promise<readonly unknown[]> =>
  (await run("memory_search", { query }, place)).results.map(({ path: name }) => name);
const source = (name: string, more: Partial<MemorySource> = {}): MemorySource => ({
  path: path.join(home, name),
  pattern: "**/*.md",
  ...more,
});

describe("memory_search", () => {
  it("finds the pieces that have more of the words first, with the lines that they stand on", async () => {
    put("workspace-kim/MEMORY.md", "# People\nRaúl likes tea.\n\n# Places\nThe harbour is in Lisbon.\n");
    put("workspace-kim/memory/2026-01-02.md", "Talked about the harbour.\n");
    put("workspace-kim/memory/deep/more.md", "Nothing of that.\n");
    put("workspace-kim/other.md", "harbour harbour");
    put("workspace-kim/memory/secret.txt", "harbour");
    const { results, ...rest } = await run("memory_search", { query: "Harbour in lisbon?" });
    expect(rest).toEqual({ status: "ok", count: 2 });
    expect(results[0]).toEqual({
      collection: "memory-root-kim",
      path: "MEMORY.md",
      from: 1,
      to: 6,
      text: "# People\nRaúl likes tea.\n\n# Places\nThe harbour is in Lisbon.\n",
    });
    expect(results[1]).toMatchObject({ collection: "memory-dir-kim", path: "memory/2026-01-02.md" });
  });

  it("finds words without their accents, by their beginning, and in scripts without blanks", async () => {
    put("workspace-kim/MEMORY.md", "Raúl wrote the invoices. 我住在北京市。 ภาษาไทย");
    for (const query of ["raul", "RAÚL", "invoice", "北京", "我住", "ไทย"])
      expect(await found(query), query).toEqual(["MEMORY.md"]);
    for (const query of ["voices", "京北", "zzz"]) expect(await found(query), query).toEqual([]);
  });

  it("takes what is no word of a query for nothing more than that", async () => {
    put("workspace-kim/MEMORY.md", "NEAR the column, AND then NOT");
    for (const query of ['"column', "column*", "text:column", "(column OR", "NEAR(column", "column'; DROP TABLE files"])
      expect(await found(query), query).toEqual(["MEMORY.md"]);
    expect(await run("memory_search", { query: "?!…" })).toMatchObject({ status: "error", code: "invalid" });
  });

  it("sees what was written, changed and removed since the search before, and reads nothing else again", async () => {
    put("workspace-kim/memory/a.md", "apple");
    put("workspace-kim/memory/b.md", "banana");
    expect(await found("apple banana")).toHaveLength(2);
    put("workspace-kim/memory/a.md", "cherry");
    unlinkSync(path.join(home, "workspace-kim/memory/b.md"));
    expect(await found("apple banana")).toEqual([]);
    expect(await found("cherry")).toEqual(["memory/a.md"]);
    // The same length and times as before: the inode tells.
    const file = path.join(home, "workspace-kim/memory/a.md");
    utimesSync(file, 1, 1);
    await found("cherry");
    rmSync(file);
    put("workspace-kim/memory/a.md", "cheese");
    utimesSync(file, 1, 1);
    expect(await found("cherry")).toEqual([]);
    expect(await memory.status(placeOf())).toMatchObject({ files: 1, pieces: 1, behind: 0 });
  });

  it("takes changes of many files, again and again", async () => {
    const words = ["apple", "banana", "cherry", "damson"];
    for (const [round, word] of words.entries()) {
      for (let file = 0; file < 40; file++) put(`workspace-kim/memory/${file}.md`, word);
      expect((await run("memory_search", { query: word, maxResults: 20 })).results).toHaveLength(20);
      for (const older of words.slice(0, round)) expect(await found(older)).toEqual([]);
    }
    expect(await memory.status(placeOf())).toMatchObject({ files: 40, pieces: 40, behind: 0 });
  });

  it("reads a file once more that was read right after its change, which a second change may not show", async () => {
    const file = path.join(home, "workspace-kim/memory/a.md");
    put("workspace-kim/memory/a.md", "cherry");
    const { ctimeMs } = statSync(file);
    nowMs = ctimeMs;
    expect(await found("cherry")).toEqual(["memory/a.md"]);
    // As if nobody had seen the change: the index has a text that the file does not, under the file's own stamp.
    const db = new DatabaseSync(placeOf().indexFile);
    const forget = () => db.exec("UPDATE pieces SET text = 'older'");
    const textOf = async () => (await run("memory_search", { query: "cherry" })).results[0]?.["text"];
    forget();
    nowMs = ctimeMs + limits.fileSettledMs + 1;
    expect(await memory.status(placeOf())).toMatchObject({ behind: 0 });
    expect(await textOf()).toBe("cherry");
    // It was settled when it was read the second time, and is not read a third time.
    forget();
    expect(await textOf()).toBe("older");
    db.close();
  });

  it("answers in its time from what is indexed, says so, and goes on with the next", async () => {
    for (let file = 0; file < 5; file++) put(`workspace-kim/memory/${file}.md`, "word");
    const late = makeMemory(none, () => (nowMs += limits.memorySyncMs));
    const search = async () => (await late.run("memory_search", placeOf(), '{"query":"word"}')) as Result;
    expect(await search()).toMatchObject({ count: 1, behind: expect.stringContaining("4 changed files") });
    expect(await search()).toMatchObject({ count: 2 });
    expect(await late.index(placeOf(), false)).toMatchObject({ files: 5, behind: 0 });
    expect(await search()).not.toHaveProperty("behind");
    await late.close();
  });

  it("gives as many hits as asked for, each of which is bounded and has the word in it", async () => {
    put("workspace-kim/MEMORY.md", `${"x ".repeat(700)}needle${" y".repeat(50)}`);
    for (let file = 0; file < 9; file++) put(`workspace-kim/memory/${file}.md`, "needle");
    expect((await run("memory_search", { query: "needle", maxResults: 3 })).results).toHaveLength(3);
    const { results } = await run("memory_search", { query: "needle y", maxResults: 20 });
    expect(results).toHaveLength(10);
    const long = results.find(({ path: name }) => name === "MEMORY.md");
    expect(String(long?.["text"]).length).toBeLessThanOrEqual(limits.memorySnippetChars + 2);
    expect(long?.["text"]).toContain("needle");
  });

  it("makes an index anew that cannot be read, also one that breaks while it is open", async () => {
    put("workspace-kim/MEMORY.md", "word");
    const { indexFile } = placeOf();
    mkdirSync(path.dirname(indexFile), { recursive: true });
    writeFileSync(indexFile, "this is no database, and long enough to be taken for one".repeat(50));
    expect(await found("word")).toEqual(["MEMORY.md"]);
    const other = new DatabaseSync(indexFile);
    other.exec("DROP TABLE pieces");
    other.close();
    expect(await found("word")).toEqual(["MEMORY.md"]);
    rmSync(path.dirname(indexFile), { recursive: true });
    expect(await found("word")).toEqual(["MEMORY.md"]);
    expect(existsSync(indexFile)).toBe(true);
    const later = new DatabaseSync(indexFile);
    later.exec("PRAGMA user_version = 99");
    later.close();
    await memory.close();
    expect(await found("word")).toEqual(["MEMORY.md"]);
  });

  it("keeps no more index files open than its bound", async () => {
    put("workspace-kim/MEMORY.md", "word");
    for (let agent = 0; agent <= limits.memoryOpenMax + 1; agent++) {
      const place = { ...placeOf(), indexFile: path.join(home, "many", String(agent), "index.sqlite") };
      expect(await found("word", place)).toEqual(["MEMORY.md"]);
    }
    expect(await found("word", { ...placeOf(), indexFile: path.join(home, "many", "0", "index.sqlite") })).toHaveLength(
      1,
    );
  });
});

describe("what an agent's memory is not", () => {
  it("has nothing of another agent, by no link, name or query", async () => {
    put("workspace-raul/MEMORY.md", "canary");
    put("workspace-raul/memory/a.md", "canary");
    put("workspace-kim/MEMORY.md", "mine");
    await found("canary", placeOf("raul"));
    const link = (name: string, to: string): void => symlinkSync(path.join(home, to), path.join(home, name));
    rmSync(path.join(home, "workspace-kim/memory"), { recursive: true });
    link("workspace-kim/memory", "workspace-raul/memory");
    link("workspace-kim/memory.md", "workspace-raul/MEMORY.md");
    link("workspace-kim/notes", "workspace-raul");
    mkdirSync(path.join(home, "workspace-kim/real"));
    link("workspace-kim/real/inner", "workspace-raul/memory");
    link("workspace-kim/real/file.md", "workspace-raul/MEMORY.md");
    const place = placeOf("kim", [source("workspace-kim/notes"), source("workspace-kim/real")]);
    expect(await found("canary", place)).toEqual([]);
    expect(await found("mine", place)).toEqual(["MEMORY.md"]);
    for (const name of [
      "memory/a.md",
      "notes/MEMORY.md",
      "real/file.md",
      "real/inner/a.md",
      "../workspace-raul/MEMORY.md",
    ])
      expect(JSON.stringify(await run("memory_get", { path: name }, place)), name).not.toContain("canary");
    const absolute = path.join(home, "workspace-raul/MEMORY.md");
    expect(await run("memory_get", { path: absolute }, place)).toMatchObject({ code: "not_found" });
  });

  it("has no file of the gateway, neither named nor above it nor through a link of the operator's", async () => {
    put("state/agents/raul/sessions/talk.md", "canary");
    symlinkSync(path.join(home, "state/agents/raul/sessions"), path.join(home, "door"));
    const sources = [source("state/agents/raul/sessions", { name: "s" }), source("."), source("door")];
    const place = placeOf("kim", sources);
    expect(await found("canary", place)).toEqual([]);
    const { collections } = await memory.status(place);
    expect(collections.slice(3).map(({ problem }) => problem)).toEqual(
      Array(3).fill(expect.stringContaining("files of the gateway itself")),
    );
  });

  it("has nothing of a workspace that a link leads to, unless a source names that workspace", async () => {
    put("workspace-raul/memory/a.md", "canary");
    put("shared/notes/b.md", "canary");
    const given = source("shared/notes");
    const workspace = path.join(home, "workspace-raul");
    const closed = { ...placeOf("kim", [given]), open: [], others: [workspace] };
    expect(await found("canary", closed)).toEqual(["b.md"]);
    rmSync(path.join(home, "shared/notes"), { recursive: true });
    symlinkSync(path.join(workspace, "memory"), path.join(home, "shared/notes"));
    nowMs += 60_000;
    expect(await found("canary", closed)).toEqual([]);
    expect((await memory.status(closed)).collections[3]?.problem).toContain("link into the workspace of another agent");
    // The workspace itself may be a link: what counts is where both lead.
    symlinkSync(workspace, path.join(home, "by-link"));
    expect(await found("canary", { ...closed, others: [path.join(home, "by-link")] })).toEqual([]);
    expect(await found("canary", { ...closed, open: [workspace], others: [] })).toEqual(["a.md"]);
  });

  it("of a folder that nobody has made yet has nothing, which is said as that; a link in its place is none", async () => {
    const place = placeOf("kim", []);
    rmSync(path.join(home, "workspace-kim/memory"), { recursive: true });
    const problemOf = async () =>
      (await memory.status(place)).collections.find(({ name }) => name === "memory-dir-kim")?.problem;
    expect(await problemOf()).toBe("it is not there");
    mkdirSync(path.join(home, "elsewhere"));
    symlinkSync(path.join(home, "elsewhere"), path.join(home, "workspace-kim/memory"));
    expect(await problemOf()).toBe("it is no folder that can be read");
  });

  it("has what the operator gave it: a workspace of another agent as well", async () => {
    put("workspace-raul/memory/a.md", "shared");
    expect(await found("shared", placeOf("kim", [source("workspace-raul/memory", { name: "team" })]))).toEqual([
      "a.md",
    ]);
  });

  it("has no files that are no text, too large, hidden or beyond its depth", async () => {
    put("workspace-kim/memory/binary.md", Buffer.from([0xff, 0xfe, 0xfd]));
    put("workspace-kim/memory/large.md", "word ".repeat(limits.toolFileBytesMax / 4));
    put("workspace-kim/memory/.hidden/a.md", "word");
    put("workspace-kim/memory/node_modules/a.md", "word");
    put(`workspace-kim/memory/${"d/".repeat(limits.memoryDepthMax + 1)}a.md`, "word");
    put("workspace-kim/memory/good.md", "word");
    expect(await found("word")).toEqual(["memory/good.md"]);
    const status = await memory.status(placeOf());
    expect(status.leftOut.map(({ path: name }) => name)).toEqual(["memory/binary.md", "memory/large.md"]);
    expect(status.collections[2]?.problem).toContain(`deeper than ${limits.memoryDepthMax}`);
    expect(status.behind).toBe(0);
  });
});

describe("collections", () => {
  it("have the names that the config and the place give them, each once", async () => {
    put("workspace-kim/notes/a.md", "a");
    put("family/sessions/b.md", "b");
    put("one/file.md", "c");
    const sources = [
      source("workspace-kim/notes"),
      source("family/sessions", { name: "family-sessions" }),
      source("family/sessions", { name: "family-sessions", pattern: "b*" }),
      source("workspace-kim/notes", { name: "Kim's Notes", pattern: "*.md" }),
      source("workspace-kim/notes", { name: "again" }),
      source("one/file.md"),
      source("gone"),
      source("family", { name: "Shared Name" }),
    ];
    const { collections } = await memory.status(placeOf("kim", sources, false));
    expect(collections.map(({ name, problem }) => (problem === undefined ? name : `${name}: ${problem}`))).toEqual([
      "notes-kim",
      "family-sessions",
      "family-sessions-2",
      "kim-s-notes-kim",
      "file-md-kim",
      "gone-kim: it is not there",
      "Shared Name",
    ]);
    const place = placeOf("kim", sources, false);
    expect(await found("c", place)).toEqual(["file.md"]);
    // One file of two collections is found once.
    expect(await found("a", place)).toEqual(["notes/a.md"]);
    expect((await run("memory_search", { query: "b", collection: "notes-kim" }, place)).results).toEqual([]);
    expect(await run("memory_search", { query: "b", collection: "no" }, place)).toMatchObject({
      code: "not_found",
      error: expect.stringContaining("family-sessions"),
    });
  });

  it("that are in the config no more leave the index", async () => {
    put("extra/a.md", "word");
    const place = placeOf("kim", [source("extra")]);
    expect(await found("word", place)).toEqual(["a.md"]);
    expect(await found("word")).toEqual([]);
    expect(await memory.status(placeOf())).toMatchObject({ files: 0, pieces: 0 });
  });
});

describe("memory_get", () => {
  it("gives the lines of a result, of its collection", async () => {
    put("workspace-kim/MEMORY.md", "one\ntwo\nthree\n");
    put("shared/a.md", "other");
    const place = placeOf("kim", [source("shared", { name: "team" })]);
    expect(await run("memory_get", { path: "MEMORY.md", from: 2, lines: 1 }, place)).toMatchObject({
      status: "ok",
      text: "two",
      nextOffset: 3,
      collection: "memory-root-kim",
    });
    expect(await run("memory_get", { path: "a.md", collection: "team" }, place)).toMatchObject({ text: "other" });
    put("workspace-kim/private.md", "not a note");
    expect(await run("memory_get", { path: "private.md" }, place)).toMatchObject({ code: "not_found" });
    expect(await run("memory_get", { path: "memory/none.md" }, place)).toMatchObject({ code: "not_found" });
    expect(await run("memory_get", { from: 1 }, place)).toMatchObject({ code: "invalid" });
  });
});
