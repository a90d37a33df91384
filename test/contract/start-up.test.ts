/**
 * What a start of the built program loads before its doors open. Code of models, channels and tools belongs to threads that start when somebody
 * needs them; each package here costs every start, and is here with its reason.
 */
import { readdir, readFile } from "node:fs/promises";
import path from "node:path";
import { expect, it } from "vitest";
import { distFolder } from "../../runtime/thread/entries.ts";

const dist = distFolder();
const imports = /^(?:import|export)\s(?:[^"';]*?\sfrom\s)?"(?<from>[^"]+)";$/gm;

/** Packages that the file and what it imports load at once; what is loaded later (`import()`) is not among them. */
async function packagesOf(files: readonly string[]): Promise<readonly string[]> {
  const seen = new Set<string>();
  const packages = new Set<string>();
  const visit = async (file: string): Promise<void> => {
    if (seen.has(file)) return;
    seen.add(file);
    for (const { groups } of (await readFile(file, "utf8")).matchAll(imports)) {
      const from = groups?.["from"] ?? "";
      if (from.startsWith(".")) await visit(path.resolve(path.dirname(file), from));
      else if (!from.startsWith("node:")) packages.add(from);
    }
  };
  for (const file of files) await visit(file);
  // Bundled code is in chunks; a walk that found none has looked at nothing.
  expect(seen.size).toBeGreaterThan(3);
  return [...packages].toSorted();
}

/** What the command `gateway` loads: the bundle says in a comment where the code of each source begins. */
async function partsOfGateway(): Promise<readonly string[]> {
  const wanted = ["runtime/cli/index.ts", "runtime/cli/commands/gateway.ts", "runtime/supervisor/run-gateway.ts"];
  const chunks = (await readdir(path.join(dist, "chunks"))).map((name) => path.join(dist, "chunks", name));
  const texts = await Promise.all(chunks.map(async (file) => ({ file, text: await readFile(file, "utf8") })));
  const parts = wanted.map((source) => texts.find(({ text }) => text.includes(`\n// ${source}\n`))?.file ?? source);
  return [path.join(dist, "main.js"), ...parts];
}

it("P7: the main thread loads what reads a configuration, writes the log and speaks to cells, and nothing of models, channels or tools", async () => {
  expect(await packagesOf(await partsOfGateway())).toEqual([
    "comlink",
    "comlink/dist/esm/node-adapter.mjs",
    "commander",
    "croner",
    "json5",
    "pino",
    "re2js",
  ]);
});

it("P7: the thread of the store loads its database, that of the edge its sockets", async () => {
  expect(await packagesOf([path.join(dist, "store.js")])).toEqual(["lmdb"]);
  expect(await packagesOf([path.join(dist, "edge.js")])).toEqual(["ws"]);
});

it("what stands on zod is inside of the files with it, and loads no second one", async () => {
  const files = await Promise.all(
    [dist, path.join(dist, "chunks")].map(async (folder) =>
      (await readdir(folder)).filter((name) => name.endsWith(".js")).map((name) => path.join(folder, name)),
    ),
  );
  const texts = await Promise.all(files.flat().map((file) => readFile(file, "utf8")));
  // The providers are there, as their sources say of themselves.
  expect(texts.join("\n")).toContain("node_modules/@ai-sdk/provider-utils/");
  const loaded = texts.flatMap((text) =>
    Array.from(text.matchAll(/(?:\bfrom |\bimport\(|^import )"([^"]+)"/gm), ([, name]) => name),
  );
  expect(loaded).toContain("ws");
  expect(loaded.filter((name) => /^(?:zod|@ai-sdk|ollama-ai-provider-v2)(?:\/|$)/.test(name ?? ""))).toEqual([]);
});

it("has the licences of the packages whose code is in its files beside them", async () => {
  const licences = await readFile(path.join(dist, "LICENCES.txt"), "utf8");
  for (const name of ["zod", "comlink", "preact"]) expect(licences).toMatch(new RegExp(`^${name} \\d+\\.\\d+`, "m"));
  expect(licences.match(/Permission is hereby granted|Apache License|Redistribution and use/g)?.length).toBeGreaterThan(
    2,
  );
});
