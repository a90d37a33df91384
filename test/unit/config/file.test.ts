import { mkdir, symlink, writeFile } from "node:fs/promises";
import path from "node:path";
import { describe, expect, it } from "vitest";
import { findPaths, loadConfig } from "../../../runtime/config/index.ts";
import { limits } from "../../../runtime/kernel/limits.ts";
import { failureOf, loadText, makeHome, refusalOf } from "./load-text.ts";

const unreadable = (message: RegExp) => ({
  code: "CLOISTER_CONFIG_UNREADABLE",
  message: expect.stringMatching(message),
  remedy: expect.any(String),
});

/** Files that include each other in a row, the last one with a port. */
const chainOf = (depth: number) => ({
  ...Object.fromEntries(
    Array.from({ length: depth }, (_, index) => [`${index + 1}.json5`, `{ $include: "${index + 2}.json5" }`]),
  ),
  [`${depth}.json5`]: "{ port: 7 }",
});

/** The name of an agent, with its variables filled in. */
const filledName = (name: string, env: Record<string, string>, files: Record<string, string> = {}) =>
  loadText(
    { agents: { list: [{ id: "a", name }] }, env: { vars: { LOW: "vars", ONLY: "only" } } },
    { env, files },
  ).then(({ resolved }) => resolved.agents[0]?.name);

describe("the file", () => {
  it("is JSON5: comments, trailing commas, bare keys, single quotes", async () => {
    const { resolved } = await loadText("// hello\n{ agents: { list: [ { id: 'ana', }, ], }, $schema: 'x', }");
    expect(resolved.defaultAgentId).toBe("ana");
  });

  it.each([
    [
      "a syntax error",
      "{\n  agents: {\n    list: [}\n",
      /cloister\.json:3:12 is not valid JSON5: invalid character '\}'/,
    ],
    ["an end too early", "{ agents: {", /cloister\.json:1:12 is not valid JSON5: invalid end of input/],
    ["nothing", "", /is not valid JSON5/],
    [
      "too much nesting",
      `{ x:\n${"[".repeat(limits.configNestingMax)}${"]".repeat(limits.configNestingMax)} }`,
      /cloister\.json:2 is nested deeper/,
    ],
    ["too many bytes", `/*${"x".repeat(limits.configBytesMax)}*/ {}`, /bytes; at most/],
  ])("is refused with its place: %s", async (_what, text, message) => {
    expect(await failureOf(text)).toMatchObject(unreadable(message));
  });

  it("survives brackets without end", async () => {
    expect(await failureOf("[".repeat(500_000))).toMatchObject(unreadable(/is not valid JSON5/));
  });

  it("has to be there when somebody named it, and has to be a file", async () => {
    const homeDir = await makeHome();
    const load = async (configPath: string) =>
      loadConfig({ ...(await findPaths({ env: {}, homeDir, flags: { configPath } })), env: {} });
    await expect(load(path.join(homeDir, "gone.json"))).rejects.toMatchObject(
      unreadable(/gone\.json was named and does not exist/),
    );
    await expect(load(homeDir)).rejects.toMatchObject(unreadable(/is not a regular file/));
  });

  it("may be a link to a file, as configurations kept elsewhere are", async () => {
    const homeDir = await makeHome();
    await mkdir(path.join(homeDir, ".cloister"));
    await writeFile(path.join(homeDir, "mine.json5"), "{ gateway: { port: 7 } }");
    await symlink(path.join(homeDir, "mine.json5"), path.join(homeDir, ".cloister", "cloister.json"));
    const loaded = await loadConfig({ ...(await findPaths({ env: {}, homeDir })), env: {} });
    expect(loaded.draft.config.gateway.port).toBe(7);
  });
});

