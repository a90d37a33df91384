/**
 * Changes the configuration file: the text that comes of it, with what a person wrote around it, and its safe place on the disk.
 *
 *   read ──► edit (edit.ts, edits.ts) ──► checked as a start would ──► <file>.bak ──► <file>.new ──► <file>
 *
 * A crash at any point leaves the old text or the new one under the name. Source: behaviour §1.1, §1.2.
 */
import { createHash } from "node:crypto";
import { chmod, mkdir, realpath, stat } from "node:fs/promises";
import { dirname } from "node:path";
import { failure } from "../kernel/errors.ts";
import { limits } from "../kernel/limits.ts";
import { editText } from "./file/edit.ts";
import { parseSource, readText } from "./file/source.ts";
import { writeAtomically } from "./file/write.ts";
import { isMap } from "./is-map.ts";
import { formatPath, type Path } from "./issue.ts";
import { restoreMarks } from "./secrets.ts";

/** What the file holds, as it is written. */
export interface Authored {
  readonly file: string;
  /** Undefined: there is no file. */
  readonly text: string | undefined;
  /** Of the text; a change names it as its base. */
  readonly hash: string;
}

export type FileChange =
  /** All of the file. */
  { readonly raw: string } | { readonly edit: (value: unknown) => unknown };

export interface ChangedText {
  readonly text: string;
  /** Comments and form were lost, because the text could not be edited in place. */
  readonly isRewritten: boolean;
  /** What would be lost, where that is a mistake more often than not. */
  readonly lost: string | undefined;
}

export async function readAuthored(file: string): Promise<Authored> {
  const text = await readText(file);
  return { file, text, hash: hashText(text) };
}

export const hashText = (text: string | undefined): string =>
  createHash("sha256")
    .update(text ?? "")
    .digest("hex");

/** @throws CLOISTER_CONFIG_UNREADABLE */
export function parseText(name: string, text: string): unknown {
  return parseSource(name, text).value;
}

/** The value before `$include`, variables and defaults. @throws CLOISTER_CONFIG_UNREADABLE */
export function valueOf({ file, text }: Authored): unknown {
  return text === undefined ? {} : parseSource(file, text).value;
}

/**
 * The text after the change, with the secrets in the places of their marks. @throws CLOISTER_REQUEST_INVALID,
 * CLOISTER_CONFIG_UNREADABLE when the change, or what it changes, is no JSON5.
 */
export function changeText(authored: Authored, change: FileChange): ChangedText {
  const { file, text = "{}\n" } = authored;
  if ("raw" in change) {
    const wanted = parseText("the new configuration", change.raw);
    const before = isReadable(authored) ? valueOf(authored) : {};
    const restored = restoreMarks(wanted, before);
    const made = editText(change.raw, wanted, restored);
    return { ...made, lost: whatIsLost(authored, before, restored, made.text) };
  }
  const before = valueOf(authored);
  const after = restoreMarks(change.edit(before), before);
  for (const path of includesOf(before))
    if (JSON.stringify(at(after, path)) !== JSON.stringify(at(before, path)))
      throw failure(
        "CLOISTER_REQUEST_INVALID",
        `${formatPath(path.slice(0, -1))} comes from a file that ${file} includes, and is not changed through it`,
        "change the included file, or replace the whole configuration (config.apply)",
      );
  const made = editText(text, before, after);
  return { ...made, lost: whatIsLost(authored, before, after, made.text) };
}

const gatewayMode = (value: unknown): unknown => at(value, ["gateway", "mode"]);

function whatIsLost({ text: old }: Authored, before: unknown, after: unknown, text: string): string | undefined {
  if (!isMap(after))
    throw failure("CLOISTER_REQUEST_INVALID", "the new configuration is not a map { … }", "give all of it");
  if (old === undefined) return undefined;
  if (gatewayMode(before) !== undefined && gatewayMode(after) === undefined) return "gateway.mode would be lost";
  return old.length >= limits.configGuardCharsMin && text.length < old.length / 2
    ? `the file would shrink from ${old.length} to ${text.length} characters`
    : undefined;
}

/** Puts the text in the place of the old one, which is kept as `<file>.bak`; a first one gets its folder as well. Of a link, what it points to is replaced. */
export async function writeAuthored({ file, text: before }: Authored, text: string): Promise<void> {
  // On a new machine nothing is there yet, and no start of the gateway has made it.
  if (before === undefined) await mkdir(dirname(file), { recursive: true, mode: 0o700 });
  const real = before === undefined ? file : await realpath(file);
  const mode = before === undefined ? 0o600 : (await stat(real)).mode & 0o777;
  if (before !== undefined) await writeAtomically(`${real}.bak`, before, mode);
  await writeAtomically(real, text, mode);
  await chmod(real, mode);
}

function isReadable(authored: Authored): boolean {
  try {
    valueOf(authored);
    return true;
  } catch {
    return false;
  }
}

/** Where the value names files to include. */
export function includesOf(value: unknown, path: Path = []): Path[] {
  if (Array.isArray(value)) return value.flatMap((item, index) => includesOf(item, [...path, index]));
  if (!isMap(value)) return [];
  return Object.entries(value).flatMap(([name, child]) =>
    name === "$include" ? [[...path, name]] : includesOf(child, [...path, name]),
  );
}

function at(value: unknown, path: Path): unknown {
  return path.reduce<unknown>(
    (node, part) => (typeof node === "object" && node !== null ? Reflect.get(node, part) : undefined),
    value,
  );
}
