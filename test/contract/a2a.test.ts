/** Each agent as an agent of the Agent2Agent protocol, by the client of the protocol's own library, against real cells behind a real edge. */
import { mkdirSync, writeFileSync } from "node:fs";
import path from "node:path";
import { Role, SendMessageRequest, type StreamResponse, type Task, TaskState } from "@a2a-js/sdk";
import {
  type Client,
  ClientFactory,
  ClientFactoryOptions,
  DefaultAgentCardResolver,
  JsonRpcTransportFactory,
} from "@a2a-js/sdk/client";
import { LegacyJsonRpcTransport } from "@a2a-js/sdk/compat/v0_3/client";
import { afterEach, describe, expect, test } from "vitest";
import type { EdgeBounds } from "../../runtime/edge/bounds.ts";
import { makeEdge } from "../../runtime/edge/edge.ts";
import type { EdgeForKernel } from "../../runtime/edge/port.ts";
import type { EdgeSettings } from "../../runtime/edge/settings.ts";
import { actor } from "../support/actors.ts";
import { eventually } from "../support/eventually.ts";
import { openGateway, type TestGateway } from "../support/gateway.ts";
import { gatewayToken, settingsWith } from "./edge-kit.ts";

const agents = [
  ...["main", "shop", "raul"].map((id) => ({ id, ...actor("speaker") })),
  { id: "picky", ...actor("picky") },
  { id: "plain", module: "scripted" },
];
const operator = { connId: "c", clientId: "cli-1", mode: "cli", scopes: ["operator.admin"] };

const closings: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of closings.splice(0)) await close();
});

interface Open {
  readonly gateway: TestGateway;
  readonly edge: EdgeForKernel;
  readonly base: string;
  readonly caller: (name: string, ...agents: string[]) => Promise<string>;
  readonly revoke: (name: string) => Promise<void>;
  readonly connect: (token: string, agentId: string) => Promise<Client>;
  readonly goOn: (agentId: string) => void;
}

interface Changes {
  readonly bounds?: Partial<EdgeBounds>;
  readonly settings?: Partial<EdgeSettings>;
  /** Another process over the store and the folders of this one. */
  readonly after?: TestGateway;
}

async function open({ bounds, settings, after }: Changes = {}): Promise<Open> {
  const gateway =
    after === undefined
      ? await openGateway(agents)
      : await openGateway(agents, {}, { store: after.store, config: after.config });
  const edge = makeEdge(gateway.doors, () => undefined, { bounds: { socketCloseGraceMs: 500, ...bounds } });
  closings.push(() => edge.close("end of the test"));
  const { port } = await edge.listen({ ...settingsWith(gateway.config.stateDir), ...settings });
  gateway.attachEdge(edge);
  const base = `http://127.0.0.1:${port}`;
  const rpc = async (method: string, params: object): Promise<unknown> => {
    const result = await gateway.doors.rpc(operator, method, params);
    if (!result.ok) throw new Error(result.refusal.message);
    return result.payload;
  };
  return {
    gateway,
    edge,
    base,
    connect: (token, agentId) => connectTo(`${base}/a2a/${agentId}/`, token),
    caller: async (name, ...names) =>
      ((await rpc("callers.add", { name, agents: names })) as { readonly token: string }).token,
    revoke: async (name) => void (await rpc("callers.revoke", { name })),
    goOn: (agentId) => {
      const workspace = path.join(gateway.config.stateDir, `workspace-${agentId}`);
      mkdirSync(workspace, { recursive: true });
      writeFileSync(path.join(workspace, "go-on"), "");
    },
  };
}

const withToken =
  (token: string): typeof fetch =>
  (input, init) => {
    const headers = new Headers(init?.headers);
    headers.set("authorization", `Bearer ${token}`);
    return fetch(input, { ...init, headers });
  };

