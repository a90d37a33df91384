/** Builds what the tests start, where its sources have changed since. */
import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

const script = fileURLToPath(new URL("../../scripts/build.ts", import.meta.url));

export async function setup(): Promise<void> {
  await promisify(execFile)(process.execPath, [script, "--if-changed"]);
}
