/**
 * Completes `package-lock.json`, or the lock that is named, after an `npm install` against a registry that does not have every
 * platform's packages.
 *
 * Tools with native parts name one optional package a platform. npm leaves out of the lock what its registry does not have,
 * and `npm ci` then refuses the lock ("Missing: … from lock file") everywhere. This adds the missing entries, for the version
 * that their parent names and with the platform that their name tells; npm skips those of other platforms.
 *
 *   node scripts/complete-lock.ts [bench/peers/package-lock.json]
 */
import { readFile, writeFile } from "node:fs/promises";

interface LockEntry {
  readonly version?: string;
  readonly dev?: boolean;
  readonly optional?: boolean;
  readonly optionalDependencies?: Readonly<Record<string, string>>;
  readonly os?: readonly string[];
  readonly cpu?: readonly string[];
}

const file = new URL(`../${process.argv[2] ?? "package-lock.json"}`, import.meta.url);
const cpus = ["arm64", "x64", "arm", "ia32", "ppc64", "s390x", "riscv64", "loong64"];
const systems = ["android", "darwin", "freebsd", "linux", "win32", "openharmony"];

const lock = JSON.parse(await readFile(file, "utf8")) as { packages: Record<string, LockEntry> };
let added = 0;
for (const [place, entry] of Object.entries(lock.packages)) {
  for (const [name, range] of Object.entries(entry.optionalDependencies ?? {})) {
    const nested = `${place}/node_modules/${name}`;
    const hoisted = `node_modules/${name}`;
    if (place === "" || lock.packages[nested] !== undefined || lock.packages[hoisted] !== undefined) continue;
    lock.packages[hoisted] = describe(name, range, entry.dev === true);
    added++;
  }
}
lock.packages = Object.fromEntries(Object.entries(lock.packages).toSorted(([a], [b]) => (a < b ? -1 : 1)));
await writeFile(file, `${JSON.stringify(lock, null, 2)}\n`);
console.log(`${added} entries added`);

function describe(name: string, range: string, isDev: boolean): LockEntry {
  const words = name.split(/[/-]/);
  const cpu = cpus.find((word) => words.includes(word));
  const system = systems.find((word) => words.includes(word));
  return {
    version: range.replace(/^[~^]/, ""),
    ...(cpu === undefined ? {} : { cpu: [cpu] }),
    ...(isDev ? { dev: true } : {}),
    optional: true,
    ...(system === undefined ? {} : { os: [system] }),
  };
}
