/** Installs the library of the WhatsApp channel for the tests, unless it is there as the lock has it. `npm test` runs it. */
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import path from "node:path";

const folder = import.meta.dirname;
const lock = createHash("sha256")
  .update(readFileSync(path.join(folder, "package-lock.json")))
  .digest("hex");
const stamp = path.join(folder, "node_modules", ".lock-sha256");

function installed(): string | undefined {
  try {
    return readFileSync(stamp, "utf8");
  } catch {
    return undefined;
  }
}

if (installed() !== lock) {
  const words = ["ci", "--prefix", folder, "--ignore-scripts", "--omit=peer", "--no-audit", "--no-fund"];
  const { status } = spawnSync("npm", words, { stdio: "inherit" });
  if (status !== 0) process.exit(status ?? 1);
  writeFileSync(stamp, lock);
}