/** The library's client, as its guide has it: it reads the card and speaks the version that it prefers of those that stand there. */
function connectTo(url: string, token: string): Promise<Client> {
  const fetchImpl = withToken(token);
  const factory = new ClientFactory(
    ClientFactoryOptions.createFrom(ClientFactoryOptions.default, {
      transports: [new JsonRpcTransportFactory({ fetchImpl })],
      cardResolver: new DefaultAgentCardResolver({ fetchImpl }),
    }),
  );
  return factory.createFromUrl(url);
}

let messages = 0;
const ask = (text: string, more: Partial<Record<"contextId" | "taskId" | "messageId", string>> = {}) => ({
  tenant: "",
  message: {
    messageId: `m-${(messages += 1)}`,
    contextId: "",
    taskId: "",
    role: Role.ROLE_USER,
    parts: [{ content: { $case: "text" as const, value: text }, metadata: undefined, filename: "", mediaType: "" }],
    metadata: undefined,
    extensions: [],
    referenceTaskIds: [],
    ...more,
  },
  configuration: undefined,
  metadata: undefined,
});

const atOnce = { acceptedOutputModes: [], taskPushNotificationConfig: undefined, returnImmediately: true };

const sendNow = (text: string, more: Parameters<typeof ask>[1] = {}) => ({ ...ask(text, more), configuration: atOnce });

function taskIn(found: object): Task {
  if ("status" in found) return found as Task;
  throw new Error(`wanted a task, found ${JSON.stringify(found)}`);
}

const textOf = (task: Task): string | undefined => {
  const content = task.artifacts[0]?.parts[0]?.content;
  return content?.$case === "text" ? content.value : undefined;
};
// oxlint-disable-next-line typescript/no-explicit-any -- what the fixture tells, looked into by the tests
const told = (task: Task): any => JSON.parse(textOf(task) ?? "null");

const ofTask = (id: string, historyLength?: number) => ({ tenant: "", id, historyLength });

const nameOf = (state: TaskState): string => TaskState[state].replace("TASK_STATE_", "");

const startOf = async (stream: AsyncGenerator<StreamResponse>): Promise<Task> => {
  const { value } = await stream.next();
  if (value?.payload?.$case === "task") return value.payload.value;
  throw new Error(`wanted a task first, found ${JSON.stringify(value)}`);
};

/** What follows the task, in short: states, and pieces of the answer. */
async function restOf(stream: AsyncGenerator<StreamResponse>, hear: (word: string) => void = () => undefined) {
  const words: string[] = [];
  for await (const { payload } of stream) {
    const status = payload?.$case === "statusUpdate" ? payload.value.status : undefined;
    const update = payload?.$case === "artifactUpdate" ? payload.value : undefined;
    const content = update?.artifact?.parts[0]?.content;
    const piece = content?.$case === "text" ? `${update?.append === true ? "+" : "="}${content.value}` : "?";
    const word = status === undefined ? piece : nameOf(status.state);
    words.push(word);
    hear(word);
  }
  return words;
}

const stateOf = (task: Task): string => nameOf(task.status?.state ?? TaskState.UNRECOGNIZED);

interface Failure {
  readonly name: string;
  readonly message: string;
  readonly envelopeCode?: number;
}
const failureOf = async (call: Promise<unknown>): Promise<Failure> => {
  try {
    await call;
  } catch (error) {
    return error as Failure;
  }
  throw new Error("wanted a failure, found none");
};

const listed = (more: object = {}) => ({
  tenant: "",
  contextId: "",
  status: TaskState.TASK_STATE_UNSPECIFIED,
  pageToken: "",
  statusTimestampAfter: undefined,
  ...more,
});

/** As a client without the library sends it. */
async function post(url: string, token: string, body: unknown, version = "1.0") {
  const response = await fetch(url, {
    method: "POST",
    headers: { authorization: `Bearer ${token}`, "content-type": "application/json", "a2a-version": version },
    body: typeof body === "string" ? body : JSON.stringify(body),
  });
  const answer = (await response.json()) as {
    readonly id?: unknown;
    readonly error?: { readonly code: number; readonly message: string; readonly data: readonly object[] };
  };
  return { status: response.status, headers: response.headers, ...answer };
}

const rpc = (method: string, params: object) => ({ jsonrpc: "2.0", id: 7, method, params });

