import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type BuiltPage, buildPage } from "../../scripts/build-page.ts";

describe("the built page", () => {
  let outDir: string;
  let built: BuiltPage;
  let html: string;

  beforeAll(async () => {
    outDir = await mkdtemp(join(tmpdir(), "cloister-page-"));
    await writeFile(join(outDir, "page-of-an-older-build.js"), "");
    built = await buildPage(outDir);
    html = await readFile(join(outDir, "index.html"), "utf8");
  });
  afterAll(() => rm(outDir, { recursive: true, force: true }));

  it("is index.html, one script, one stylesheet and one picture, and nothing of an older build", async () => {
    const names = (await readdir(outDir)).toSorted();
    expect(names).toEqual([...built.files].toSorted());
    // The hash in a name decides which of the two comes first, so it is left out.
    expect(names.map((name) => name.replace(/^page-([0-9a-f]{12})\.(css|js)$/, "page.$2")).toSorted()).toEqual([
      "favicon.svg",
      "index.html",
      "page.css",
      "page.js",
    ]);
  });

  it("names its parts by relative addresses that exist", () => {
    const addresses = [...html.matchAll(/(?:src|href)="([^"]*)"/g)].map(([, address]) => address ?? "");
    expect(addresses).toHaveLength(3);
    for (const address of addresses) {
      expect(address.startsWith("./")).toBe(true);
      expect(built.files).toContain(address.slice(2));
    }
  });

  it("has no inline script, style or handler, and takes nothing from elsewhere", async () => {
    expect(html).not.toMatch(/<style|\sstyle=|\son\w+=|<script(?![^>]*\ssrc=)/i);
    for (const name of built.files.filter((file) => file.endsWith(".css"))) {
      expect(await readFile(join(outDir, name), "utf8")).not.toMatch(/@import|url\(/);
    }
  });

  it("is small: less than 175 kB with everything", () => {
    expect(built.bytes).toBeLessThan(175_000);
  });

  it("is the same for the same source", async () => {
    const again = await buildPage(outDir);
    expect(again).toEqual(built);
  });
});