describe("$include", () => {
  it("takes in files, nested, each relative to the one that names it", async () => {
    const { resolved } = await loadText(
      '{ agents: { $include: "parts/agents.json5" }, gateway: { $include: "./port.json5" } }',
      {
        files: {
          "parts/agents.json5": '{ list: [ { $include: "one/ana.json5" }, { id: "raul" } ] }',
          "parts/one/ana.json5": '{ id: "ana", name: "Ana" }',
          "port.json5": "{ port: 7 }",
        },
      },
    );
    expect(resolved.agents.map(({ name }) => name)).toEqual(["Ana", "raul"]);
    expect(resolved.gateway.port).toBe(7);
  });

  it("merges several files in order, and what stands beside it goes before them", async () => {
    const { resolved } = await loadText(
      '{ $include: ["a.json5", "b.json5"], gateway: { controlUi: { basePath: "/own" } } }',
      {
        files: {
          "a.json5":
            '{ gateway: { port: 1, controlUi: { basePath: "/a", enabled: false } }, agents: { list: [{ id: "a" }] } }',
          "b.json5": '{ gateway: { port: 2 }, agents: { list: [{ id: "b" }] } }',
        },
      },
    );
    expect(resolved.gateway).toMatchObject({ port: 2, controlUi: { basePath: "/own", enabled: false } });
    expect(resolved.agents.map(({ id }) => id)).toEqual(["b"]);
  });

  it("keeps the file and line of what it takes in", async () => {
    const issues = await refusalOf(
      '{\n agents: { $include: "a.json5" },\n gateway: { $include: "g.json5", prt: 1 } }',
      {
        files: { "a.json5": '{\n\n list: [{ id: "a", naem: "A" }] }', "g.json5": "{ mde: 1 }" },
      },
    );
    expect(issues.map(({ path: at, file, line }) => [at, path.basename(file ?? ""), line])).toEqual([
      ["agents.list[0].naem", "a.json5", 3],
      ["gateway.mde", "g.json5", 1],
      ["gateway.prt", "cloister.json", 3],
    ]);
  });

  it.each([
    [
      "a circle",
      '{ agents: { $include: "a.json5" } }',
      { "a.json5": '{ $include: "b.json5" }', "b.json5": '{ $include: "./a.json5" }' },
      "agents",
      /include each other: .*a\.json5 → .*b\.json5 → .*a\.json5/,
      /out of the circle/,
    ],
    ["itself", '{ $include: "cloister.json" }', {}, "(root)", /include each other/, /circle/],
    [
      "a file that is not there",
      '{ agents: { list: [ { $include: "gone.json5" }, ] } }',
      {},
      "agents.list[0]",
      /gone\.json5 does not exist/,
      /relative to the including file/,
    ],
    ["a directory", '{ agents: { $include: "." } }', {}, "agents", /not a regular file/, /regular file/],
    [
      "a file with a syntax error",
      '{ agents: { $include: "bad.json5" } }',
      { "bad.json5": "{\n[" },
      "agents",
      /bad\.json5:2:1/,
      /Correct line 2/,
    ],
    ["no file name", "{ agents: { $include: 7 } }", {}, "agents", /must be a file name/, /\$include/],
    [
      "a list beside keys",
      '{ bindings: { $include: "l.json5", x: 1 } }',
      { "l.json5": "[]" },
      "bindings",
      /each holds a map/,
      /alone/,
    ],
  ])("refuses %s", async (_what, text, files, at, message, remedy) => {
    const [issue] = await refusalOf(text, { files });
    expect(issue).toMatchObject({
      path: at,
      message: expect.stringMatching(message),
      remedy: expect.stringMatching(remedy),
      line: expect.any(Number),
    });
  });

  it("is followed ten levels deep, and not eleven", async () => {
    const text = '{ gateway: { $include: "1.json5" } }';
    expect((await loadText(text, { files: chainOf(10) })).resolved.gateway.port).toBe(7);
    const [issue] = await refusalOf(text, { files: chainOf(11) });
    expect(issue).toMatchObject({ path: "gateway", message: expect.stringMatching(/depth 11; at most 10/) });
  });

  it("does not multiply without bound", async () => {
    const many = JSON.stringify(Array.from({ length: 10 }, () => "b.json5"));
    const issues = await refusalOf(`{ $include: ${many} }`, {
      files: { "b.json5": `{ $include: ${many.replaceAll("b.json5", "c.json5")} }`, "c.json5": "{}" },
    });
    expect(issues[0]?.message).toMatch(/more than 100 files/);
  });
});

describe("variables", () => {
  it.each([
    ["${A}", { A: "x" }, "x"],
    ["<${A}${B_2}>", { A: "x", B_2: "y" }, "<xy>"],
    ["$${A} ${A}", { A: "x" }, "${A} x"],
    ["${A}", { A: "${B}", B: "y" }, "${B}"],
    ["${a} $A ${A-1}", { a: "x", A: "y" }, "${a} $A ${A-1}"],
    ["${GONE} ${EMPTY}", { EMPTY: "" }, "${GONE} ${EMPTY}"],
    ["${ONLY}", {}, "only"],
  ])("fill in %j", async (text, env, expected) => {
    expect(await filledName(text, env)).toBe(expected);
  });

  it("come from the environment, then .env of the state directory, then env.vars", async () => {
    const files = { ".env": 'LOW=file\nTOP="file"\n# comment\n' };
    expect(await filledName("${LOW} ${TOP}", {}, files)).toBe("file file");
    expect(await filledName("${LOW} ${TOP}", { TOP: "env" }, files)).toBe("file env");
    expect(await filledName("${LOW}", { LOW: "" })).toBe("vars");
  });

  it("give the gateway its token from .env too", async () => {
    const { resolved } = await loadText({}, { files: { ".env": "CLOISTER_GATEWAY_TOKEN=t\n" } });
    expect(resolved.gateway.auth).toEqual({ mode: "token", secret: "t" });
  });

  it("leave the text as it is where one is missing, and warn", async () => {
    const { resolved } = await loadText({ agents: { list: [{ id: "a", name: "${GONE}" }] } });
    expect(resolved.agents[0]?.name).toBe("${GONE}");
    expect(resolved.warnings).toEqual([
      expect.objectContaining({
        path: "agents.list[0].name",
        message: expect.stringMatching(/GONE, which is not set/),
      }),
    ]);
  });

  it("do not reach into keys", async () => {
    const [issue] = await refusalOf({ "${A}": 1 }, { env: { A: "agents" } });
    expect(issue?.path).toBe('["${A}"]');
  });
});