describe("A15.4: an agent is an agent of the Agent2Agent protocol", () => {
  test("its card tells what is there and how it is called, to a token that may call it", async () => {
    const { base, caller } = await open();
    const token = await caller("ci", "shop");
    const get = (at: string, headers: object = { authorization: `Bearer ${token}` }) =>
      fetch(`${base}${at}/.well-known/agent-card.json`, { headers: { ...headers } });
    const card = (await (await get("/a2a/shop")).json()) as object;
    expect(card).toEqual({
      name: "shop",
      description: expect.stringContaining("The agent shop"),
      version: "0.1.0",
      supportedInterfaces: ["1.0", "0.3"].map((protocolVersion) => ({
        url: `${base}/a2a/shop`,
        protocolBinding: "JSONRPC",
        protocolVersion,
      })),
      capabilities: { streaming: true, pushNotifications: false, extendedAgentCard: false },
      securitySchemes: { token: { httpAuthSecurityScheme: { scheme: "Bearer", description: expect.any(String) } } },
      securityRequirements: [{ schemes: { token: { list: [] } } }],
      defaultInputModes: ["text/plain"],
      defaultOutputModes: ["text/plain"],
      skills: [expect.objectContaining({ id: "conversation" })],
    });
    // At the root of the host is the one that the token means.
    expect(await (await get("")).json()).toEqual(card);
    const old = await get("/a2a/shop", { authorization: `Bearer ${token}`, "a2a-version": "0.3" });
    expect(await old.json()).toMatchObject({
      protocolVersion: "0.3.0",
      url: `${base}/a2a/shop`,
      preferredTransport: "JSONRPC",
      securitySchemes: { token: { type: "http", scheme: "bearer" } },
    });
    for (const at of ["", "/a2a/shop"]) {
      const closed = await get(at, {});
      expect(closed.status).toBe(401);
      expect(closed.headers.get("www-authenticate")).toBe("Bearer");
      expect(await closed.text()).not.toContain("shop");
    }
  });

  test("a message is answered as a task that has ended, and a context is a conversation", async () => {
    const { connect } = await open();
    const client = await connect(gatewayToken, "shop");
    const first = taskIn(await client.sendMessage(ask("one", { messageId: "m-a" })));
    expect([stateOf(first), told(first).text]).toEqual(["COMPLETED", "one"]);
    expect(told(first).provenance).toMatchObject({ kind: "external_user", sourceChannel: "a2a", messageId: "m-a" });
    expect(first.history).toMatchObject([{ messageId: "m-a", role: Role.ROLE_USER, taskId: first.id }]);
    const second = taskIn(await client.sendMessage(ask("two", { contextId: first.contextId })));
    expect(told(second)).toMatchObject({ session: told(first).session, turns: 2 });
    expect(second.contextId).toBe(first.contextId);
    expect(told(taskIn(await client.sendMessage(ask("other"))))).toMatchObject({ turns: 1 });
    // Names of contexts are the client's to choose; they are told apart by every letter.
    const named = taskIn(await client.sendMessage(ask("x", { contextId: "Trip" })));
    expect(named.contextId).toBe("Trip");
    expect(told(named)).toMatchObject({ session: "agent:shop:a2a:operator:direct:^trip", turns: 1 });
    expect(told(taskIn(await client.sendMessage(ask("y", { contextId: "trip" }))))).toMatchObject({ turns: 1 });
    expect(told(taskIn(await client.sendMessage(ask("z", { contextId: "Trip" }))))).toMatchObject({ turns: 2 });
  });

  test("who does not wait has the task at once, and asks for it until it has ended", async () => {
    const { connect, goOn } = await open();
    const client = await connect(gatewayToken, "shop");
    const task = taskIn(await client.sendMessage(sendNow("stream")));
    expect(["SUBMITTED", "WORKING"]).toContain(stateOf(task));
    await eventually(async () => expect(stateOf(await client.getTask(ofTask(task.id)))).toBe("WORKING"));
    // What waits behind it has not begun.
    const next = taskIn(await client.sendMessage(sendNow("next", { contextId: task.contextId })));
    expect(stateOf(await client.getTask(ofTask(next.id)))).toBe("SUBMITTED");
    const all = await client.listTasks(listed({ status: TaskState.TASK_STATE_WORKING }));
    expect(all.tasks.map(({ id }) => id)).toEqual([task.id]);
    goOn("shop");
    await eventually(async () => expect(stateOf(await client.getTask(ofTask(next.id)))).toBe("COMPLETED"));
    const ended = await client.getTask(ofTask(task.id, 0));
    expect([stateOf(ended), textOf(ended), ended.history]).toEqual(["COMPLETED", "one two", []]);
  });

  test("a stream has the task, the pieces of the answer as they come, and the end", async () => {
    const { connect, goOn } = await open();
    const client = await connect(gatewayToken, "shop");
    const stream = client.sendMessageStream(ask("stream"));
    const task = await startOf(stream);
    expect(["SUBMITTED", "WORKING"]).toContain(stateOf(task));
    // It goes on when the first piece has come: that has come while the turn ran.
    const words = await restOf(stream, (word) => void (word === "=one " && goOn("shop")));
    expect(words.filter((word) => word !== "WORKING")).toEqual(["=one ", "+two", "COMPLETED"]);
    expect(textOf(await client.getTask(ofTask(task.id)))).toBe("one two");
  });

  test("an answer that is not what was streamed takes its place", async () => {
    const { connect, goOn } = await open();
    goOn("raul");
    const client = await connect(gatewayToken, "raul");
    const stream = client.sendMessageStream(ask("stream other"));
    await startOf(stream);
    expect((await restOf(stream)).slice(-2)).toEqual(["=three", "COMPLETED"]);
  });

  test("a task is followed again, also by two, and who leaves ends nothing but its own stream", async () => {
    const { connect, goOn, gateway } = await open();
    const client = await connect(gatewayToken, "shop");
    const left = new AbortController();
    const gone = client.sendMessageStream(ask("stream"), { signal: left.signal });
    const task = await startOf(gone);
    await failureOf(restOf(gone, (word) => void (word === "=one " && left.abort())));
    const again = [0, 1].map(() => client.resubscribeTask({ tenant: "", id: task.id }));
    for (const one of again) expect(stateOf(await startOf(one))).toBe("WORKING");
    expect(gateway.agents().find(({ agentId }) => agentId === "shop")?.activeRuns).toBe(1);
    goOn("shop");
    // What was said before is told with the end: as one piece, which is the whole.
    for (const one of again) expect(await restOf(one)).toEqual(["=one two", "COMPLETED"]);
    const late = await failureOf(client.resubscribeTask({ tenant: "", id: task.id }).next());
    expect(late).toMatchObject({ name: "UnsupportedOperationError" });
  });

  test("a task is cancelled while it waits and while it runs, once", async () => {
    const { connect } = await open();
    const client = await connect(gatewayToken, "shop");
    const running = taskIn(await client.sendMessage(sendNow("stream")));
    const waiting = taskIn(await client.sendMessage(sendNow("x", { contextId: running.contextId })));
    const followed = client.resubscribeTask({ tenant: "", id: running.id });
    await startOf(followed);
    for (const { id } of [waiting, running]) {
      expect(stateOf(await client.cancelTask({ tenant: "", id, metadata: undefined }))).toBe("CANCELED");
      expect(stateOf(await client.getTask(ofTask(id)))).toBe("CANCELED");
      expect(await failureOf(client.cancelTask({ tenant: "", id, metadata: undefined }))).toMatchObject({
        name: "TaskNotCancelableError",
      });
    }
    expect((await restOf(followed)).at(-1)).toBe("CANCELED");
  });

  test("a turn that fails, and a message that is not handled, are failed tasks with the reason", async () => {
    const { connect } = await open();
    const failed = taskIn(await (await connect(gatewayToken, "plain")).sendMessage(ask("read none.md")));
    expect(stateOf(failed)).toBe("FAILED");
    expect(failed.status?.message).toMatchObject({
      role: Role.ROLE_AGENT,
      metadata: { code: "CLOISTER_AGENT_FAILED" },
    });
    const client = await connect(gatewayToken, "picky");
    const unhandled = taskIn(await client.sendMessage(ask("no")));
    expect(stateOf(unhandled)).toBe("FAILED");
    const stream = client.sendMessageStream(ask("no"));
    await startOf(stream);
    expect((await restOf(stream)).at(-1)).toBe("FAILED");
  });

  test("a message that is sent again is the same task, also when its context is new", async () => {
    const { connect } = await open();
    const client = await connect(gatewayToken, "shop");
    const one = taskIn(await client.sendMessage(ask("x", { messageId: "again" })));
    const two = taskIn(await client.sendMessage(ask("x", { messageId: "again" })));
    expect([two.id, told(two).turns]).toEqual([one.id, 1]);
    // Another text is another message, whatever its id.
    expect(taskIn(await client.sendMessage(ask("y", { messageId: "again" }))).id).not.toBe(one.id);
  });

  test("a restart forgets no task: what had ended, what failed, what was cancelled, and what goes on", async () => {
    const before = await open();
    const [shop, plain] = [await before.connect(gatewayToken, "shop"), await before.connect(gatewayToken, "plain")];
    const done = taskIn(await shop.sendMessage(ask("hello", { contextId: "C1", messageId: "kept" })));
    const failed = taskIn(await plain.sendMessage(ask("read none.md")));
    const open1 = taskIn(await shop.sendMessage(sendNow("stream")));
    const dropped = taskIn(await shop.sendMessage(sendNow("x", { contextId: open1.contextId })));
    await shop.cancelTask({ tenant: "", id: dropped.id, metadata: undefined });
    await before.edge.close("restart");
    await before.gateway.drain(0);
    const after = await open({ after: before.gateway });
    const [shop2, plain2] = [await after.connect(gatewayToken, "shop"), await after.connect(gatewayToken, "plain")];
    expect(await shop2.getTask(ofTask(done.id))).toEqual(done);
    expect(stateOf(await plain2.getTask(ofTask(failed.id)))).toBe("FAILED");
    expect(stateOf(await shop2.getTask(ofTask(dropped.id)))).toBe("CANCELED");
    await eventually(async () => expect(stateOf(await shop2.getTask(ofTask(open1.id)))).toBe("WORKING"));
    after.goOn("shop");
    await eventually(async () => expect(textOf(await shop2.getTask(ofTask(open1.id)))).toBe("one two"));
    // The message is known as well.
    const again = taskIn(await shop2.sendMessage(ask("hello", { contextId: "C1", messageId: "kept" })));
    expect(again).toEqual(done);
    const all = await shop2.listTasks(listed({ includeArtifacts: true }));
    expect(all.tasks.map(({ id }) => id).toSorted()).toEqual([done.id, open1.id].toSorted());
  });

  test("tasks are listed newest first, in pages, by context, state and time", async () => {
    const { connect } = await open();
    const client = await connect(gatewayToken, "shop");
    const ids: string[] = [];
    for (const [n, contextId] of ["a", "b", "a", "b", "a"].entries())
      ids.push(taskIn(await client.sendMessage(ask(`t${n}`, { contextId }))).id);
    const pages: string[][] = [];
    let pageToken = "";
    do {
      const page = await client.listTasks(listed({ pageSize: 2, pageToken }));
      expect([page.totalSize, page.pageSize]).toEqual([5, 2]);
      expect(page.tasks.every(({ artifacts }) => artifacts.length === 0)).toBe(true);
      pages.push(page.tasks.map(({ id }) => id));
      pageToken = page.nextPageToken;
    } while (pageToken !== "");
    expect(pages.map((page) => page.length)).toEqual([2, 2, 1]);
    expect(pages.flat()).toEqual(ids.toReversed());
    const ofContext = await client.listTasks(listed({ contextId: "b", includeArtifacts: true }));
    expect(ofContext.tasks.map((task) => [task.contextId, told(task).text])).toEqual([
      ["b", "t3"],
      ["b", "t1"],
    ]);
    expect((await client.listTasks(listed({ status: TaskState.TASK_STATE_FAILED }))).tasks).toEqual([]);
    const later = new Date(Date.now() + 60_000).toISOString();
    expect((await client.listTasks(listed({ statusTimestampAfter: later }))).totalSize).toBe(0);
    expect(await failureOf(client.listTasks(listed({ pageToken: "none" })))).toMatchObject({ envelopeCode: -32602 });
    expect(await failureOf(client.listTasks(listed({ pageSize: 1_000 })))).toMatchObject({ envelopeCode: -32602 });
  });

  test("who waits longer than a call may has the task as it stands, and it goes on", async () => {
    const { connect, goOn } = await open({ bounds: { programWaitMs: 50 } });
    const client = await connect(gatewayToken, "shop");
    const task = taskIn(await client.sendMessage(ask("stream")));
    expect(["SUBMITTED", "WORKING"]).toContain(stateOf(task));
    const stream = client.resubscribeTask({ tenant: "", id: task.id });
    await startOf(stream);
    goOn("shop");
    expect((await restOf(stream)).at(-1)).toBe("COMPLETED");
  });

  test("a client of version 0.3 has the same agent", async () => {
    const { base, goOn } = await open();
    const fetchImpl = withToken(gatewayToken);
    const old = new LegacyJsonRpcTransport({ endpoint: `${base}/a2a/shop`, fetchImpl });
    const task = taskIn(
      await old.sendMessage({ ...ask("hello"), configuration: { ...atOnce, returnImmediately: false } }),
    );
    expect([stateOf(task), told(task).text]).toEqual(["COMPLETED", "hello"]);
    expect(stateOf(await old.getTask(ofTask(task.id)))).toBe("COMPLETED");
    const stream = old.sendMessageStream(ask("stream"));
    await startOf(stream);
    const words = await restOf(stream, (word) => void (word === "=one " && goOn("shop")));
    expect(words.at(-1)).toBe("COMPLETED");
    expect(await failureOf(old.getTask(ofTask("nothing")))).toMatchObject({ envelopeCode: -32001 });
  });
});

