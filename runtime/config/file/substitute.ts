/**
 * `${NAME}` in the texts of the configuration becomes the value of a variable; `$${NAME}` stands for the text `${NAME}`.
 * A variable that is unset or empty leaves the text as it is: the gateway starts, warns, and whoever needs the value
 * treats it as not configured. Source: behaviour §1.1.
 */
import path from "node:path";
import { parseEnv } from "node:util";
import { isMap } from "../is-map.ts";
import type { Path } from "../issue.ts";
import { pathKey } from "./lines.ts";
import type { Env } from "../paths.ts";
import { readText } from "./source.ts";

const reference = /\$(\$?)\{([A-Z_][A-Z0-9_]*)\}/g;

export interface Substituted {
  readonly value: unknown;
  /** Texts that hold a value of a variable, by `pathKey`: messages do not show them. */
  readonly filled: ReadonlySet<string>;
  /** Texts in which a variable is missing, by `pathKey`, with its name. */
  readonly missing: ReadonlyMap<string, { readonly path: Path; readonly name: string }>;
}

export function substituteVariables(value: unknown, env: Env): Substituted {
  const filled = new Set<string>();
  const missing = new Map<string, { path: Path; name: string }>();

  const walk = (node: unknown, at: Path): unknown => {
    if (typeof node === "string") return fill(node, at);
    if (Array.isArray(node)) return node.map((item, index) => walk(item, [...at, index]));
    if (!isMap(node)) return node;
    return Object.fromEntries(Object.entries(node).map(([name, child]) => [name, walk(child, [...at, name])]));
  };
  const fill = (text: string, at: Path): string =>
    text.replaceAll(reference, (whole, literal: string, name: string) => {
      if (literal !== "") return whole.slice(1);
      const found = env[name];
      if (found) {
        filled.add(pathKey(at));
        return found;
      }
      missing.set(pathKey(at), { path: at, name });
      return whole;
    });

  return { value: walk(value, []), filled, missing };
}

/** The environment, with what it lacks taken from `<stateDir>/.env` and then from `env.vars` of the file. */
export async function readVariables(env: Env, stateDir: string, authored: unknown): Promise<Env> {
  const text = await readText(path.join(stateDir, ".env"));
  const fromFile = text === undefined ? {} : parseEnv(text);
  const vars = isMap(authored) && isMap(authored["env"]) ? authored["env"]["vars"] : undefined;
  const variables = new Map<string, string>();
  for (const layer of [isMap(vars) ? vars : {}, fromFile, env]) {
    for (const [name, value] of Object.entries(layer)) {
      if (typeof value === "string" && value !== "") variables.set(name, value);
    }
  }
  return Object.fromEntries(variables);
}
