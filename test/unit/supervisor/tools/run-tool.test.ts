/** A tool that ran: the kernel has its result and the audit trail what was refused, whatever a cell wrote as parameters. */
import { expect, test, vi } from "vitest";
import { z } from "zod";
import type { Refusal } from "../../../../runtime/kernel/errors.ts";
import { forbidden, runTool, type Tool, type ToolCall } from "../../../../runtime/supervisor/tools/table.ts";

const refusal = forbidden("the path leaves the workspace", "use another path");
const read: Tool = { repeat: "reads", parameters: z.object({}), run: () => Promise.resolve(refusal) };

test.each([
  ["", "read"],
  ["{", "read"],
  ["null", "read"],
  ["7", "read"],
  ["[]", "read"],
  ['{"sessionKey":7}', "read"],
  ['{"sessionKey":"agent:ana:main"}', "agent:ana:main"],
  ['{"agentId":"ana"}', "agent:ana"],
])("a refusal is answered and recorded with parameters %j", async (params, object) => {
  const header = { sessionKey: "agent:main:main" } as ToolCall["header"];
  const call = { tool: "read", params, body: "{}", header } as ToolCall;
  const audited: unknown[] = [];
  const result = await new Promise<string>((resolve) => {
    const kernel = { callResult: (_: ToolCall, text: string) => resolve(text), awaitsCall: () => true };
    runTool({ read }, kernel, call, (effect) => void audited.push(effect));
  });
  expect(JSON.parse(result)).toEqual(refusal);
  expect(audited).toMatchObject([{ event: "refused", subject: "agent:main:main", object, verb: "tool:read" }]);
});

const spent: Refusal = {
  code: "CLOISTER_BUDGET_SPENT",
  message: "the day is used up",
  remedy: "wait",
  retryAfterMs: 5,
};
const header = { agentId: "main", sessionKey: "agent:main:main" } as ToolCall["header"];
const write = { tool: "write", params: "{}", body: "", header, sinceMs: 7, wasMade: false } as ToolCall;

/** Runs the call with what its day says, and gives whether the tool ran, and the answer. */
async function runOnDay(
  takeCall: (() => Promise<Refusal | undefined> | undefined) | undefined,
  { call = write, isAwaited = true }: { readonly call?: ToolCall; readonly isAwaited?: boolean } = {},
) {
  const callResult = vi.fn<(of: ToolCall, text: string) => void>();
  const run = vi.fn(async () => ({ status: "ok" }));
  const take = takeCall === undefined ? undefined : vi.fn(takeCall);
  const tool: Tool = { repeat: "acts", parameters: z.object({}), run };
  const kernel = { callResult, awaitsCall: () => isAwaited };
  runTool({ write: tool }, kernel, call, () => undefined, take === undefined ? undefined : { takeCall: take });
  const ranAtOnce = run.mock.calls.length === 1;
  // Longer than any of its promises takes.
  await new Promise(setImmediate);
  const [answer] = callResult.mock.calls.map(([, text]) => JSON.parse(text) as unknown);
  return { ranAtOnce, ran: run.mock.calls.length === 1, answer, taken: take?.mock.calls ?? [] };
}

test("A11.1: a call is taken from the day of its agent before it runs; one that nothing bounds runs at once", async () => {
  const ok = { ran: true, answer: { status: "ok" } };
  expect(await runOnDay(undefined)).toEqual({ ...ok, ranAtOnce: true, taken: [] });
  const taken = [[{ agentId: "main", sinceMs: 7 }]];
  expect(await runOnDay(() => undefined)).toEqual({ ...ok, ranAtOnce: true, taken });
  expect(await runOnDay(async () => undefined)).toEqual({ ...ok, ranAtOnce: false, taken });
});

test("A11.1: a call for which the day has nothing left, or of which nobody can say that, does not run and says why", async () => {
  expect(await runOnDay(async () => spent)).toMatchObject({
    ran: false,
    answer: { status: "forbidden", error: "the day is used up", operatorHint: "wait" },
  });
  const broken = Promise.reject(new Error("the disk does not answer"));
  expect(await runOnDay(() => broken)).toMatchObject({ ran: false, answer: { status: "error" } });
});

test("a call whose turn was stopped while its day was read does not begin", async () => {
  expect(await runOnDay(async () => undefined, { isAwaited: false })).toMatchObject({ ran: false, answer: undefined });
});

test("a call that an earlier delivery made is not taken a second time", async () => {
  const again = { ...write, wasMade: true };
  expect(await runOnDay(async () => spent, { call: again })).toMatchObject({ ran: true, taken: [] });
});
