/**
 * What the module `assistant` gets, without a cell: a model that answers from a list, tools that note that they were called, a workspace
 * in memory, and a book of records as the kernel keeps one (ADR 0015). A delivery may be made to crash behind any record.
 */
import { failure } from "../../runtime/kernel/errors.ts";
import type {
  ActorDefinition,
  Context,
  ExchangeMessage,
  IncomingMessage,
  MessagePart,
  ToolResult,
  ToolSpec,
  Workspace,
} from "../../runtime/thread/actor-port.ts";
import type { AgentSettings } from "../../runtime/thread/agent-settings.ts";
import type { ModelAnswer, ModelRequest } from "../../runtime/thread/model-port.ts";
import assistant from "../../actors/assistant/index.ts";
import type { Conversation } from "../../actors/assistant/conversation.ts";
import { agentSettings } from "./agent-settings.ts";

export type Said = Partial<ModelAnswer> | Error;

export interface AssistantWorld {
  readonly agentId?: string;
  readonly sessionKey?: string;
  /** What the gateway knows of the session. */
  readonly session?: Omit<Context<Conversation>["session"], "key">;
  readonly settings?: Partial<AgentSettings>;
  readonly files?: Readonly<Record<string, string>>;
  readonly tools?: readonly string[];
  /** What the model answers; `number` counts the calls that were really made, from 0. */
  readonly model: (request: ModelRequest, number: number) => Said;
  readonly tool?: (name: string, params: object, number: number) => ToolResult | Error;
  /** What people say meanwhile, by the number of the question. */
  readonly steered?: (number: number) => readonly MessagePart[];
}

export interface AssistantSession {
  state: Conversation;
  /** Requests that a model really got, and calls that a tool really got. */
  readonly requests: ModelRequest[];
  readonly calls: { readonly name: string; readonly params: object }[];
  readonly streamed: string[];
  /** Summaries that the delivery that ended the last turn told of. */
  compacted: string[];
  readonly logged: string[];
  readonly abort: AbortController;
  /** One turn; with `crashes` it is delivered again after a crash behind each of these records, counted over the turn. Undefined: silent. */
  say(text: string | Partial<IncomingMessage>, crashes?: readonly number[]): Promise<string | undefined>;
  exchange(message: Partial<ExchangeMessage>): Promise<string | undefined>;
  /** Records that the last turn made. */
  readonly records: number;
}

const nowMs = Date.UTC(2026, 10, 21, 12);

class Crash extends Error {}

export function openAssistant(world: AssistantWorld): AssistantSession {
  const agentId = world.agentId ?? "main";
  const sessionKey = world.sessionKey ?? `agent:${agentId}:main`;
  const settings = agentSettings(agentId, world.settings);
  const schema = assistant.state as Extract<ActorDefinition<Conversation>["state"], { "~standard": unknown }>;
  let messages = 0;
  let asked = 0;
  let steeredAsked = 0;

  const deliver = async (
    run: (ctx: Context<Conversation>) => Promise<void> | void,
    book: Map<number, unknown>,
    crashAfter: number | undefined,
  ): Promise<string | undefined> => {
    let call = 0;
    const replies: string[] = [];
    const compacted: string[] = [];
    /** What is on record is heard again; else it is done, recorded, and heard unless the cell ends in between. */
    const recorded = async <T>(what: string, act: () => T | Error): Promise<T> => {
      const key = call++;
      const before = book.get(key) as { readonly what: string; readonly result: T | Error } | undefined;
      if (before !== undefined && before.what !== what)
        throw failure("CLOISTER_TURN_DIVERGED", `call ${key} is ${what}; before it was ${before.what}`);
      const row = before ?? { what, result: act() };
      book.set(key, row);
      if (before === undefined && book.size === crashAfter) throw new Crash("the cell ends");
      if (row.result instanceof Error) throw row.result;
      return JSON.parse(JSON.stringify(row.result)) as T;
    };
    const stored = JSON.stringify(session.state);
    const ctx = {
      agent: { id: agentId, model: "test/model", options: {}, settings },
      session: { ...world.session, key: sessionKey },
      state: JSON.parse(stored) as Conversation,
      workspace: memoryWorkspace(world.files ?? {}),
      signal: session.abort.signal,
      log: logOf(session.logged),
      reply: (text: string) => void replies.push(text),
      compacted: (summary: string) => void compacted.push(summary),
      stream: (text: string) => void session.streamed.push(text),
      steered: () => recorded("take", () => world.steered?.(steeredAsked++) ?? []),
      tools: {
        list: () => recorded("tools.list", () => (world.tools ?? []).map(specOf)),
        call: (name: string, params: object = {}) =>
          recorded(`tool ${name}`, () => {
            session.calls.push({ name, params });
            return world.tool?.(name, params, session.calls.length - 1) ?? { status: "ok" };
          }),
      },
      model: {
        generate: (request: ModelRequest, { onText }: { readonly onText?: (text: string) => void } = {}) =>
          recorded("model", () => {
            session.requests.push(request);
            const said = world.model(request, asked++);
            if (said instanceof Error) return said;
            const answer = answerOf(said);
            if (answer.text !== "") onText?.(answer.text);
            return answer;
          }),
      },
    } as unknown as Context<Conversation>;
    await run(ctx);
    session.records = book.size;
    session.compacted = compacted;
    session.state = JSON.parse(JSON.stringify(ctx.state)) as Conversation;
    return replies.length === 0 ? undefined : replies.join("\n\n");
  };

  const turn = async (
    run: (ctx: Context<Conversation>) => Promise<void> | void,
    crashes: readonly number[] = [],
  ): Promise<string | undefined> => {
    const book = new Map<number, unknown>();
    for (const crashAfter of [...crashes, undefined]) {
      try {
        return await deliver(run, book, crashAfter);
      } catch (error) {
        if (!(error instanceof Crash)) throw error;
      }
    }
    throw new Error("unreachable: the last delivery does not crash");
  };

  const session: AssistantSession & { records: number } = {
    state: { messages: [], compactions: 0 },
    requests: [],
    calls: [],
    streamed: [],
    compacted: [],
    logged: [],
    abort: new AbortController(),
    records: 0,
    say: (text, crashes) => {
      const message = messageOf(++messages, typeof text === "string" ? { text } : text);
      return turn((ctx) => assistant.message(ctx, message), crashes);
    },
    exchange: (given) => {
      const message = messageOf(++messages, given) as ExchangeMessage;
      return turn((ctx) => assistant.exchange?.(ctx, message));
    },
  };
  const opened = schema["~standard"].validate({});
  if (!(opened instanceof Promise) && opened.issues === undefined) session.state = opened.value;
  return session;
}

