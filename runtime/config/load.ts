/**
 * From the file to a checked configuration. One way in, for the start, for `cloister config validate` and for whatever
 * else asks: read → include → fill in variables → schema → sense → warnings. All problems of a stage are reported together.
 */
import { availableParallelism, networkInterfaces } from "node:os";
import { dirname } from "node:path";
import { failure } from "../kernel/errors.ts";
import { limits } from "../kernel/limits.ts";
import { checkDraft } from "./check.ts";
import type { Draft, Machine } from "./draft.ts";
import { findInactive } from "./inactive.ts";
import { type Composed, composeSource } from "./file/include.ts";
import { configFailure, formatPath } from "./issue.ts";
import { lintDraft } from "./lint.ts";
import { isMap } from "./is-map.ts";
import { type ConfigPaths, type Env, resolvePath } from "./paths.ts";
import type { ConfigWarning } from "./resolved.ts";
import type { Lines } from "./file/lines.ts";
import { withWholeModels } from "./model-aliases.ts";
import { readSource, readText, type Texts } from "./file/source.ts";
import { hideVariables, joinVariables, readEnvText, type Substituted, substituteVariables } from "./file/substitute.ts";
import { validateConfig, valueAt } from "./validate.ts";

export interface LoadInput extends ConfigPaths {
  readonly env: Env;
  /** This machine, unless a test says otherwise. */
  readonly machine?: Machine;
  /** What files hold instead of what is on the disk: how a change is checked before it is written. */
  readonly texts?: Texts;
}

/** A configuration that may be used. `resolveConfig` turns it into the form that the program reads. */
export interface LoadedConfig {
  readonly draft: Draft;
  readonly exists: boolean;
  readonly warnings: readonly ConfigWarning[];
  /** Features that the file configures and that this version does not have. */
  readonly notActive: readonly string[];
  /** The texts that it was made of, by file. */
  readonly files: Composed["files"];
}

export interface LoadedFromFiles extends LoadedConfig {
  /** Whether loading it again would find the same texts. Never rejects. */
  readonly isStill: () => Promise<boolean>;
}

/**
 * Throws `CLOISTER_CONFIG_UNREADABLE` when the file is not JSON5, cannot be read, or was named and is not there; and
 * `CLOISTER_CONFIG_INVALID`, with all `issues`, when it says something that cannot be.
 */
export async function loadConfig(input: LoadInput): Promise<LoadedFromFiles> {
  const { env, machine = describeMachine(), texts, ...paths } = input;
  const source = await readSource(paths.configPath, texts);
  if (source === undefined && paths.explicit) {
    throw failure(
      "CLOISTER_CONFIG_UNREADABLE",
      `Reading the configuration: ${paths.configPath} was named and does not exist.`,
      "Create the file, correct --config or CLOISTER_CONFIG_PATH, or leave both out to use the default place.",
    );
  }
  const composed: Composed =
    source === undefined ? noFile(paths.configPath) : await composeSource(source, paths.homeDir, texts);
  const envText = await readEnvText(paths.stateDir);
  const variables = joinVariables(env, envText, composed.value);
  const repeated = source?.lines.repeated ?? [];
  const channelFiles = await readChannelFiles(composed.value, {
    ...paths,
    env: variables,
    ...(texts === undefined ? {} : { texts }),
  });
  const exists = source !== undefined;
  const loaded = checkSource(composed, { paths, env: variables, machine, exists, repeated, channelFiles });
  const { files } = loaded;
  return { ...loaded, isStill: () => hold(files, paths.stateDir, envText) };
}

/** Whether the files are what they were. One that cannot be read is not. */
async function hold(files: Composed["files"], stateDir: string, envText: string | undefined): Promise<boolean> {
  try {
    if ((await readEnvText(stateDir)) !== envText) return false;
    for (const [file, text] of files) if ((await readText(file)) !== text) return false;
    return true;
  } catch {
    return false;
  }
}

/** What stands beside the modules of channels. Nothing of them runs. */
async function readChannelFiles(
  value: unknown,
  { env, texts, homeDir, configPath }: Pick<LoadInput, "env" | "texts" | "homeDir" | "configPath">,
): Promise<Draft["channelFiles"]> {
  const written = valueAt(["channels", "modules"], value);
  if (!isMap(written)) return new Map();
  const sections = Object.values(written).filter(isMap).slice(0, limits.ownChannelsMax);
  const modules = sections.flatMap(({ module }) => (typeof module === "string" ? [module] : []));
  const { value: named } = substituteVariables(modules, env);
  const files = (named as readonly string[]).map((module) =>
    resolvePath(module, { homeDir, baseDir: dirname(configPath) }),
  );
  if (files.length === 0) return new Map();
  const { readChannelFile } = await import("./channel-file.ts");
  return new Map(
    await Promise.all(files.map(async (module) => [module, await readChannelFile(module, texts)] as const)),
  );
}

export interface CheckInput extends Pick<Draft, "paths" | "env" | "machine" | "channelFiles"> {
  readonly exists: boolean;
  readonly repeated: Lines["repeated"];
}

/** The part of loading that touches no disk. Throws `CLOISTER_CONFIG_INVALID`. */
export function checkSource(composed: Composed, input: CheckInput): LoadedConfig {
  const { paths, env, machine, channelFiles } = input;
  const { value, filled, values, missing } = substituteVariables(composed.value, env);
  const hidden = <T extends ConfigWarning>(told: readonly T[]): T[] => told.map((one) => hideIn(one, values));
  const written = { value, filled, places: composed.places };
  const verdict = validateConfig(written);
  if (!verdict.ok) throw configFailure(paths.configPath, hidden([...composed.issues, ...verdict.issues]));
  const draft: Draft = { config: withWholeModels(verdict.config), written, missing, paths, env, machine, channelFiles };
  const issues = [...composed.issues, ...checkDraft(draft)];
  if (issues.length > 0) throw configFailure(paths.configPath, hidden(issues));
  const inactive = findInactive(value);
  return {
    draft,
    exists: input.exists,
    warnings: [...describeRepeated(input.repeated), ...hidden([...lintDraft(draft), ...inactive.warnings])],
    notActive: inactive.features,
    files: composed.files,
  };
}

/** Whoever may check a configuration may not read the environment. */
function hideIn<T extends ConfigWarning>(told: T, values: Substituted["values"]): T {
  if (values.size === 0) return told;
  const { message, remedy } = told;
  return {
    ...told,
    message: hideVariables(message, values),
    ...(remedy === undefined ? {} : { remedy: hideVariables(remedy, values) }),
  };
}

/** No file is the same as an empty one. */
function noFile(file: string): Composed {
  return { value: {}, places: new Map(), issues: [], files: new Map([[file, undefined]]) };
}

/** JSON5 lets a key stand twice, and the last one counts; a person who edits the first one wonders. */
function describeRepeated(repeated: Lines["repeated"]): ConfigWarning[] {
  return repeated.map(({ path, line, firstLine }) => ({
    path: formatPath(path),
    message: `stands in line ${firstLine} and again in line ${line}; only the last one counts`,
    remedy: "Remove one of them.",
  }));
}

function describeMachine(): Machine {
  const addresses = Object.values(networkInterfaces()).flatMap((list) => (list ?? []).map(({ address }) => address));
  return { cores: availableParallelism(), addresses, isRoot: process.getuid?.() === 0 };
}
