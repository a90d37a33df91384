/** Names of packages whose code is inside of what is built, and their licences beside it, as these ask for. */
import { readdir, readFile, writeFile } from "node:fs/promises";
import path from "node:path";
import type { Plugin } from "rolldown";

/** Packages that are published without the text of their licence, and one of the same repository and licence that has it. */
const sameLicence = new Map([["@ai-sdk/provider-utils", "@ai-sdk/provider"]]);

const inPackage = /^(?<folder>.*\/node_modules\/(?:@[^/]+\/)?[^/]+)\//;

export interface Licences {
  /** For each build whose output counts. */
  readonly plugin: Plugin;
  /** Writes one text: of each package its name, version and licence. Rejects when a package has no file of a licence. */
  write(file: string): Promise<void>;
}

export function collectLicences(): Licences {
  const folders = new Set<string>();
  return {
    plugin: {
      name: "licences",
      renderChunk(_code, { moduleIds }) {
        for (const id of moduleIds) {
          const folder = inPackage.exec(id.replaceAll("\\", "/"))?.groups?.["folder"];
          if (folder !== undefined) folders.add(folder);
        }
        return null;
      },
    },
    write: async (file) => {
      const texts = await Promise.all([...folders].toSorted().map(readLicence));
      await writeFile(file, texts.join(`\n${"-".repeat(80)}\n\n`));
    },
  };
}

async function readLicence(folder: string): Promise<string> {
  const { name, version } = JSON.parse(await readFile(path.join(folder, "package.json"), "utf8")) as {
    readonly name: string;
    readonly version: string;
  };
  const from = folder.slice(0, -name.length) + (sameLicence.get(name) ?? name);
  const licence = (await readdir(from)).find((one) => /^licen[cs]e/i.test(one));
  if (licence === undefined) throw new Error(`${name} is inside of dist/ and has no file of its licence in ${from}.`);
  return `${name} ${version}\n\n${(await readFile(path.join(from, licence), "utf8")).trim()}\n`;
}
