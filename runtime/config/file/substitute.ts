/**
 * `${NAME}` in the texts of the configuration becomes the value of a variable; `$${NAME}` stands for the text `${NAME}`.
 * A variable that is unset or empty leaves the text as it is: the gateway starts, warns, and whoever needs the value
 * treats it as not configured. Source: behaviour §1.1.
 */
import path from "node:path";
import { parseEnv } from "node:util";
import { normalizeAgentId } from "../../routing/ids.ts";
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
  /** The values that were put in, with the names of their variables: messages about other keys do not show them either. */
  readonly values: ReadonlyMap<string, string>;
  /** Texts in which a variable is missing, by `pathKey`, with its name. */
  readonly missing: ReadonlyMap<string, { readonly path: Path; readonly name: string }>;
}

export function substituteVariables(value: unknown, env: Env): Substituted {
  const filled = new Set<string>();
  const values = new Map<string, string>();
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
        values.set(found, name);
        return found;
      }
      missing.set(pathKey(at), { path: at, name });
      return whole;
    });

  return { value: walk(value, []), filled, values, missing };
}

/** Shorter ones are no secrets, and would be found in any text. */
const hiddenCharsMin = 4;

/** Of what has no letter or digit the id is a usual one, and tells nothing. */
const idOf = (value: string): readonly string[] => (/[a-z\d]/i.test(value) ? [normalizeAgentId(value)] : []);

/** The text with `${NAME}` where it quotes the value of a variable, also as JSON or as the id that is made of it, in whatever case. */
export function hideVariables(text: string, values: Substituted["values"]): string {
  const names = new Map(
    [...values]
      .filter(([value]) => value.length >= hiddenCharsMin)
      .flatMap(([value, name]) =>
        [value, JSON.stringify(value).slice(1, -1), ...idOf(value)].map((form) => [form.toLowerCase(), name]),
      ),
  );
  if (names.size === 0) return text;
  const longestFirst = [...names.keys()].toSorted((a, b) => b.length - a.length);
  const any = longestFirst.map((form) => form.replaceAll(/[$()*+.?[\\\]^{|}]/g, "\\$&")).join("|");
  return text.replaceAll(new RegExp(any, "gi"), (found) => `\${${names.get(found.toLowerCase()) ?? ""}}`);
}

/** The environment, with what it lacks taken from `<stateDir>/.env` and then from `env.vars` of the file. */
export async function readVariables(env: Env, stateDir: string, authored: unknown): Promise<Env> {
  return joinVariables(env, await readEnvText(stateDir), authored);
}

export function readEnvText(stateDir: string): Promise<string | undefined> {
  return readText(path.join(stateDir, ".env"));
}

/** As `readVariables`; `text` is what `<stateDir>/.env` holds. */
export function joinVariables(env: Env, text: string | undefined, authored: unknown): Env {
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
