/** Connections to servers that do not do what they should, over real pipes: each wait ends, and no reason tells a secret. */
import { expect, onTestFinished, test, vi } from "vitest";
import { limits } from "../../../runtime/kernel/limits.ts";
import { connect } from "../../../runtime/mcp/connection.ts";
import type { ReadServer } from "../../../runtime/mcp/read-secrets.ts";

const secret = "canary-0123456789";

/** A server in few words: `answer` is a function of a request's method to its result; undefined: none comes. */
const server = (answer: string, changes: Partial<ReadServer> = {}): ReadServer => ({
  name: "odd",
  at: {
    type: "stdio",
    command: process.execPath,
    args: [
      "-e",
      `const answer = ${answer};
       require("node:readline").createInterface(process.stdin).on("line", (line) => {
         const { id, method } = JSON.parse(line);
         const result = answer(method);
         if (id !== undefined && result !== undefined) console.log(JSON.stringify({ jsonrpc: "2.0", id, ...result }));
       });`,
    ],
    env: { KEY: { value: secret } },
    cwd: "/",
  },
  connectMs: 60_000,
  requestMs: 60_000,
  taskWaitMs: 10_000,
  ...changes,
});
const started =
  '{ protocolVersion: "2025-06-18", capabilities: { tools: {} }, serverInfo: { name: "odd", version: "1" } }';

const open = (odd: ReadServer, signal = new AbortController().signal) =>
  connect({
    server: odd,
    folder: "/",
    environment: {},
    signal,
    onToolsChanged: () => undefined,
    onEnded: () => undefined,
    onProcess: () => undefined,
  });

test("a server that does not answer in time is ended, and the reason is that", async () => {
  await expect(open(server("() => undefined", { connectMs: 200 }))).rejects.toThrow("did not answer within 200 ms");
});

test("one that is being started ends with its signal", async () => {
  const end = new AbortController();
  const opening = open(server("() => undefined"), end.signal);
  end.abort();
  await expect(opening).rejects.toThrow();
});

test("of a list of tools without an end as many are taken as there may be", async () => {
  const page = "Array.from({ length: 100 }, () => ({ name: `t${made++}`, inputSchema: { type: 'object' } }))";
  const pages = `((made) => (method) => method === "notifications/initialized" ? undefined : { result: method === "initialize" ? ${started} : { tools: ${page}, nextCursor: "more" } })(0)`;
  const connection = await open(server(pages));
  const tools = await connection.tools();
  expect(tools.map(({ name }) => name)).toEqual(Array.from({ length: limits.mcpToolsMax }, (_, at) => `t${at}`));
  await connection.close();
});

test("a list of tools without an end is given up", async () => {
  const pages = `(method) => ({ result: method === "initialize" ? ${started} : { tools: [], nextCursor: "more" } })`;
  const odd = server(pages);
  const connection = await open(odd);
  // The time is for the list alone: how long a process takes to start is the machine's.
  Object.assign(odd, { connectMs: 50 });
  await expect(connection.tools()).rejects.toThrow("did not tell its tools within 50 ms");
  await connection.close();
});

test.each([
  ["refuses it", '{ error: { code: -32000, message: "not with " + process.env.KEY } }', /not with \[redacted\]/],
  [
    "tells no list",
    "{ result: { tools: [{ nam: 1 }] } }",
    /it answered what the protocol does not have: tools\.0\.name/,
  ],
])(
  "a server that is asked for its tools and %s is told of in one line without a secret",
  async (_what, told, reason) => {
    const connection = await open(server(`(method) => method === "initialize" ? { result: ${started} } : ${told}`));
    const why = await connection.tools().catch((error: Error) => error.message);
    expect(why).toMatch(reason);
    expect(why).not.toMatch(new RegExp(`${secret}|\\n`));
    await connection.close();
  },
);

// These are the codes by which the client tells that a connection ended, and that an answer is late.
test.each([-32_000, -32_001])(
  "a refusal with the code %d is one, and has nothing in it that the server was given",
  async (code) => {
    const refusing = `(method) => method === "initialize" ? { result: ${started} } : { error: { code: ${code}, message: "not with " + process.env.KEY } }`;
    const connection = await open(server(refusing));
    await expect(connection.call("x", {}, new AbortController().signal)).rejects.toMatchObject({
      kind: "refused",
      because: "fault",
      message: expect.stringContaining("not with [redacted]"),
    });
    await connection.close();
  },
);

test.each([
  [-32_601, "method"],
  [-32_602, "params"],
  [-32_002, "params"],
  [-32_603, "fault"],
  [-32_600, "fault"],
  [-32_042, "fault"],
  [7, "fault"],
])("the code %d of a refusal says that it is of the %s", async (code, because) => {
  const refusing = `(method) => method === "initialize" ? { result: ${started} } : { error: { code: ${code}, message: "no" } }`;
  const connection = await open(server(refusing));
  const signal = new AbortController().signal;
  for (const asked of [
    connection.call("x", {}, signal),
    connection.startTask("x", {}, 1),
    connection.task("t"),
    connection.taskResult("t", 60_000, signal),
    connection.cancelTask("t"),
  ])
    await expect(asked).rejects.toMatchObject({ kind: "refused", because });
  await connection.close();
});

test("a question for the state of a task is given up long before a call is: its answer may have been lost", async () => {
  const connection = await open(server(`(method) => method === "initialize" ? { result: ${started} } : undefined`));
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
  onTestFinished(() => void vi.useRealTimers());
  const settled: unknown[] = [];
  const asked = connection.task("t-1").catch((error: unknown) => settled.push(error));
  await vi.advanceTimersByTimeAsync(limits.mcpTaskStateMs - 1);
  expect(settled).toEqual([]);
  await vi.advanceTimersByTimeAsync(1);
  await asked;
  expect(settled).toMatchObject([{ kind: "late" }]);
  vi.useRealTimers();
  await connection.close();
});
