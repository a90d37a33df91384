/** Turns whose cell ends in the middle: what was done is not done again, and what was heard is heard again. */
import { readFile } from "node:fs/promises";
import path from "node:path";
import { expect, test } from "vitest";
import { actor } from "../support/actors.ts";
import { openGateway, type TestGateway } from "../support/gateway.ts";

const stepper = {
  ...actor("stepper"),
} as const;

const open = (): Promise<TestGateway> =>
  openGateway(
    ["main", "raul", "helper"].map((id) => ({ id, ...stepper })),
    { agentToAgent: { enabled: true, allow: ["*"] }, visibility: "all" },
  );

/** The names of the effects, in the order of the runs. */
async function effects(gateway: TestGateway, agentId = "main"): Promise<readonly string[]> {
  const { workspace } = gateway.config.agents.find(({ id }) => id === agentId) ?? { workspace: "" };
  return (await readFile(path.join(workspace, "effects"), "utf8")).trimEnd().split("\n");
}

const names = (lines: readonly string[]): readonly (string | undefined)[] => lines.map((line) => line.split(" ")[0]);

test("a finished step runs once, and gives its result or what it threw again", async () => {
  const gateway = await open();
  const reply: unknown = JSON.parse(await gateway.reply("main", "twice"));
  expect(reply).toEqual([{ at: "first" }, true, "CLOISTER_STEP_FAILED: no such account", 4]);
  const lines = await effects(gateway);
  expect(names(lines)).toEqual(["one", "two", "three", "four"]);
  expect(new Set(lines.map((line) => line.split(" ")[1])).size).toBe(4);
  expect(gateway.agents()[0]).toMatchObject({ restarts: 1 });
});

test("a step that was started and has no result is outcome unknown, and runs no second time", async () => {
  const gateway = await open();
  expect(await gateway.reply("main", "unknown")).toContain('"CLOISTER_OUTCOME_UNKNOWN: the step \\"pay\\" was started');
  expect(names(await effects(gateway))).toEqual(["pay"]);
});

test("one that is declared idempotent runs again, under the same key", async () => {
  const gateway = await open();
  const key: unknown = JSON.parse(await gateway.reply("main", "idempotent"));
  expect(await effects(gateway)).toEqual([`pay ${String(key)}`, `pay ${String(key)}`]);
});

test("a repeated turn that calls something else in the same place gets a typed error, and no other call's result", async () => {
  const gateway = await open();
  const [step, asked, after] = JSON.parse(await gateway.reply("main", "diverge")) as [string, string, string];
  expect(step).toMatch(/^CLOISTER_TURN_DIVERGED: call 0 .* step "credit".* step "debit"/u);
  expect(asked).toMatch(/^CLOISTER_TURN_DIVERGED: call 1 .* send "agent:raul:main".* request "agent:raul:main"/u);
  expect(after).toBe("done");
  expect(names(await effects(gateway))).toEqual(["money", "after"]);
});

test("failures, timeouts, tool results and ids of sends are heard again as they were, and nothing is sent twice", async () => {
  const gateway = await open();
  const again: unknown = JSON.parse(await gateway.reply("main", "ask"));
  expect(again).toEqual(JSON.parse((await effects(gateway))[0] ?? ""));
  expect(again).toMatchObject([
    "CLOISTER_AGENT_FAILED: thrown by the target",
    expect.stringMatching(/^CLOISTER_ASK_TIMEOUT/u),
    expect.arrayContaining([expect.stringMatching(/^agent:main:main/u)]),
    { id: expect.any(String) },
  ]);
  const { rows } = await gateway.store.history("raul", "agent:raul:main", 100, 0);
  expect(rows.filter(({ role }) => role === "user").map(({ text }) => text)).toEqual(["throw", "slow", "last", "fine"]);
  const own = await gateway.store.history("main", "agent:main:main", 100, 0);
  expect(own.rows.map(({ role, toolName }) => toolName ?? role)).toEqual(["user", "sessions_list", "assistant"]);
});

test("calls of ctx inside a step are refused, since a repeated turn would not make them", async () => {
  const gateway = await open();
  const refused = JSON.parse(await gateway.reply("main", "inside")) as string[];
  expect(refused).toHaveLength(4);
  for (const each of refused)
    expect(each).toMatch(/^CLOISTER_REQUEST_INVALID: ctx\.\S+ was called inside of the step "outer"/u);
  expect(await gateway.store.session("agent:raul:main")).toBeUndefined();
});

test("a result beyond its bound and a step without a name are refused by name", async () => {
  const gateway = await open();
  const [large, nameless] = JSON.parse(await gateway.reply("main", "large")) as [string, string];
  expect(large).toMatch(/^CLOISTER_MESSAGE_TOO_LARGE: .*300004 .*262144/u);
  expect(nameless).toMatch(/^CLOISTER_REQUEST_INVALID/u);
});

test("in memory a step just runs", async () => {
  const gateway = await open();
  await gateway.reply("helper", "hello");
  expect(JSON.parse(JSON.parse(await gateway.reply("main", "memory")) as string)).toEqual([
    "1970-01-01T00:00:00.000Z",
    "CLOISTER_STEP_FAILED: no",
  ]);
  expect(names(await effects(gateway, "helper"))).toEqual(["one"]);
});
