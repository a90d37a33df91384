/** The audit trail on the command line: of a gateway that runs, of one that was stopped, and of one whose files were changed. */
import { readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { afterAll, expect, test } from "vitest";
import { openLmdbEnvironment } from "../../runtime/store/lmdb/environment.ts";
import { runLine } from "../support/command-lines.ts";
import { endPrograms, makeStateDir, runCommand, startProgram } from "../support/program.ts";
import { siblings } from "../support/siblings.ts";

afterAll(endPrograms);

const asker = `import { defineActor } from "cloister";
export default defineActor({
  async message(ctx, message) {
    const { text } = await ctx.request("agent:raul:main", message.text);
    ctx.reply(text);
  },
});`;

async function makeHistory() {
  const stateDir = makeStateDir(
    siblings({
      agents: {
        list: [
          { id: "main", default: true, module: "./asker.ts" },
          { id: "raul", module: "echo" },
        ],
      },
    }),
  );
  writeFileSync(path.join(stateDir, "asker.ts"), asker);
  const program = await startProgram(stateDir);
  /** Where the command reads the store itself, it does so in its own process. */
  const run = (...args: string[]) => runCommand(stateDir, args);
  const line = (...args: string[]) => runLine(stateDir, args);
  expect((await line("send", "a secret")).code).toBe(0);
  expect((await line("grants", "add", "raul", "main", "send")).code).toBe(0);
  return { stateDir, program, run, line };
}

test("A12.2, A12.4: who, list, verify and export say the same of a gateway that runs and of one that was stopped", async () => {
  const { stateDir, program, run, line } = await makeHistory();
  const looks = [
    ["audit", "list", "--json"],
    ["audit", "--kind", "grant"],
    ["audit", "list", "--agent", "raul", "--since", "1h", "--limit", "1"],
    ["audit", "verify"],
    ["who", "--agent", "main"],
  ];
  const here = [];
  for (const args of looks) here.push(await line(...args));
  const [list, grants, page, verdict, who] = here;
  expect(JSON.parse(list?.stdout ?? "").rows.map(({ type }: { type: string }) => type)).toEqual([
    "grant_added",
    "message",
    "message",
  ]);
  expect(grants?.stdout).toMatch(/^TIME +ROW +TYPE[^\n]*\n[\d: -]+ +decisions:1 +grant_added +noted +cli/);
  expect(page).toMatchObject({ code: 0, stderr: expect.stringMatching(/^there are more: --cursor \S+\n$/) });
  expect(verdict).toMatchObject({
    code: 0,
    stdout: expect.stringContaining("traffic: 2 rows, each is what was written"),
  });
  expect(who?.stdout).toMatch(/agent:main:main +agent:raul:main +request +\S+ +1 +0 +8 B/);
  for (const { stdout } of here) expect(stdout).not.toContain("secret");
  const anchors = /--anchor \S+/g.exec(verdict?.stderr ?? "") ?? [];
  expect(anchors).toHaveLength(1);

  expect(await program.stop()).toBe(0);
  const kept = JSON.parse(readFileSync(path.join(stateDir, "audit.anchor"), "utf8"));
  expect(kept.marks).toMatchObject([
    { log: "decisions", n: 1 },
    { log: "traffic", n: 2 },
  ]);
  const timeless = (told: object | undefined): string => JSON.stringify(told).replace(/"ts\\": \d+/, "");
  for (const [at, args] of looks.slice(0, 4).entries())
    expect(timeless(await run(...args)), args.join(" ")).toBe(timeless(here[at]));
  expect((await run("who", "--agent", "main")).stdout).toMatch(
    /agent:main:main +agent:raul:main +request +\S+ +1 +0 +8 B/,
  );
  expect(
    (await run("audit", "verify", "--anchor", (verdict?.stderr ?? "").split("--anchor ").at(-1)?.trim() ?? "")).code,
  ).toBe(0);

  const file = path.join(stateDir, "trail.jsonl");
  expect(await run("audit", "export", "--to", file)).toMatchObject({
    code: 0,
    stderr: "3 rows of the audit trail exported\n",
  });
  expect((await run("audit", "export", "--to", file)).code).toBe(1);
  expect((await line("audit", "verify", "--file", file)).code).toBe(0);
  const lines = readFileSync(file, "utf8");
  expect((await run("audit", "export")).stdout).toBe(lines);
  for (const changed of [
    lines.replace('"verb":"request"', '"verb":"send"'),
    lines.replace('"noted"', '"allowed"'),
    "no row\n",
  ]) {
    writeFileSync(file, changed);
    expect(await line("audit", "verify", "--file", file), changed).toMatchObject({
      code: 1,
      stdout: expect.stringContaining("1 fault"),
    });
  }
  expect(await run("audit", "verify", "--anchor", "traffic:1")).toMatchObject({
    code: 1,
    stderr: expect.stringContaining("wanted log:number:hash"),
  });
});

test("A12.4: what was cut while the gateway was down is found, by the command and by the next start", async () => {
  const { stateDir, program, run } = await makeHistory();
  expect(await program.stop()).toBe(0);
  const journal = await openLmdbEnvironment(path.join(stateDir, "store", "journal"));
  await journal.write(() => journal.remove(["audit", 2]));
  await journal.close();
  const found = await run("audit", "verify");
  expect(found.code).toBe(1);
  expect(found.stdout).toContain("missing: row 2");
  const again = await startProgram(stateDir);
  const told = await run("audit", "verify", "--json");
  expect(told.code).toBe(1);
  expect(JSON.parse(told.stdout)).toMatchObject({ ok: false });
  expect(await again.stop()).toBe(0);
});

test("without a state directory there is nothing to read, and the command says what it wants", async () => {
  const stateDir = makeStateDir();
  expect(await runLine(stateDir, ["audit"])).toMatchObject({
    code: 1,
    stdout: "",
    stderr: expect.stringMatching(/there is no database[\s\S]*--state-dir/),
  });
  expect((await runLine(stateDir, ["who"])).code).toBe(2);
  expect((await runLine(stateDir, ["who", "--agent", "main", "--since", "soon"])).stderr).toContain("30m, 2h or 7d");
});
