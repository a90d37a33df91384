/** What is said of a module that cannot be loaded: the file, what is wrong, and what to do; each from a real cell. */
import { mkdtempSync, realpathSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { describe, expect, test } from "vitest";
import { isCoded } from "../../runtime/kernel/errors.ts";
import { exportedTypes, exportedValues } from "../../runtime/testing/explain-module.ts";
import { openActorKit } from "../../runtime/testing/index.ts";
import { runProgram } from "../../runtime/cli/program.ts";
import { readText } from "../repo/files.ts";
import { findCodeBlocks } from "../repo/markdown.ts";
import { makeContext, makeFakeTerminal } from "../unit/cli/fake-terminal.ts";

const folder = realpathSync(mkdtempSync(path.join(tmpdir(), "cloister-modules-")));
const actor = "export default { message() {} };\n";
writeFileSync(path.join(folder, "actor.ts"), actor);
let files = 0;

function write(text: string): string {
  const file = path.join(folder, `module-${++files}.ts`);
  writeFileSync(file, text);
  return file;
}

const wrong: readonly (readonly [name: string, text: string, found: RegExp, remedy: RegExp])[] = [
  ["no default export", "export const a = 1;", /default export is not an actor/, /^export default defineActor/],
  ["a default export that is none", "export default { handle() {} };", /default export is not an actor/, /defineActor/],
  [
    "a symbol that cloister does not export",
    `import { defineActors } from "cloister";\n${actor}`,
    /imports defineActors from "cloister", which has no such export/,
    /did you mean defineActor\?/,
  ],
  [
    "a type that is imported as a value",
    `import { Context } from "cloister";\nexport default { message(ctx: Context<object>) {} };`,
    /imports Context from "cloister"/,
    /import type \{ Context \} from "cloister"/,
  ],
  [
    "a symbol of another module",
    `import { x } from "./actor.ts";\n${actor}`,
    /imports x from "\.\/actor\.ts"/,
    /import type/,
  ],
  ["an enum", `enum A { b }\n${actor}`, /TypeScript enum cannot be erased \(.*module-\d+\.ts:1\)/, /union of texts/],
  [
    "a parameter property",
    `class A { constructor(readonly b: number) {} }\n${actor}`,
    /TypeScript parameter property cannot be erased/,
    /assign it in the constructor/,
  ],
  [
    "a namespace",
    `namespace A { export const b = 1; }\n${actor}`,
    /namespace declaration cannot be erased/,
    /module of its own/,
  ],
  [
    "an import that a cell may not have",
    `import "node:net";\n${actor}`,
    /imports "node:net", which a confined cell may not have/,
    /trusted/,
  ],
  ["the network while it loads", `await fetch("http://x");\n${actor}`, /globalThis\.fetch/, /ctx\.tools/],
  [
    "a file while it loads",
    `import { readFileSync } from "node:fs";\nreadFileSync("/proc/version");\n${actor}`,
    /a file, a thread or a program/,
    /ctx\.workspace/,
  ],
  [
    "a package that is not there",
    `import "not-a-package";\n${actor}`,
    /package "not-a-package", which is not installed/,
    /npm install not-a-package/,
  ],
  [
    "what is for tests",
    `import "cloister/testing";\n${actor}`,
    /more of cloister than an actor may have/,
    /imported by the test/,
  ],
  ["a file that is not there", `import "./none.ts";\n${actor}`, /imports .*none\.ts, which is not there/, /its ending/],
  ["a loop while it loads", "for (;;);", /ended while it was loaded: hung/, /in a turn/],
  ["what it throws", 'throw new Error("no luck today");', /no luck today/, /correct what the message says/],
  ["what is no JavaScript", "export default { message( { };", /module-\d+\.ts:1/, /correct what the message says/],
];

describe("A15.1: a module that cannot be loaded is refused with what to do", () => {
  test.each(wrong)("%s", async (_name, text, found, remedy) => {
    const file = write(text);
    const refused: unknown = await openActorKit(file).then(
      () => "it was loaded",
      (error: unknown) => error,
    );
    if (!isCoded(refused)) throw new Error(String(refused));
    expect(refused.code).toBe("CLOISTER_MODULE_INVALID");
    expect(refused.message).toContain(`${file} cannot be loaded as an actor: `);
    expect(refused.message).toMatch(found);
    expect(refused.remedy).toMatch(remedy);
  });

  test("a file that is not there, and a folder", async () => {
    for (const file of [path.join(folder, "none.ts"), folder])
      await expect(openActorKit(file)).rejects.toMatchObject({
        message: expect.stringContaining("there is no such file"),
      });
  });

  test("and what is said of `cloister` is what it exports", () => {
    const door = readText("actors/index.ts");
    const named = (pattern: RegExp): readonly string[] =>
      [...door.matchAll(pattern)]
        .flatMap(([, names = ""]) => names.split(",").map((name) => name.trim()))
        .filter((name) => name !== "");
    expect(named(/export type \{([^}]+)\}/g)).toEqual(exportedTypes);
    expect(named(/export \{([^}]+)\}/g)).toEqual(exportedValues);
  });
});

