/**
 * Builds `dist/`: what `npm start` and the package run. One file an entry, so that starting loads few files; the cell's
 * bootstrap and the shipped actors as single scripts that a cell runs without reading the disk.
 *
 *   node scripts/build.ts [--if-changed]
 */
import { createHash } from "node:crypto";
import { chmod, glob, mkdir, readFile, rm, writeFile } from "node:fs/promises";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { build, type BuildOptions } from "rolldown";
import { buildPage } from "./build-page.ts";
import { buildTypes } from "./build-types.ts";
import { collectLicences } from "./licences.ts";

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), "..");
const dist = path.join(root, "dist");
const stampFile = path.join(dist, ".stamp");

const sources = [
  "runtime/**/*.ts",
  "actors/**/*.ts",
  "channels/**/*",
  "auth/**/*.ts",
  "scripts/*.ts",
  "package-lock.json",
  "package.json",
  "tsconfig.json",
];

async function stamp(): Promise<string> {
  const hash = createHash("sha256");
  const files: string[] = [];
  for await (const file of glob(sources, { cwd: root })) files.push(file);
  for (const file of files.toSorted()) {
    const text = await readFile(path.join(root, file)).catch((error: NodeJS.ErrnoException) => {
      if (error.code === "EISDIR") return undefined;
      throw error;
    });
    if (text !== undefined) hash.update(file).update("\0").update(text).update("\0");
  }
  return hash.digest("hex");
}

/**
 * Inside of what is built: zod, which brings 64 languages as modules of their own, which each thread would load (docs/adr/0070-start-up.md), and what stands on
 * it in the broker, which would bring a zod of its own with them. Every other package stays outside.
 */
const inside = ["zod(/|$)", "@ai-sdk/", "ollama-ai-provider-v2$", "eventsource-parser(/|$)", "@workflow/serde$"];
const external = [/^node:/, new RegExp(`^(?!${inside.join("|")})[a-z@][^:]*$`)];
const licences = collectLicences();
const shared: BuildOptions = { cwd: root, platform: "node", logLevel: "warn", plugins: [licences.plugin] };

/** Trusted threads: modules, npm packages stay outside. `main` keeps its lazy parts in chunks of their own. */
async function buildThreads(): Promise<void> {
  await build({
    ...shared,
    input: {
      main: "runtime/main.ts",
      store: "runtime/store/store-thread.ts",
      edge: "runtime/edge/edge-thread.ts",
      tools: "runtime/tools/tools-thread.ts",
      memory: "runtime/tools/memory/memory-thread.ts",
      channel: "runtime/channels/channel-thread.ts",
      broker: "runtime/broker/broker-thread.ts",
      mcp: "runtime/mcp/mcp-thread.ts",
      reader: "runtime/readers/reader-thread.ts",
      "log-file": "runtime/observe/log-file.ts",
      testing: "runtime/testing/index.ts",
    },
    external,
    output: { dir: dist, format: "esm", entryFileNames: "[name].js", chunkFileNames: "chunks/[name]-[hash].js" },
  });
  await build({
    ...shared,
    input: { cloister: "actors/index.ts", channels: "channels/index.ts" },
    output: { dir: dist, format: "esm", entryFileNames: "[name].js" },
  });
}

/** Shipped actors by the names that a config gives them (`runtime/thread/cell-assets.ts`). */
const actors = {
  assistant: "actors/assistant/index.ts",
  scripted: "actors/scripted.ts",
  echo: "actors/echo.ts",
  relay: "actors/relay.ts",
} as const;

/** Code for cells: whole scripts, everything inside. */
async function buildCells(): Promise<void> {
  await build({
    ...shared,
    input: { cell: "runtime/thread/cell/bootstrap.ts" },
    external: [/^node:/],
    output: { dir: dist, format: "cjs", entryFileNames: "[name].cjs", minify: true },
  });
  for (const [name, file] of [
    ["cell-process", "runtime/thread/process-main.ts"],
    ["cell-parent", "runtime/thread/cell-parent-main.ts"],
  ] as const) {
    await build({
      ...shared,
      input: { [name]: file },
      external: [/^node:/],
      output: { dir: dist, format: "cjs", entryFileNames: "[name].cjs", minify: true },
    });
  }
  for (const [name, file] of Object.entries(actors)) {
    await build({
      ...shared,
      input: { [name]: file },
      external: [/^node:/],
      output: {
        dir: path.join(dist, "actors"),
        format: "cjs",
        entryFileNames: "[name].cjs",
        exports: "named",
        minify: true,
      },
    });
  }
}

async function main(): Promise<void> {
  const now = await stamp();
  if (process.argv.includes("--if-changed") && (await readFile(stampFile, "utf8").catch(() => "")) === now) return;
  await rm(dist, { recursive: true, force: true });
  await mkdir(dist, { recursive: true });
  const types = buildTypes(
    root,
    ["actors/index.ts", "channels/index.ts", "runtime/testing/index.ts"],
    path.join(dist, "types"),
  );
  await Promise.all([buildThreads(), buildCells(), buildPage(path.join(dist, "web"), [licences.plugin]), types]);
  await licences.write(path.join(dist, "LICENCES.txt"));
  await chmod(path.join(dist, "main.js"), 0o755);
  await writeFile(stampFile, now);
}

await main();
