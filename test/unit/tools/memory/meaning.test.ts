/** Search by meaning over real notes and a real index; what makes vectors is a function here. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { afterAll, afterEach, beforeEach, describe, expect, it } from "vitest";
import type { EmbedAsk, EmbedEnd } from "../../../../runtime/broker/port.ts";
import { limits } from "../../../../runtime/kernel/limits.ts";
import { makeMemory } from "../../../../runtime/tools/memory/host.ts";
import type { MemoryForKernel, MemoryPlace } from "../../../../runtime/tools/memory/port.ts";
import { meaningOf } from "../../../support/embedding-servers.ts";

const base = mkdtempSync(path.join(os.tmpdir(), "cloister-meaning-"));
afterAll(() => rmSync(base, { recursive: true }));

let home = "";
let memory: MemoryForKernel;
let made = 0;
let nowMs = 0;
let asked: EmbedAsk[] = [];
let answer: (ask: EmbedAsk) => EmbedEnd;
beforeEach(() => {
  home = path.join(base, String(made++));
  nowMs = 0;
  asked = [];
  answer = vectorsFor;
  memory = open();
});
afterEach(() => memory.close());

const open = (): MemoryForKernel =>
  makeMemory(
    async (ask) => {
      asked.push(ask);
      return answer(ask);
    },
    () => nowMs,
  );

function vectorsFor({ texts }: EmbedAsk): EmbedEnd {
  const vectors = texts.map((text) => {
    const raw = meaningOf(text);
    return Float32Array.from(raw, (value) => value / Math.hypot(...raw));
  });
  return { ok: true, vectors, used: { input: 1, output: 0 } };
}

const fails = (code: "CLOISTER_MODEL_FAILED" | "CLOISTER_MODEL_REFUSED", message = "down"): EmbedEnd => ({
  ok: false,
  refusal: { code, message },
});

const put = (name: string, text: string): void => {
  mkdirSync(path.dirname(path.join(home, "work", name)), { recursive: true });
  writeFileSync(path.join(home, "work", name), text);
};
const placeOf = (model = "local/m", scoreMin = 0.35): MemoryPlace => ({
  agentId: "kim",
  workspace: path.join(home, "work"),
  indexFile: path.join(home, "state", "index.sqlite"),
  includesDefault: true,
  sources: [],
  closed: [path.join(home, "state")],
  open: [],
  others: [],
  resultsMax: 6,
  embeddings: { model, scoreMin },
});
type Result = { readonly results: readonly { readonly path: string }[]; readonly meaning?: string };
const search = (query: string, place = placeOf()): Promise<Result> =>
  memory.run("memory_search", place, JSON.stringify({ query })) as Promise<Result>;
const paths = async (query: string, place = placeOf()) => (await search(query, place)).results.map((hit) => hit.path);
const notes = () => asked.filter(({ isQuery }) => !isQuery).flatMap(({ texts }) => texts);

describe("search by meaning", () => {
  it("finds what has none of the words, puts what words and meaning find first, and leaves out what is far", async () => {
    put("memory/1.md", "The harbour of Lisbon");
    put("memory/2.md", "A ship came in, a ship left");
    put("memory/3.md", "Tea is a drink");
    put("memory/4.md", "ship the parcel for money money money");
    expect(await paths("ship")).toEqual(["memory/2.md", "memory/1.md", "memory/4.md"]);
    expect(await paths("ship", placeOf("local/m", 1))).not.toContain("memory/1.md");
    expect(await paths("beverage")).toEqual(["memory/3.md"]);
  });

  it("asks once for a text, in batches, however often its file changes and in how many files it stands", async () => {
    const long = `# A\n${"tea ".repeat(200)}\n`;
    put("memory/1.md", `${long}# B\n${"sea ".repeat(200)}`);
    put("memory/2.md", long.slice(0, -1));
    for (let file = 0; file < limits.memoryEmbedTextsMax; file++) put(`memory/many/${file}.md`, `note ${file}`);
    await search("sea");
    expect(Math.max(...asked.map(({ texts }) => texts.length))).toBe(limits.memoryEmbedTextsMax);
    expect(new Set(notes()).size).toBe(notes().length);
    asked = [];
    put("memory/1.md", `${long}# B\n${"ship ".repeat(200)}`);
    await search("sea");
    expect(notes()).toEqual([`# B\n${"ship ".repeat(200)}`]);
    // And again by another process.
    await memory.close();
    memory = open();
    asked = [];
    await search("sea");
    expect(asked.map(({ texts }) => texts)).toEqual([["sea"]]);
  });

  it("goes by words while the provider fails, says why, and asks it again after a while", async () => {
    put("memory/1.md", "The harbour of Lisbon");
    answer = () => fails("CLOISTER_MODEL_FAILED", "the provider is down");
    expect(await search("lisbon")).toMatchObject({
      results: [{ path: "memory/1.md" }],
      meaning: expect.stringContaining("the provider is down"),
    });
    answer = vectorsFor;
    asked = [];
    expect(await search("ship")).toMatchObject({ results: [], meaning: expect.stringContaining("down") });
    expect(asked).toEqual([]);
    expect(await memory.status(placeOf())).toMatchObject({
      embeddings: { model: "local/m", vectors: 0, without: 1, problem: "the provider is down" },
    });
    nowMs += limits.memoryEmbedRestMs;
    const found = await search("ship");
    expect(found).toMatchObject({ results: [{ path: "memory/1.md" }] });
    expect(found).not.toHaveProperty("meaning");
    expect(await memory.status(placeOf())).toMatchObject({
      embeddings: { model: "local/m", vectors: 1, without: 0 },
    });
  });

  it("leaves out the one text that the provider refuses, and asks for it no more", async () => {
    for (const file of [1, 2, 3, 4, 5]) put(`memory/${file}.md`, `ship ${file}`);
    put("memory/bad.md", "a bad ship");
    answer = (ask) => (ask.texts.includes("a bad ship") ? fails("CLOISTER_MODEL_REFUSED") : vectorsFor(ask));
    expect((await paths("harbour")).toSorted()).toEqual([1, 2, 3, 4, 5].map((file) => `memory/${file}.md`));
    asked = [];
    await search("harbour");
    expect(notes()).toEqual([]);
  });

  it("stops asking when its time is over, and goes on with the next search", async () => {
    for (let file = 0; file < limits.memoryEmbedTextsMax * 2; file++) put(`memory/${file}.md`, `ship ${file}`);
    answer = (ask) => {
      if (!ask.isQuery) nowMs += limits.memoryEmbedMs;
      return vectorsFor(ask);
    };
    expect(await search("harbour")).toMatchObject({ meaning: expect.stringContaining("no vectors yet") });
    expect(await memory.status(placeOf())).toMatchObject({
      embeddings: { vectors: limits.memoryEmbedTextsMax, without: limits.memoryEmbedTextsMax },
    });
    expect(await search("harbour")).not.toHaveProperty("meaning");
  });

  it("halves what a slow provider refuses for no longer than a search may take", async () => {
    for (let file = 0; file < 32; file++) put(`memory/${file}.md`, `ship ${file}`);
    answer = (ask) => {
      if (ask.isQuery) return vectorsFor(ask);
      nowMs += limits.memoryEmbedMs / 4;
      return fails("CLOISTER_MODEL_REFUSED");
    };
    expect(await search("harbour")).toMatchObject({ meaning: expect.stringContaining("no vectors yet") });
    const spans = asked.filter(({ isQuery }) => !isQuery).map(({ timeoutMs }) => timeoutMs / limits.memoryEmbedMs);
    expect(spans).toEqual([1, 3 / 4, 1 / 2, 1 / 4]);
  });

  it("lets a search come between the batches of an operator's index", async () => {
    for (let file = 0; file <= limits.memoryEmbedTextsMax; file++) put(`memory/${file}.md`, `ship ${file}`);
    const [status] = await Promise.all([memory.index(placeOf(), false), search("harbour")]);
    expect(asked.map(({ isQuery }) => isQuery).indexOf(true)).toBeLessThan(asked.length - 1);
    expect(status).toMatchObject({ embeddings: { vectors: limits.memoryEmbedTextsMax + 1, without: 0 } });
  });

  it("keeps vectors of one model, and of texts that are there", async () => {
    put("memory/1.md", "ship");
    put("memory/2.md", "sea");
    await memory.index(placeOf("local/old"), false);
    expect(asked.every(({ timeoutMs }) => timeoutMs === limits.memoryEmbedIndexMs)).toBe(true);
    rmSync(path.join(home, "work", "memory/2.md"));
    await memory.index(placeOf("local/new"), false);
    expect(await memory.status(placeOf("local/new"))).toMatchObject({ embeddings: { vectors: 1, without: 0 } });
    expect(await memory.status(placeOf("local/old"))).toMatchObject({ embeddings: { vectors: 0, without: 1 } });
  });

  it("makes vectors anew when the model behind a name gives others of another length", async () => {
    put("memory/1.md", "The harbour");
    put("memory/2.md", "Tea");
    expect(await paths("ship")).toEqual(["memory/1.md"]);
    const longer = (ask: EmbedAsk): EmbedEnd => {
      const end = vectorsFor(ask);
      return end.ok ? { ...end, vectors: end.vectors.map((vector) => Float32Array.of(...vector, 0)) } : end;
    };
    answer = longer;
    asked = [];
    expect(await paths("ship")).toEqual(["memory/1.md"]);
    expect(notes().toSorted()).toEqual(["Tea", "The harbour"]);
    expect(await memory.status(placeOf())).toMatchObject({ embeddings: { vectors: 2, without: 0 } });
    asked = [];
    expect(await paths("ship")).toEqual(["memory/1.md"]);
    expect(notes()).toEqual([]);
  });

  it("makes them anew in an operator's index too, once a note shows that they are others", async () => {
    put("memory/1.md", "The harbour");
    await memory.index(placeOf(), false);
    answer = (ask) => {
      const end = vectorsFor(ask);
      return end.ok ? { ...end, vectors: end.vectors.map((vector) => vector.slice(0, 3)) } : end;
    };
    put("memory/2.md", "Tea");
    asked = [];
    await memory.index(placeOf(), false);
    expect(notes()).toEqual(["Tea", "The harbour"]);
  });

  it("keeps those that are found, and rests, when notes get others than queries do", async () => {
    put("memory/1.md", "The harbour");
    expect(await paths("ship")).toEqual(["memory/1.md"]);
    put("memory/2.md", "Tea");
    answer = (ask) => {
      const end = vectorsFor(ask);
      return end.ok && !ask.isQuery ? { ...end, vectors: end.vectors.map((vector) => vector.slice(0, 3)) } : end;
    };
    const found = await search("ship");
    expect(found.results.map((hit) => hit.path)).toEqual(["memory/1.md"]);
    expect(found.meaning).toContain("local/m gave 3 numbers for a note and 4 for the query");
    asked = [];
    await search("ship");
    expect(asked).toEqual([]);
    nowMs += limits.memoryEmbedRestMs;
    answer = vectorsFor;
    expect(await search("ship")).not.toHaveProperty("meaning");
    expect(await memory.status(placeOf())).toMatchObject({ embeddings: { vectors: 2, without: 0 } });
  });
});
