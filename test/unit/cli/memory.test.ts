/** `cloister memory status|index|search`: what they ask, and what they print. */
import { describe, expect, it } from "vitest";
import { useCliHome } from "./cli-home.ts";
import { helloOk, type Script } from "./scripted-gateway.ts";

const cli = useCliHome();
const { run } = cli;

const status = {
  agentId: "kim",
  files: 2,
  pieces: 3,
  chars: 400,
  collections: [
    { name: "memory-root-kim", path: "/ws/kim", pattern: "MEMORY.md", files: 1 },
    { name: "team", path: "/gone", pattern: "**/*.md", files: 0, problem: "it is not there" },
  ],
  leftOut: [{ collection: "memory-dir-kim", path: "memory/a.md", reason: "not text in UTF-8" }],
  behind: 1,
  embeddings: { model: "openai/small", vectors: 2, without: 1, problem: "it is down" },
};
const hits = { results: [{ collection: "team", path: "a.md", from: 3, to: 4, text: "one\ntwo" }], count: 1 };

async function serve(found: object = hits): Promise<void> {
  const script: Script = (request, { answer, refuse }) => {
    if (request.method === "connect") answer(request, helloOk);
    else if (request.method === "memory.search") answer(request, found);
    else if (request.method.startsWith("memory.")) answer(request, status);
    else refuse(request, { code: "INVALID_REQUEST", message: "unknown method" });
  };
  await cli.serve(script, { raw: true });
}

const asked = () => {
  const { method, params } = cli.requests.at(-1) ?? {};
  return { method, params };
};

describe("memory status and index", () => {
  it("tell what the memory has, what is wrong with a collection and what is left out", async () => {
    await serve();
    expect(await run("memory", "status", "--agent", "kim")).toBe(0);
    expect(asked()).toEqual({ method: "memory.status", params: { agentId: "kim" } });
    const text = cli.terminal.outText();
    expect(text).toMatch(/^indexed +2 files, 3 pieces, 400 characters$/m);
    expect(text).toMatch(/^not indexed +1 changed file;/m);
    expect(text).toMatch(/^by meaning +openai\/small: 2 vectors, 1 piece without one; it is down$/m);
    expect(text).toMatch(/^team +0 +\*\*\/\*\.md +\/gone +it is not there$/m);
    expect(text).toMatch(/^memory\/a\.md +memory-dir-kim +not text in UTF-8$/m);
  });

  it("ask for an index made anew, and print JSON", async () => {
    await serve();
    expect(await run("memory", "index", "--force", "--json")).toBe(0);
    expect(asked()).toEqual({ method: "memory.index", params: { force: true } });
    expect(JSON.parse(cli.terminal.outText())).toEqual(status);
  });
});

describe("memory search", () => {
  it("joins the words, and prints each hit with its place", async () => {
    await serve();
    expect(await run("memory", "search", "green", "tea", "--collection", "team", "--max", "3")).toBe(0);
    expect(asked()).toEqual({
      method: "memory.search",
      params: { query: "green tea", collection: "team", maxResults: 3 },
    });
    expect(cli.terminal.outText()).toBe("a.md:3-4 (team)\n  one\n  two\n\n");
  });

  it("says that there is nothing, what is wrong, and which number it wants", async () => {
    await serve({ results: [] });
    expect(await run("memory", "search", "tea")).toBe(0);
    expect(cli.terminal.outText()).toBe("nothing found\n");
    await expect(run("memory", "search", "tea", "--max", "0")).rejects.toThrow('--max: found "0"');
  });

  it("fails when the gateway says what is wrong with the search", async () => {
    await serve({ status: "error", code: "not_found", error: 'there is no collection "x"' });
    await expect(run("memory", "search", "tea", "--collection", "x")).rejects.toThrow('there is no collection "x"');
  });
});
