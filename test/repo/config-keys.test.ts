/**
 * No key of the configuration is accepted in silence: each one is read by its name in the program, beside what it stands in, or says in the schema that it has no effect
 * (`later`, `inert`: told at start, by `cloister doctor` and `cloister config validate`), or is a name for people. And what the resolved configuration has is read by somebody outside of it.
 */
import { expect, test } from "vitest";
import { configSchema } from "../../runtime/config/schema.ts";
import { listRows } from "../unit/config/reference.ts";
import { programFiles, sourceOf, under } from "./files.ts";

/** What nothing reads, on purpose, and why. */
const readByNobody: Readonly<Record<string, string>> = {
  "channels.discord.guilds.<name>.slug": "a name for people",
  "channels.discord.accounts.<name>.guilds.<name>.slug": "a name for people",
};
/** A name that more files use says nothing by itself. */
const filesOfOwnName = 12;

interface Reader {
  /** Names in the code, and those of the file's path: the accounts of a channel are read in a file of its name. */
  readonly words: ReadonlySet<string>;
  readonly says: ReadonlySet<string>;
}

const wordsOf = (text: string): readonly string[] => text.match(/[A-Za-z_$][\w$]*/g) ?? [];

const readersOf = (files: readonly string[]): readonly Reader[] =>
  files.map((file) => {
    const { code, strings } = sourceOf(file);
    return {
      words: new Set([...wordsOf(code), ...wordsOf(file.replace(/\.ts$/, ""))]),
      says: new Set(strings),
    };
  });

const isPage = (file: string): boolean => under(file, "channels/web/page");
const outside = programFiles.filter((file) => !under(file, "runtime/config") && !isPage(file));
const readers = readersOf(
  programFiles.filter(
    (file) => !under(file, "runtime/config/schema") && file !== "runtime/config/resolved.ts" && !isPage(file),
  ),
);

/** The keys that have a value of their own: what has keys below it is read with them. */
function leavesOf(rows: ReturnType<typeof listRows>): readonly string[] {
  const paths = rows.filter(({ active }) => active === "yes").map(({ path }) => path);
  return paths.filter((path) => !paths.some((other) => other.startsWith(`${path}.`) || other.startsWith(`${path}[].`)));
}

/** Whether some file of the program reads a key of this name where it knows what the key stands in. */
function isRead(path: string): boolean {
  const names = path
    .replaceAll("[]", "")
    .split(".")
    .filter((name) => name !== "<name>");
  const leaf = names.at(-1) ?? "";
  const around = names.slice(0, -1).slice(-2);
  const having = readers.filter(({ words }) => words.has(leaf));
  if (having.length === 0) return false;
  if (around.length === 0 || having.length <= filesOfOwnName) return true;
  return having.some(({ words }) => around.some((name) => words.has(name)));
}

test("each key of the configuration is read somewhere, or says that it has no effect", () => {
  const leaves = leavesOf(listRows(configSchema));
  expect(leaves.length).toBeGreaterThan(900);
  expect(leaves.filter((path) => !isRead(path))).toEqual(Object.keys(readByNobody));
});

test("a key that nothing reads is found, also one whose name others have", () => {
  expect(isRead("hooks.noSuchKey")).toBe(false);
  expect(isRead("gateway.noSuchThing.<name>.noneEither.enabled")).toBe(false);
  expect(isRead("hooks.maxBodyBytes")).toBe(true);
  expect(isRead("channels.irc.accounts.<name>.username")).toBe(true);
});

test("what the resolved configuration has is read outside of it", () => {
  const names = [...sourceOf("runtime/config/resolved.ts").code.matchAll(/readonly (\w+)\??:/g)].map(
    ([, name = ""]) => name,
  );
  expect(names.length).toBeGreaterThan(200);
  const users = readersOf(outside);
  const unread = [...new Set(names)].filter(
    (name) => !users.some(({ words, says }) => words.has(name) || says.has(name)),
  );
  expect(unread).toEqual([]);
});
