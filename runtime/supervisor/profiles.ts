/**
 * CPU profiles of cells that hung: `<stateDir>/run/profiles/<time>-<agent>-<incarnation>.cpuprofile`, which Chromium's developer
 * tools and editors open. The newest `limits.profileFilesMax` are kept. A file that a crash cut short is removed like the others.
 */
import { mkdir, readdir, rm, writeFile } from "node:fs/promises";
import path from "node:path";
import { limits } from "../kernel/limits.ts";

export interface Profiles {
  /** Where `save` will write it; known before it is written, so that the report of the end need not wait. */
  place(agentId: string, incarnation: number, atMs: number): string;
  /** Rejects as the file system does. */
  save(file: string, profile: string): Promise<void>;
}

export function makeProfiles(stateDir: string): Profiles {
  const folder = path.join(stateDir, "run", "profiles");
  return {
    place: (agentId, incarnation, atMs) =>
      path.join(folder, `${new Date(atMs).toISOString().replaceAll(":", "-")}-${agentId}-${incarnation}.cpuprofile`),
    async save(file, profile) {
      await mkdir(folder, { recursive: true, mode: 0o700 });
      await writeFile(file, profile, { mode: 0o600 });
      const names = (await readdir(folder)).filter((name) => name.endsWith(".cpuprofile")).toSorted();
      for (const name of names.slice(0, -limits.profileFilesMax)) await rm(path.join(folder, name), { force: true });
    },
  };
}
