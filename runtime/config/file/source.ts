/** One configuration file: read, parsed, with the line of every key. Only regular files of a bounded size are read. */
import { readFile, stat } from "node:fs/promises";
import JSON5 from "json5";
import { failure } from "../../kernel/errors.ts";
import { limits } from "../../kernel/limits.ts";
import { isMap } from "../is-map.ts";
import { findLines, type Lines } from "./lines.ts";

export interface Source {
  readonly file: string;
  readonly text: string;
  readonly value: unknown;
  readonly lines: Lines;
}

/** What files hold, by their absolute path, instead of what is on the disk; undefined: there is no such file. */
export type Texts = ReadonlyMap<string, string | undefined>;

/** Throws `CLOISTER_CONFIG_UNREADABLE`; undefined when there is no such file. */
export async function readSource(file: string, texts: Texts = new Map()): Promise<Source | undefined> {
  const given = texts.get(file);
  // What is to be written is held to what can be read again.
  if (given !== undefined) checkSize(file, Buffer.byteLength(given));
  const text = texts.has(file) ? given : await readText(file);
  return text === undefined ? undefined : parseSource(file, text);
}

/** Throws `CLOISTER_CONFIG_UNREADABLE` when the text is no JSON5, or nested too deep. */
export function parseSource(file: string, text: string): Source {
  let value: unknown;
  try {
    value = JSON5.parse(text);
  } catch (error) {
    const { lineNumber, columnNumber } = isMap(error) ? error : {};
    const place = `${file}:${String(lineNumber)}:${String(columnNumber)}`;
    throw unreadable(
      `${place} is not valid JSON5: ${describeSyntax(error)}`,
      `Correct line ${String(lineNumber)} of ${file}.`,
    );
  }
  const lines = findLines(text, limits.configNestingMax);
  if (lines.tooDeepLine !== undefined) {
    throw unreadable(
      `${file}:${lines.tooDeepLine} is nested deeper than ${limits.configNestingMax} levels`,
      "Flatten the file; no setting is nested that deep.",
    );
  }
  return { file, text, value, lines };
}

function checkSize(file: string, bytes: number): void {
  if (bytes > limits.configBytesMax)
    throw unreadable(
      `${file} has ${bytes} bytes; at most ${limits.configBytesMax} are read`,
      "Move parts of it into files and include them with $include.",
    );
}

/** The text of a regular file; undefined when there is none. */
export async function readText(file: string): Promise<string | undefined> {
  try {
    // Asked before it is opened: opening a named pipe would wait until somebody writes to it.
    const found = await stat(file);
    if (!found.isFile()) throw unreadable(`${file} is not a regular file`, "Put a regular file there.");
    checkSize(file, found.size);
    return await readFile(file, "utf8");
  } catch (error) {
    const code = isMap(error) ? error["code"] : undefined;
    if (code === "ENOENT" || code === "ENOTDIR") return undefined;
    if (code === "CLOISTER_CONFIG_UNREADABLE") throw error;
    throw unreadable(
      `${file} cannot be read (${String(code)})`,
      "Check the permissions of the file and its directory.",
      error,
    );
  }
}

/** The parser's sentence without its name and place. It quotes single characters only, never a value. */
function describeSyntax(error: unknown): string {
  return (error instanceof Error ? error.message : String(error)).replace(/^JSON5: /, "").replace(/ at \d+:\d+$/, "");
}

function unreadable(found: string, remedy: string, cause?: unknown): Error {
  return failure("CLOISTER_CONFIG_UNREADABLE", `Reading the configuration: ${found}.`, remedy, cause);
}
