/** `ctx.tools`: calls of the gateway's tools, which the kernel checks, records and answers. */
import { isCoded, toRefusal } from "../../kernel/errors.ts";
import { up } from "../../kernel/frames.ts";
import { refusalResult } from "../../kernel/tool-results.ts";
import type { ToolResult, Tools, ToolSpec } from "../actor-port.ts";
import type { Mailbox } from "./mailbox.ts";
import type { Slots } from "./slots.ts";

/** Texts of the lists that turns were told. A model's request with such a list sends its text as it came (`model.ts`). */
const texts = new WeakMap<object, string>();
let last: { readonly text: string; readonly list: readonly ToolSpec[] } | undefined;

/** Undefined: it is no list of `ctx.tools`. */
export function textOfList(list: object | undefined): string | undefined {
  return list === undefined ? undefined : texts.get(list);
}

/** Frozen, since turns share it: it is the same from turn to turn, and reading it takes longer than most else of a short one. */
function readList(text: string): readonly ToolSpec[] {
  if (last?.text === text) return last.list;
  const list = freeze(JSON.parse(text)) as readonly ToolSpec[];
  texts.set(list, text);
  last = { text, list };
  return list;
}

function freeze(value: unknown): unknown {
  if (typeof value !== "object" || value === null) return value;
  for (const part of Object.values(value)) freeze(part);
  return Object.freeze(value);
}

type SessionTools = Omit<Tools, "list" | "call">;

export interface ToldTools extends Tools {
  /** The text of the list that the turn was told last; undefined also while it asks for another. */
  readonly toldText: () => string | undefined;
}

/** `nextCall` numbers the calls of the turn; `offered` is the list that came with its delivery. */
export function makeTools(
  slots: Slots,
  mailbox: Mailbox,
  turn: number,
  nextCall: (what: string) => number,
  offered?: string,
): ToldTools {
  let told: string | undefined;
  let lists = 0;
  const call = async (tool: string, params: object, body: string): Promise<ToolResult> => {
    const number = nextCall(`ctx.tools.${tool}`);
    const slot = slots.find([`tool:${tool}`], "gateway");
    const answer = await mailbox.ask(
      {
        op: up.call,
        turn,
        slot,
        num: number,
        a: tool,
        b: JSON.stringify(params),
        c: body,
        credit: false,
      },
      "result",
    );
    return JSON.parse(answer.text) as ToolResult;
  };
  const sessionTools: SessionTools = {
    sessions_list: (params = {}) => call("sessions_list", params, ""),
    sessions_history: (params) => call("sessions_history", params, ""),
    session_status: (params = {}) => call("session_status", params, ""),
    sessions: (params) => call("sessions", params, ""),
    sessions_search: (params) => call("sessions_search", params, ""),
    agents_list: () => call("agents_list", {}, ""),
    subagents: (params = {}) => call("subagents", params, ""),
    sessions_yield: (params = {}) => call("sessions_yield", params, ""),
    sessions_spawn: (params) => {
      const { task, attachments, ...rest } = params as Record<string, unknown>;
      // What files hold goes behind the task: parameters are read, and bounded, by the supervisor.
      const { listed, contents } = listFiles(attachments);
      return call("sessions_spawn", { ...rest, ...listed }, (typeof task === "string" ? task : "") + contents);
    },
    sessions_send: (params) => {
      // The message travels apart from the parameters: the supervisor reads those and never the message.
      const { message, content, text, ...rest } = params as Record<string, unknown>;
      const body = message ?? content ?? text;
      return call(
        "sessions_send",
        { ...rest, hasMessage: typeof body === "string" && body !== "" },
        typeof body === "string" ? body : "",
      );
    },
  };
  return {
    ...sessionTools,
    async list() {
      const num = nextCall("ctx.tools.list");
      if (num === 0 && offered !== undefined) {
        // The kernel hears of it before whatever the turn says next.
        mailbox.tellLater(up.tools, turn, num);
        told = offered;
        return readList(offered);
      }
      const record = { op: up.tools, turn, slot: 0, num, a: "", b: "", c: "", credit: false };
      // Until the answer is there it is not known which list the kernel would take for the last one.
      told = undefined;
      const asked = ++lists;
      const { text } = await mailbox.ask(record, "result");
      if (asked === lists) told = text;
      return readList(text);
    },
    toldText: () => told,
    call: (name, params = {}) =>
      asResult(
        Object.hasOwn(sessionTools, name)
          ? sessionTools[name as keyof SessionTools](params)
          : call(asText(name), {}, JSON.stringify(params)),
      ),
  };
}

/** What a model can do something about is a result to it; that a call came to nothing is not. */
async function asResult(called: Promise<ToolResult>): Promise<ToolResult> {
  try {
    return await called;
  } catch (error) {
    const refusal = isCoded(error) ? refusalResult(toRefusal(error)) : undefined;
    if (refusal === undefined) throw error;
    return refusal;
  }
}

/** What is not a file goes as it is, for the supervisor to refuse. */
function listFiles(attachments: unknown): { readonly listed: object; readonly contents: string } {
  if (attachments === undefined) return { listed: {}, contents: "" };
  if (!Array.isArray(attachments)) return { listed: { attachments }, contents: "" };
  let contents = "";
  const listed = attachments.map((file: unknown) => {
    const { content, ...rest } = (typeof file === "object" && file !== null ? file : {}) as { content?: unknown };
    if (typeof content !== "string") return rest;
    contents += content;
    return { ...rest, chars: content.length };
  });
  return { listed: { attachments: listed }, contents };
}

/** Actors in plain JavaScript may give anything. */
export function asText(value: unknown): string {
  return String(value);
}