describe("A15.4: a caller of the Agent2Agent protocol", () => {
  test("that is granted one agent reaches no other, and learns nothing of it", async () => {
    const { base, caller, connect, gateway } = await open();
    const token = await caller("ci", "shop");
    expect(stateOf(taskIn(await (await connect(token, "shop")).sendMessage(ask("x"))))).toBe("COMPLETED");
    const refused = await Promise.all(
      ["main", "nobody"].map(async (id) => {
        const { status, error } = await post(`${base}/a2a/${id}`, token, rpc("GetTask", { id: "x" }));
        const card = await fetch(`${base}/a2a/${id}/.well-known/agent-card.json`, {
          headers: { authorization: `Bearer ${token}` },
        });
        return [status, error?.code, error?.message.replaceAll(id, "…"), card.status];
      }),
    );
    expect(refused[0]).toEqual([404, -32000, expect.stringContaining("no such agent"), 404]);
    expect(refused[1]).toEqual(refused[0]);
    const noted = await gateway.store.audits(100);
    expect(noted.filter(({ type, object }) => type === "refused" && object === "agent:main")).toMatchObject([
      { subject: "caller:ci", code: "CLOISTER_CAPABILITY_DENIED" },
    ]);
  });

  test("sees no task and no conversation of another caller, or of another agent", async () => {
    const { caller, connect } = await open();
    const [ci, other] = [await caller("ci", "shop", "main"), await caller("other", "shop")];
    const mine = await connect(ci, "shop");
    const theirs = await connect(other, "shop");
    const task = taskIn(await mine.sendMessage(ask("mine", { contextId: "c" })));
    const running = taskIn(await mine.sendMessage(sendNow("stream", { contextId: "c2" })));
    for (const client of [theirs, await connect(ci, "main"), await connect(gatewayToken, "shop")]) {
      for (const { id } of [task, running]) {
        const failures = [
          await failureOf(client.getTask(ofTask(id))),
          await failureOf(client.cancelTask({ tenant: "", id, metadata: undefined })),
          await failureOf(client.resubscribeTask({ tenant: "", id }).next()),
          await failureOf(client.sendMessage(ask("x", { taskId: id }))),
        ];
        expect(failures.map(({ name }) => name)).toEqual(failures.map(() => "TaskNotFoundError"));
      }
      expect((await client.listTasks(listed())).tasks).toEqual([]);
    }
    expect(told(taskIn(await theirs.sendMessage(ask("x", { contextId: "c" })))).turns).toBe(1);
    expect((await mine.listTasks(listed())).tasks.map(({ id }) => id)).toEqual([running.id, task.id]);
  });

  test("that is revoked hears it in the middle of its stream, and its run is stopped", async () => {
    const { base, caller, connect, revoke, gateway } = await open();
    const token = await caller("ci", "shop");
    const stream = (await connect(token, "shop")).sendMessageStream(ask("stream"));
    await startOf(stream);
    const rest = failureOf(restOf(stream));
    await revoke("ci");
    expect((await rest).message).toContain("was taken back");
    await eventually(() => expect(gateway.agents().find(({ agentId }) => agentId === "shop")?.activeRuns).toBe(0));
    expect((await post(`${base}/a2a/shop`, token, rpc("ListTasks", {}))).status).toBe(401);
  });

  test("has a bounded number of calls that wait, and the rest is told to come again", async () => {
    const { base, caller, connect } = await open({ bounds: { programCallsPerCallerMax: 1 } });
    const token = await caller("ci", "shop");
    const stream = (await connect(token, "shop")).sendMessageStream(ask("stream"));
    await startOf(stream);
    const busy = await post(
      `${base}/a2a/shop`,
      token,
      rpc("SendMessage", SendMessageRequest.toJSON(ask("x")) as object),
    );
    expect([busy.status, busy.error?.code, busy.id, busy.headers.get("retry-after")]).toEqual([503, -32000, 7, "1"]);
    expect(busy.error?.data).toMatchObject([{ reason: "CLOISTER_EDGE_BUSY", domain: "cloister" }]);
    await stream.return(undefined);
  });
});

