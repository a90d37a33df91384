/**
 * A8.5: nothing in a module of the program is of "the current agent". One module serves all agents of its thread, so that what it keeps
 * between two calls could reach another agent's: each place that keeps anything is named here, with what it is kept by.
 */
import { describe, expect, test } from "vitest";
import { programFiles, sourceOf } from "./files.ts";
import { findConstants, findVariables, isChanged } from "./module-state.ts";
import { readSource } from "./source-code.ts";

const importsName = (code: string, name: string): boolean =>
  [...code.matchAll(/^import\s*\{([^}]*)\}/gm)].some(([, names = ""]) =>
    names.split(",").some(
      (one) =>
        one
          .trim()
          .replace(/^type\s+/, "")
          .split(/\s+as\s+/)[0] === name,
    ),
  );

/** `file name` of each module state. */
const found = programFiles.flatMap((file) => {
  const own = sourceOf(file).code;
  const kept = findConstants(own).filter(
    ({ name, exported }) =>
      isChanged(own, name) ||
      (exported &&
        programFiles
          .map((other) => sourceOf(other).code)
          .some((code) => importsName(code, name) && isChanged(code, name))),
  );
  return [...kept.map(({ name }) => name), ...findVariables(own)].map((name) => `${file} ${name}`);
});

/** What each keeps. A cell runs one agent and nothing else: what is in its thread is of that agent, and ends with it. */
const allowed: Readonly<Record<string, string>> = {
  "actors/assistant/bootstrap.ts days": "in a cell: a format of dates by the name of its zone",
  "actors/assistant/conversation.ts sizes": "in a cell: the size of a message, by that message",
  "channels/web/page/browser.ts forgetful": "in a browser that keeps nothing: what its one user chose",
  "channels/web/page/device-key.ts found": "in a browser: the key of that device",
  "channels/whatsapp/library.ts loaded": "the library as its folder has it, in the thread of its channel",
  "runtime/config/file/lines.ts token": "the place of a search, set before each",
  "runtime/config/schema/note.ts notes": "notes of the schema, made with it",
  "runtime/config/suggest.ts lists": "the keys of a schema, by that schema",
  "runtime/config/timezone.ts found": "the machine's timezone, which does not change",
  "runtime/launcher/orphans.ts asked": "who waits for commands to be ended, by their own names",
  "runtime/launcher/orphans.ts isLooking": "whether processes of the machine are looked at now",
  "runtime/readers/scrub.ts argumentsForm": "the place of a search, set before each",
  "runtime/store/lmdb/blob-folder.ts writes": "a number that makes names of temporary files differ",
  "runtime/store/memory-environment.ts files": "of tests and of runs without a disk: by the disk, then by the folder",
  "runtime/supervisor/active-hours.ts clocks": "a format of times by the name of its zone",
  "runtime/supervisor/tools/specs.ts known": "the description of a tool's parameters, by their schema",
  "runtime/testing/actor-world.ts loaded": "in an author's test: what any cell starts with, read once",
  "runtime/testing/cell-senses.ts made": "in an author's test: a number that makes names of blocks differ",
  "runtime/thread/cell/bootstrap.ts mailbox": "in a cell: its own end of the port",
  "runtime/thread/cell/bootstrap.ts runner": "in a cell: what runs its turns",
  "runtime/thread/cell/bootstrap.ts threads":
    "in a cell, before its code is loaded: takes from a port what agents may not use",
  "runtime/thread/cell/steps.ts running": "in a cell: whether the code that asks is inside of a step",
  "runtime/thread/cell/tools.ts last": "in a cell: the list of tools that it was told last",
  "runtime/thread/cell/tools.ts texts": "in a cell: the text of each list of tools, by that list",
  "runtime/thread/cell-parent-main.ts running": "in the parent of cells' processes: its children",
  "runtime/thread/process-main.ts body": "in the process of one cell: that cell",
  "runtime/thread/process-main.ts profile": "in the process of one cell: how to look at it when it is stuck",
  "runtime/thread/thread-cell.ts launched": "a number that makes names of threads differ",
  "runtime/tools/exec/launch.ts images": "whether an image of the configuration is made, by its name",
};

describe("A8.5: what modules keep between calls", () => {
  test("is in these places alone, and none of it is of a current agent", () => {
    const remedy =
      "keep it in what the caller makes; what is of no agent is named in `allowed` with what it is kept by";
    expect(found.toSorted(), remedy).toEqual(Object.keys(allowed).toSorted());
  });
});

describe("state of a module", () => {
  const stateOf = (text: string): readonly string[] => {
    const { code } = readSource(text);
    return [
      ...findVariables(code),
      ...findConstants(code).flatMap(({ name }) => (isChanged(code, name) ? [name] : [])),
    ];
  };

  test.each([
    "let kept = 0;",
    "export let kept: string | undefined;",
    "const kept = new Map<string, Agent>();\nfunction f() {\n  kept.set(agentId, 1);\n}",
    "const kept: { agent?: string } = {};\nfunction f(id: string) {\n  kept.agent = id;\n}",
    "const kept: string[] = [];\nfunction f(id: string) {\n  kept[0] = id;\n}",
    "const kept = { calls: 0 };\nconst f = () => ++kept.calls;",
    "const kept = { calls: 0 };\nconst f = () => kept.calls++;",
    "const kept = { calls: 0 };\nconst f = () => {\n  kept.calls ??= 1;\n};",
    "const kept = {};\nconst f = (id: string) => Object.assign(kept, { id });",
    "const kept = new AsyncLocalStorage<string>();\nconst f = (id: string) => kept.run(id, work);",
    "class Desk {\n  static kept = new Map<string, string>();\n}",
    "class Desk {\n  private static kept?: string;\n}",
    "function f(id: string) {\n  globalThis.kept = id;\n}",
  ])("is found: %s", (text) => {
    expect(stateOf(text)).toEqual(["kept"]);
  });

  test.each([
    "const table: ReadonlyMap<string, string> = new Map([]);\nconst f = (key: string) => table.get(key);",
    "function f() {\n  let mine = 0;\n  const own = new Map();\n  own.set(1, mine);\n}",
    "// let kept = 0;\nconst text = `let kept = 0;`;",
    "class Desk {\n  static readonly size = 3;\n  static make() {}\n  static async open() {}\n  #kept = 0;\n}",
    "const row = { a: 1 };\nconst f = () => row.a === 1 && other.row.a;\nconst g = () => ({ ...row, a: 2 });",
    "const row = { a: 1 };\nfunction f(other: Row) {\n  other.row.a = 2;\n}",
    "const kept = {};\nconst same = globalThis.kept === kept;",
  ])("is not: %s", (text) => {
    expect(stateOf(text)).toEqual([]);
  });
});