function messageOf(number: number, given: Partial<IncomingMessage>): IncomingMessage {
  const text = given.text ?? "";
  return {
    id: `m${number}`,
    text,
    framed: text,
    provenance: { kind: "external_user", sourceChannel: "test" },
    attempt: 1,
    receivedAtMs: nowMs + number * 1_000,
    ...given,
  };
}

export function answerOf(said: Partial<ModelAnswer>): ModelAnswer {
  const toolCalls = said.toolCalls ?? [];
  return {
    text: "",
    toolCalls,
    finish: toolCalls.length > 0 ? "tool_calls" : "stop",
    usage: { inputTokens: 0, outputTokens: 0 },
    model: "test/model",
    ...said,
  };
}

export function partOf(text: string, given: Partial<MessagePart> = {}): MessagePart {
  const provenance = { kind: "external_user", sourceChannel: "test" } as const;
  return { id: "p", text, framed: text, provenance, receivedAtMs: nowMs, isShortened: false, ...given };
}

function specOf(name: string): ToolSpec {
  return { name, description: `Does ${name}.`, parameters: { type: "object" } };
}

function logOf(lines: string[]): Context<Conversation>["log"] {
  const write = (line: string): void => void lines.push(line);
  return { debug: write, info: write, warn: write, error: write };
}

/** Files by path; a file whose text begins with `->` is a link that leaves the workspace. */
export function memoryWorkspace(files: Readonly<Record<string, string>>): Workspace {
  const names = Object.keys(files);
  const missing = (path: string): Error => Object.assign(new Error(`no ${path}`), { code: "ENOENT" });
  return {
    root: "/workspace",
    async read(path) {
      const text = files[path];
      if (text === undefined) throw missing(path);
      if (text.startsWith("->")) throw failure("CLOISTER_WORKSPACE_ESCAPE", `the path ${path} leaves the workspace`);
      return text;
    },
    async stamp(path) {
      const inside = names.filter((name) => name === path || name.startsWith(`${path}/`));
      if (inside.length === 0) throw missing(path);
      return { value: inside.map((name) => `${name} ${files[name]}`).join("\n"), changedMs: 0, bytes: 1 };
    },
    async stamps(paths) {
      return paths.map((path) => {
        if (files[path]?.startsWith("->") === true) return "outside" as const;
        return names.some((name) => name === path || name.startsWith(`${path}/`))
          ? { value: `${path} ${files[path]}`, changedMs: 0, bytes: 1 }
          : ("missing" as const);
      });
    },
    async list(path = ".") {
      const below = path === "." ? "" : `${path}/`;
      const inside = names.filter((name) => name.startsWith(below)).map((name) => name.slice(below.length));
      if (inside.length === 0 && path !== ".") throw missing(path);
      const entries = new Map(inside.map((name) => [name.split("/")[0] ?? "", name.includes("/")]));
      return [...entries].map(([name, isFolder]) => ({ name, type: isFolder ? "directory" : "file" }) as const);
    },
    exists: async (path) => files[path] !== undefined,
    resolve: async (path) => `/workspace/${path}`,
    write: () => Promise.reject(new Error("not in this test")),
    append: () => Promise.reject(new Error("not in this test")),
    remove: () => Promise.reject(new Error("not in this test")),
  };
}
