/**
 * The web page's files. They are read once, when the gateway begins to listen, and only what was found then is served: a
 * path is looked up in a table and never joined to a directory.
 */
import { createHash } from "node:crypto";
import { readdir, readFile } from "node:fs/promises";
import { extname, join, relative, sep } from "node:path";
import { securityHeaders, sendBytes } from "./answer.ts";
import type { Exchange, Route, RouteFinder } from "./route.ts";

const types: Readonly<Record<string, string>> = {
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript; charset=utf-8",
  ".mjs": "text/javascript; charset=utf-8",
  ".css": "text/css; charset=utf-8",
  ".json": "application/json; charset=utf-8",
  ".webmanifest": "application/manifest+json",
  ".map": "application/json; charset=utf-8",
  ".svg": "image/svg+xml",
  ".png": "image/png",
  ".ico": "image/x-icon",
  ".webp": "image/webp",
  ".woff2": "font/woff2",
  ".txt": "text/plain; charset=utf-8",
};

export interface Page {
  readonly find: RouteFinder;
  /** Number of files; 0 when the page was not built. */
  readonly files: number;
}

/** `basePath` as configured; `/` and `/ui/` are both fine. Files of a kind that is not in the table are left out. */
export async function loadPage(assetsDir: string, basePath: string): Promise<Page> {
  const base = pageBase(basePath);
  const routes = new Map<string, Route>();
  let files = 0;
  for (const file of await listFiles(assetsDir)) {
    const type = types[extname(file)];
    if (type === undefined) continue;
    const path = base + relative(assetsDir, file).split(sep).join("/");
    const route = assetRoute(await readFile(file), type);
    routes.set(path, route);
    files += 1;
    if (path === `${base}index.html`) routes.set(base, route);
  }
  if (base !== "/" && routes.has(base)) routes.set(base.slice(0, -1), redirectRoute(base));
  return { find: (path) => routes.get(path), files };
}

/** `basePath` with one slash at each end. */
export function pageBase(basePath: string): string {
  const inner = basePath.replaceAll(/^\/+|\/+$/g, "");
  return inner === "" ? "/" : `/${inner}/`;
}

async function listFiles(directory: string): Promise<string[]> {
  try {
    const entries = await readdir(directory, { recursive: true, withFileTypes: true });
    return entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return [];
    throw error;
  }
}

function assetRoute(bytes: Buffer, type: string): Route {
  const etag = `"${createHash("sha256").update(bytes).digest("base64url").slice(0, 27)}"`;
  // Asked again each time, so that a new version of the gateway never meets an old page; the ETag keeps that cheap.
  const headers = { etag, "cache-control": "no-cache" };
  return {
    methods: ["GET", "HEAD"],
    access: "open",
    handle: async ({ request, response }: Exchange) => {
      const known = (request.headers["if-none-match"] ?? "").split(",").map((tag) => tag.trim().replace(/^W\//, ""));
      if (known.includes(etag) || known.includes("*")) sendNotModified(response, headers);
      else sendBytes(response, 200, bytes, { ...headers, "content-type": type });
    },
  };
}

function redirectRoute(location: string): Route {
  return {
    methods: ["GET", "HEAD"],
    access: "open",
    handle: async ({ response }: Exchange) =>
      sendBytes(response, 308, Buffer.alloc(0), { location, "cache-control": "no-cache" }),
  };
}

function sendNotModified(response: Exchange["response"], headers: Record<string, string>): void {
  response.writeHead(304, { ...securityHeaders, ...headers });
  response.end();
}