describe("A15.4: what is wrong with a call of the Agent2Agent protocol is told in its words", () => {
  const send = (more: object = {}, message: object = {}) =>
    rpc("SendMessage", {
      message: { messageId: "m", role: "ROLE_USER", parts: [{ text: "x" }], ...message },
      ...more,
    });
  const push = { taskPushNotificationConfig: { url: "https://example.org/hook" } };
  test.each<[string, unknown, number, number, string]>([
    ["no JSON", "{", 400, -32700, "JSON"],
    ["JSON that nests too deeply", "[".repeat(200) + "]".repeat(200), 400, -32700, "deeper"],
    ["a list of requests", [send()], 400, -32600, "a list"],
    ["no request of JSON-RPC", { id: 1, method: "GetTask" }, 400, -32600, "jsonrpc"],
    ["a method that there is not", rpc("Nothing", {}), 200, -32601, "method"],
    ["a method of the other version", rpc("message/send", {}), 200, -32601, "method"],
    ["no message", rpc("SendMessage", {}), 200, -32602, "message"],
    ["no id of the message", send({}, { messageId: " " }), 200, -32602, "messageId"],
    ["a message of an agent", send({}, { role: "ROLE_AGENT" }), 200, -32602, "ROLE_USER"],
    ["a blank text", send({}, { parts: [{ text: " " }] }), 200, -32602, "visible character"],
    ["a context that is no name", send({}, { contextId: "a b" }), 200, -32602, "contextId"],
    ["a tenant", send({ tenant: "t" }), 200, -32602, "tenant"],
    ["a file", send({}, { parts: [{ raw: "eA==", mediaType: "image/png" }] }), 200, -32005, "message.parts.0"],
    ["a link", send({}, { parts: [{ text: "x" }, { url: "https://example.org" }] }), 200, -32005, "message.parts.1"],
    ["data", send({}, { parts: [{ data: { a: 1 } }] }), 200, -32005, "text/plain"],
    [
      "only pictures as the answer",
      send({ configuration: { acceptedOutputModes: ["image/png"] } }),
      200,
      -32005,
      "text",
    ],
    ["push notifications", send({ configuration: push }), 200, -32003, "push"],
    ["to set where they go", rpc("CreateTaskPushNotificationConfig", { taskId: "t" }), 200, -32003, "push"],
    ["another card", rpc("GetExtendedAgentCard", {}), 200, -32004, "one card"],
    ["a task that there is not", rpc("GetTask", { id: "nothing" }), 200, -32001, "nothing"],
    ["one of no context", rpc("GetTask", { id: "%.0-0-0" }), 200, -32001, "no task"],
    ["a stream of one that there is not", rpc("SubscribeToTask", { id: "nothing" }), 200, -32001, "nothing"],
    ["to a task that there is not", send({}, { taskId: "nothing" }), 200, -32001, "nothing"],
  ])("%s", async (_, body, status, code, words) => {
    const { base } = await open();
    const found = await post(`${base}/a2a/shop`, gatewayToken, body);
    expect([found.status, found.error?.code]).toEqual([status, code]);
    expect(found.error?.message).toContain(words);
  });

  test("a task takes no second message, and none of another context", async () => {
    const { connect } = await open();
    const client = await connect(gatewayToken, "shop");
    const task = taskIn(await client.sendMessage(ask("x")));
    const { id: taskId, contextId } = task;
    expect(await failureOf(client.sendMessage(ask("y", { taskId })))).toMatchObject({
      name: "UnsupportedOperationError",
    });
    expect(await failureOf(client.sendMessage(ask("y", { taskId, contextId })))).toMatchObject({
      name: "UnsupportedOperationError",
    });
    expect(await failureOf(client.sendMessage(ask("y", { taskId, contextId: "other" })))).toMatchObject({
      envelopeCode: -32602,
    });
  });

  test("a version that is not spoken, and one that is not named", async () => {
    const { base } = await open();
    const unknown = await post(`${base}/a2a/shop`, gatewayToken, send(), "2.0");
    expect([unknown.status, unknown.error?.code]).toEqual([200, -32009]);
    // Without the header it is 0.3, as the protocol has it; the remedy is told.
    const unnamed = await post(`${base}/a2a/shop`, gatewayToken, send(), "");
    expect([unnamed.error?.code, unnamed.error?.message]).toEqual([
      -32601,
      expect.stringContaining("A2A-Version: 1.0"),
    ]);
    expect((await post(`${base}/a2a/shop`, gatewayToken, send(), "1.0.7")).error).toBeUndefined();
  });

  test("no token, a wrong one, a body beyond the bound, and where it is not enabled", async () => {
    const { base } = await open({ bounds: { httpBodyBytesMax: 1_000 } });
    const wrong = await post(`${base}/a2a/shop`, "wrong", send());
    expect([wrong.status, wrong.error?.code, wrong.id]).toEqual([401, -32000, null]);
    expect(wrong.error?.data).toMatchObject([{ reason: "CLOISTER_EDGE_UNAUTHENTICATED" }]);
    const large = await post(`${base}/a2a/shop`, gatewayToken, send({}, { parts: [{ text: "x".repeat(2_000) }] }));
    expect([large.status, large.error?.data]).toMatchObject([413, [{ reason: "CLOISTER_EDGE_TOO_LARGE" }]]);
    expect((await fetch(`${base}/a2a/shop`, { headers: { authorization: `Bearer ${gatewayToken}` } })).status).toBe(
      405,
    );
    const closed = await open({
      settings: { programs: { chatCompletions: true, responses: true, mcp: true, a2a: false } },
    });
    for (const at of ["/a2a/shop", "/.well-known/agent-card.json"]) {
      const off = await fetch(`${closed.base}${at}`);
      expect(off.status).toBe(404);
      expect(await off.text()).toContain("gateway.http.endpoints.a2a.enabled");
    }
  });
});
