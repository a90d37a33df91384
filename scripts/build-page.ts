/**
 * Builds the operator's page: `channels/web/page` into one script, one stylesheet, a picture and `index.html`.
 *
 * Script and stylesheet carry a hash of their content in the name, so a server may let browsers keep them for ever;
 * `index.html` must be asked for each time. All addresses are relative: the page works under any base path that ends in `/`.
 * Nothing is inline, so the strictest content security policy holds (`script-src 'self'; style-src 'self'`).
 */
import { createHash } from "node:crypto";
import { mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { build, type Plugin } from "rolldown";

const pageDir = join(import.meta.dirname, "..", "channels", "web", "page");
const packageFile = join(import.meta.dirname, "..", "package.json");

/** In the order of the cascade. */
const styles = ["base", "frame", "panels", "conversation", "desks"];

export interface BuiltPage {
  /** File names in `outDir`. */
  readonly files: readonly string[];
  readonly bytes: number;
}

/** Replaces `outDir` by the built page. Rejects with rolldown's report when the page does not compile. */
export async function buildPage(outDir: string, plugins: readonly Plugin[] = []): Promise<BuiltPage> {
  const manifest: { readonly version: string } = JSON.parse(await readFile(packageFile, "utf8"));
  const bundle = await build({
    input: join(pageDir, "main.tsx"),
    platform: "browser",
    write: false,
    plugins: [...plugins],
    transform: {
      define: { CLOISTER_VERSION: JSON.stringify(manifest.version) },
      target: "es2023",
    },
    output: { format: "esm", minify: true, codeSplitting: false, comments: false },
    logLevel: "warn",
  });
  const [script] = bundle.output;
  const sheets = await Promise.all(styles.map((name) => readFile(join(pageDir, "styles", `${name}.css`), "utf8")));
  const css = sheets.join("\n");
  const scriptName = hashedName(script.code, "js");
  const styleName = hashedName(css, "css");
  const template = await readFile(join(pageDir, "index.html"), "utf8");
  const files = new Map([
    ["index.html", pointTo(pointTo(template, "./page.js", `./${scriptName}`), "./page.css", `./${styleName}`)],
    ["favicon.svg", await readFile(join(pageDir, "favicon.svg"), "utf8")],
    [scriptName, script.code],
    [styleName, css],
  ]);

  await rm(outDir, { recursive: true, force: true });
  await mkdir(outDir, { recursive: true });
  for (const [name, content] of files) await writeFile(join(outDir, name), content);
  const bytes = [...files.values()].reduce((sum, content) => sum + Buffer.byteLength(content), 0);
  return { files: [...files.keys()], bytes };
}

const hashedName = (content: string, extension: string): string =>
  `page-${createHash("sha256").update(content).digest("hex").slice(0, 12)}.${extension}`;

function pointTo(html: string, from: string, to: string): string {
  const count = html.split(`"${from}"`).length - 1;
  if (count !== 1) {
    throw new Error(
      `The page cannot be built: channels/web/page/index.html names "${from}" ${count} times, and must name it once, where the built file goes.`,
    );
  }
  return html.replace(`"${from}"`, `"${to}"`);
}