describe("A15.1: `cloister actor check`", () => {
  const run = async (...args: readonly string[]): Promise<{ readonly code: number; readonly out: string }> => {
    const terminal = makeFakeTerminal();
    const code = await runProgram({ ...makeContext(folder, terminal), cwd: process.cwd() }, [
      "actor",
      "check",
      ...args,
    ]);
    return { code, out: terminal.outText() };
  };
  const echo = write(
    'import { defineActor } from "cloister";\nexport default defineActor({ async message(ctx, { text }) {\n' +
      'ctx.reply(`${ctx.agent.options["x"]} ${await ctx.model.text("m")} ${(await ctx.request("raul", text)).text}`); } });\n',
  );

  test("without a word says that the module loads, and refuses one that does not", async () => {
    const before = process.cwd();
    expect(await run(echo)).toMatchObject({ code: 0, out: expect.stringContaining(`${echo} loads as an actor`) });
    await expect(run(write("export {};"))).rejects.toMatchObject({ code: "CLOISTER_MODULE_INVALID" });
    await expect(run(echo, "--beside", "raul")).rejects.toMatchObject({ code: "CLOISTER_REQUEST_INVALID" });
    expect(process.cwd()).toBe(before);
  });

  test("prints the conversation and one line for each point", async () => {
    const talk = ["--say", "hi", "--options", '{"x":1}', "--model-says", "ok", "--beside", "raul=yes"];
    const { code, out } = await run(echo, ...talk);
    expect(code).toBe(0);
    expect(out.trim().split("\n")).toEqual([
      "> hi",
      "< 1 ok yes",
      ...["the result of the model", "the message to agent:raul:main", "the end of the turn"].flatMap((what) => [
        `ok        line 1, before ${what}`,
        `ok        line 1, after ${what}`,
      ]),
      "passed: 1 turns, 6 crashes, 0 with a fault",
    ]);
    const json = await run(echo, ...talk, "--json");
    expect(JSON.parse(json.out)).toMatchObject({ ok: true, module: echo, faults: [], points: { length: 6 }, left: 0 });
  });

  test("prints what the guide shows", async () => {
    const guide = findCodeBlocks(readText("docs/guides/write-an-actor.md"));
    const [shopping] = guide.filter(({ kind }) => kind[1] === "actor");
    const [shown] = guide.filter(({ kind, text }) => kind[0] === "text" && text.startsWith("> add milk"));
    const { out } = await run(write(shopping?.text ?? ""), "--say", "add milk", "--say", "list");
    expect(out.trim()).toBe(shown?.text.trim());
  });

  test("ends with 1 when something is wrong", async () => {
    const faulty = write('export default { async message(ctx) { await ctx.workspace.append("a", "b"); } };');
    const { code, out } = await run(faulty, "--say", "x");
    expect(code).toBe(1);
    expect(out).toContain(
      'FAULT     line 1, before the end of the turn\n          line 1: the file a has "bb" instead of "b"',
    );
    expect(out).toContain("failed: 1 turns, 2 crashes, 1 with a fault");
  });
});
