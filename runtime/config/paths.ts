/**
 * Where things are: state directory, config file, profile, and what belongs to an agent. Source: behaviour §1.1, D20.
 *
 * Everything here is computed from what is given and touches no disk, except `findPaths`, which looks which of two config
 * files is there. Each `CLOISTER_<NAME>` goes before the `OPENCLAW_<NAME>` that existing set-ups have; an empty one counts as unset.
 */
import { stat } from "node:fs/promises";
import path from "node:path";
import { failure } from "../kernel/errors.ts";

export type Env = Readonly<Record<string, string | undefined>>;

export interface Surroundings {
  readonly env: Env;
  readonly homeDir: string;
  /** From the command line; they go before the environment. */
  readonly flags?: { readonly configPath?: string; readonly stateDir?: string; readonly profile?: string };
  /** Relative paths of flags and environment resolve here; the process's own directory when absent. */
  readonly cwd?: string;
}

export interface ConfigPaths {
  readonly stateDir: string;
  readonly configPath: string;
  /** Somebody named the config file, so that it has to be there. */
  readonly explicit: boolean;
  /** Absent = the nameless profile. */
  readonly profile: string | undefined;
  /** Workspace of the default agent when the config does not name one. */
  readonly defaultWorkspace: string;
  readonly homeDir: string;
}

const profileForm = /^[a-z0-9][a-z0-9_-]{0,63}$/i;

/** The paths, with the config file that is really there when nobody named one. */
export async function findPaths(
  around: Surroundings,
  isFile: (file: string) => Promise<boolean> = isExistingFile,
): Promise<ConfigPaths> {
  const paths = makePaths(around);
  if (paths.explicit || (await isFile(paths.configPath))) return paths;
  const older = path.join(paths.stateDir, "openclaw.json");
  return (await isFile(older)) ? { ...paths, configPath: older } : paths;
}

/** The paths by name alone. Throws `CLOISTER_CONFIG_INVALID` for a profile that would not be a directory name. */
export function makePaths({ env, homeDir, flags = {}, cwd = "." }: Surroundings): ConfigPaths {
  const profile = makeProfile(flags.profile ?? findVariable(env, "PROFILE"));
  const fromHere = (text: string): string => resolvePath(text, { homeDir, baseDir: cwd });
  const namedState = flags.stateDir ?? findVariable(env, "STATE_DIR");
  const base = path.join(homeDir, ".cloister");
  const stateDir =
    namedState === undefined ? base + (profile === undefined ? "" : `-${profile}`) : fromHere(namedState);
  const namedConfig = flags.configPath ?? findVariable(env, "CONFIG_PATH");
  const namedWorkspace = findVariable(env, "WORKSPACE_DIR");
  // D20: with a profile alone its workspace stands in the nameless state directory; who names a state directory gets all of it there.
  const ownWorkspace =
    profile !== undefined && namedState === undefined
      ? path.join(base, `workspace-${profile}`)
      : path.join(stateDir, "workspace");
  return {
    stateDir,
    configPath: namedConfig === undefined ? path.join(stateDir, "cloister.json") : fromHere(namedConfig),
    explicit: namedConfig !== undefined,
    profile,
    defaultWorkspace: namedWorkspace === undefined ? ownWorkspace : fromHere(namedWorkspace),
    homeDir,
  };
}

function makeProfile(name: string | undefined): string | undefined {
  const text = name?.trim() ?? "";
  if (text === "" || text.toLowerCase() === "default") return undefined;
  if (profileForm.test(text)) return text;
  throw failure(
    "CLOISTER_CONFIG_INVALID",
    `Choosing the profile: ${JSON.stringify(text)} cannot be part of a directory name; wanted letters, digits, "-" and "_", at most 64.`,
    "Change --profile or CLOISTER_PROFILE, or leave it out.",
  );
}

/** `CLOISTER_<name>`, else `OPENCLAW_<name>`; an empty one counts as unset. */
export function findVariable(env: Env, name: string): string | undefined {
  return env[`CLOISTER_${name}`] || env[`OPENCLAW_${name}`] || undefined;
}

/** An absolute path: `~` is the home directory, the rest is relative to `baseDir`. */
export function resolvePath(text: string, from: { readonly homeDir: string; readonly baseDir: string }): string {
  const expanded = text === "~" || /^~[\\/]/.test(text) ? from.homeDir + text.slice(1) : text;
  return path.resolve(from.baseDir, expanded);
}

/** Whether `inner` is `outer` or lies below it. Both absolute; symbolic links are not followed. */
export function isInside(inner: string, outer: string): boolean {
  const way = path.relative(outer, inner);
  return way === "" || (way !== ".." && !way.startsWith(`..${path.sep}`) && !path.isAbsolute(way));
}

async function isExistingFile(file: string): Promise<boolean> {
  try {
    return (await stat(file)).isFile();
  } catch {
    return false;
  }
}
