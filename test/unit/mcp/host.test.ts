/** What becomes of a call of a server's tool whose connection fails, and how often it is made. */
import { expect, test } from "vitest";
import { limits } from "../../../runtime/kernel/limits.ts";
import type { Connection } from "../../../runtime/mcp/connection.ts";
import { makeMcpHost } from "../../../runtime/mcp/host.ts";

type Called = "answer" | "lost" | "unsent" | "refused";

/** `results` of the calls, in order. Gives what was called on which connection, by its number from 1. */
function open(results: readonly Called[]) {
  const called: string[] = [];
  const closed: number[] = [];
  let connections = 0;
  let nowMs = 0;
  const host = makeMcpHost({
    settings: {
      servers: [
        {
          name: "notes",
          at: { type: "stdio", command: "x", args: [], env: {} },
          connectMs: 1_000,
          requestMs: 1_000,
          taskWaitMs: 1_000,
        },
      ],
      idleMs: 1_000_000,
      stateDir: "/nowhere",
      agentIds: ["ana"],
    },
    environment: {},
    connect: async () => {
      const number = ++connections;
      return {
        pid: number,
        tools: async () => [{ name: "add", inputSchema: { type: "object" } }],
        call: async (_tool, args) => {
          const result = results[called.push(`${number}: ${JSON.stringify(args)}`) - 1];
          if (result === "answer") return { content: [{ type: "text", text: "added" }] };
          const kind = result === "refused" ? "refused" : "lost";
          throw Object.assign(new Error("it failed"), { kind, isUnsent: result === "unsent", because: "params" });
        },
        startTask: () => Promise.reject(new Error("not called here")),
        task: () => Promise.reject(new Error("not called here")),
        taskResult: () => Promise.reject(new Error("not called here")),
        cancelTask: () => Promise.reject(new Error("not called here")),
        close: async () => void closed.push(number),
      } satisfies Connection;
    },
    clock: { nowMs: () => nowMs, random: () => 0, after: () => () => undefined },
    remote: {
      changed: async () => undefined,
      ended: async () => undefined,
      log: async () => undefined,
      process: async () => undefined,
    },
  });
  const call = (params = '{"a":1}'): Promise<object> =>
    host.call({ agentId: "ana", workspace: "/ana", id: 1, server: "notes", tool: "add", params, canBeTold: false });
  return { host, call, called, closed, pass: (ms: number) => (nowMs += ms) };
}

test("a call that its server has not looked at is made once more over another connection, and not a third time", async () => {
  const again = open(["unsent", "answer"]);
  expect(await again.call()).toEqual({ status: "ok", text: "added" });
  expect([again.called, again.closed]).toEqual([['1: {"a":1}', '2: {"a":1}'], [1]]);

  const never = open(["unsent", "unsent", "answer"]);
  expect(await never.call()).toMatchObject({ status: "error", code: "outcome_unknown" });
  expect(never.called).toEqual(['1: {"a":1}', '2: {"a":1}']);
});

test("a call that may have taken effect is made once, and its connection is used by nobody any more", async () => {
  const { call, called, closed, pass } = open(["lost", "answer"]);
  expect(await call()).toMatchObject({ status: "error", code: "outcome_unknown" });
  expect([called, closed]).toEqual([['1: {"a":1}'], [1]]);
  expect(await call()).toMatchObject({ code: "worker_unavailable" });
  pass(limits.mcpRetryMsMax);
  expect(await call()).toEqual({ status: "ok", text: "added" });
  expect(called).toEqual(['1: {"a":1}', '2: {"a":1}']);
});

test("a call that was refused is made once, and leaves its connection to the next", async () => {
  const { call, called, closed } = open(["refused", "answer"]);
  expect(await call()).toMatchObject({ status: "error", code: "invalid" });
  expect(await call()).toEqual({ status: "ok", text: "added" });
  expect([called, closed]).toEqual([['1: {"a":1}', '1: {"a":1}'], []]);
});

test.each(["[1]", "7", "null", '"a"', "{", ""])(
  "parameters that are no object (%s) reach no server",
  async (params) => {
    const { call, called } = open([]);
    expect(await call(params)).toEqual({
      status: "error",
      code: "invalid",
      error: "the parameters of add are no JSON object",
    });
    expect(called).toEqual([]);
  },
);
