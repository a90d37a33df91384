/** What is known beside the files about the skills that agents share: where they are, and what their needs are held against. */
import os from "node:os";
import path from "node:path";
import { limits } from "../kernel/limits.ts";
import { resolveConfigPath } from "./agents.ts";
import type { Draft } from "./draft.ts";
import { isMap } from "./is-map.ts";
import type { ResolvedConfig } from "./resolved.ts";

export function resolveSkills(draft: Draft): ResolvedConfig["skills"] {
  const { config, env, paths } = draft;
  const { load, entries, allowBundled } = config.skills;
  return {
    roots: [path.join(paths.homeDir, ".agents", "skills"), path.join(paths.stateDir, "skills")],
    extraRoots: load.extraDirs.map((folder) => resolveConfigPath(folder, draft)),
    ...(allowBundled === undefined ? {} : { allowBundled }),
    off: Object.entries(entries).flatMap(([name, { enabled }]) => (enabled ? [] : [name])),
    // Names alone: what a variable holds is nobody's here.
    env: Object.entries(env)
      .flatMap(([name, value]) => (value === undefined || value === "" ? [] : [name]))
      .toSorted(),
    config: findSet(config),
    path: (env["PATH"] ?? "").split(path.delimiter).filter((folder) => path.isAbsolute(folder)),
    platform: os.platform(),
  };
}

/** Keys whose value is not empty, false or 0, defaults among them; lists and what is in them count as one. Agents by name are no settings. */
function findSet(config: unknown): readonly string[] {
  const found: string[] = [];
  /** Whether something below it is set. */
  const visit = (value: unknown, at: string): boolean => {
    if (at === "agents.entries" || found.length >= limits.skillConfigKeysMax) return false;
    const isSet = isMap(value)
      ? Object.entries(value)
          .map(([name, child]) => visit(child, at === "" ? name : `${at}.${name}`))
          .includes(true)
      : Array.isArray(value)
        ? value.length > 0
        : Boolean(value);
    if (isSet && at !== "") found.push(at);
    return isSet;
  };
  visit(config, "");
  return found.toSorted();
}
