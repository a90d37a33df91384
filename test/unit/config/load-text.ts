/** Loads a configuration from text, in a directory of its own that stands for the home directory. */
import { mkdir, mkdtemp, realpath, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll } from "vitest";
import {
  type ConfigIssue,
  findPaths,
  isConfigFailure,
  type LoadedConfig,
  loadConfig,
  type ResolvedConfig,
  resolveConfig,
} from "../../../runtime/config/index.ts";

export interface Given {
  readonly env?: Readonly<Record<string, string>>;
  /** Further files, by name relative to the state directory. */
  readonly files?: Readonly<Record<string, string>>;
  readonly addresses?: readonly string[];
  readonly cores?: number;
  readonly isRoot?: boolean;
}

export interface Loaded {
  readonly home: string;
  readonly stateDir: string;
  readonly loaded: LoadedConfig;
  readonly resolved: ResolvedConfig;
}

const homes: string[] = [];
afterAll(() => Promise.all(homes.map((home) => rm(home, { recursive: true, force: true }))));

export async function makeHome(): Promise<string> {
  const home = await realpath(await mkdtemp(path.join(tmpdir(), "cloister-config-")));
  homes.push(home);
  return home;
}

/** `config` is JSON5 text or an object; undefined = no file. */
export async function loadText(config: string | object | undefined, given: Given = {}): Promise<Loaded> {
  const home = await makeHome();
  const stateDir = path.join(home, ".cloister");
  const text = typeof config === "object" ? JSON.stringify(config) : config;
  const files = { ...given.files, ...(text === undefined ? {} : { "cloister.json": text }) };
  await mkdir(stateDir);
  for (const [name, content] of Object.entries(files)) {
    await mkdir(path.dirname(path.join(stateDir, name)), { recursive: true });
    await writeFile(path.join(stateDir, name), content);
  }
  const env = given.env ?? {};
  const machine = {
    cores: given.cores ?? 2,
    addresses: given.addresses ?? ["127.0.0.1"],
    isRoot: given.isRoot ?? false,
  };
  const loaded = await loadConfig({ ...(await findPaths({ env, homeDir: home })), env, machine });
  return { home, stateDir, loaded, resolved: resolveConfig(loaded) };
}

/** The issues with which the configuration is refused; fails when it is accepted. */
export async function refusalOf(config: string | object, given: Given = {}): Promise<readonly ConfigIssue[]> {
  const error = await failureOf(config, given);
  if (isConfigFailure(error)) return error.issues;
  throw error;
}

export async function failureOf(config: string | object, given: Given = {}): Promise<Error> {
  try {
    await loadText(config, given);
  } catch (error) {
    if (error instanceof Error) return error;
  }
  throw new Error(`was accepted, although it should be refused: ${JSON.stringify(config)}`);
}

/** A value with every object on the way to it. */
export function nest(dotted: string, value: unknown): object {
  const [first = "", ...rest] = dotted.split(".");
  return { [first]: rest.length === 0 ? value : nest(rest.join("."), value) };
}
