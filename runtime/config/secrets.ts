/**
 * Values of the file that are not shown: each is replaced by a mark, and a change that comes back with the mark gets the value again.
 * The mark is the one that existing clients know.
 */
import { failure } from "../kernel/errors.ts";
import { isMap } from "./is-map.ts";
import { formatPath, type Path } from "./issue.ts";

export const redactionMark = "__OPENCLAW_REDACTED__";

const secretName =
  /(?:token|password|passwd|passphrase|secret|api[-_]?key|private_?key|credentials?|authorization|cookie)$/i;
/** Of a key or a variable: what it holds is not shown. */
export const isSecretName = (name: string): boolean => secretName.test(name);

/** All of it may be secret, whatever its names are. */
const secretSections: readonly Path[] = [["env", "vars"]];

/** With a mark in the place of every secret. A reference to a variable, or to another place of secrets, is none. */
export function redactValue(value: unknown, path: Path = []): unknown {
  if (typeof value === "string") return isSecret(value, path) ? redactionMark : value;
  if (Array.isArray(value)) return value.map((item, index) => redactValue(item, [...path, index]));
  if (!isMap(value)) return value;
  return Object.fromEntries(Object.entries(value).map(([name, child]) => [name, redactValue(child, [...path, name])]));
}

/** The secrets in the places of their marks. @throws CLOISTER_REQUEST_INVALID when nothing is there to be put back */
export function restoreMarks(value: unknown, current: unknown, path: Path = []): unknown {
  if (value === redactionMark) {
    if (typeof current === "string") return current;
    throw failure(
      "CLOISTER_REQUEST_INVALID",
      `${formatPath(path)} holds the mark of a value that is not shown (${redactionMark}), and there is none to put back`,
      "give the value itself, or leave the key out",
    );
  }
  if (Array.isArray(value))
    return value.map((item, index) => restoreMarks(item, counterpart(item, index, current), [...path, index]));
  if (!isMap(value)) return value;
  const under = isMap(current) ? current : {};
  return Object.fromEntries(
    Object.entries(value).map(([name, child]) => [name, restoreMarks(child, under[name], [...path, name])]),
  );
}

/** The item of the list that was there: by its id, if it has one, else by its place. */
function counterpart(item: unknown, index: number, current: unknown): unknown {
  if (!Array.isArray(current)) return undefined;
  const id = isMap(item) ? item["id"] : undefined;
  if (typeof id !== "string") return current[index];
  return current.find((other: unknown) => isMap(other) && other["id"] === id);
}

function isSecret(value: string, path: Path): boolean {
  if (value === "" || /^\$\{[A-Z_][A-Z0-9_]*\}$/.test(value)) return false;
  const inSection = secretSections.some((section) => section.every((part, index) => path[index] === part));
  const name = path.findLast((part) => typeof part === "string");
  return (
    (inSection && path.length > 2) ||
    isHeader(path) ||
    (typeof name === "string" && secretName.test(name)) ||
    hasLogin(value)
  );
}

/** What a provider of models or an MCP server is given with each call or at its start: a key may be in one of any name. */
function isHeader([section, list, _id, part, ...name]: Path): boolean {
  if (name.length !== 1) return false;
  return section === "models"
    ? list === "providers" && part === "headers"
    : section === "mcp" && list === "servers" && (part === "headers" || part === "env");
}

/** A URL with a name in it, which may be a token, or a password, or with a query that may hold one. */
function hasLogin(value: string): boolean {
  const url = /^[a-z][a-z0-9+.-]*:\/\//i.test(value) ? URL.parse(value) : null;
  return (
    url !== null &&
    (url.username !== "" || url.password !== "" || [...url.searchParams.keys()].some((name) => secretName.test(name)))
  );
}
