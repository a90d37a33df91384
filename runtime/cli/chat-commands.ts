/** What somebody at a terminal may type in a chat beside messages. Other words after a slash go to the gateway, which has its own. */
import type { ChatLine } from "./chat-line.ts";
import { parseAgents, parseSessions } from "./gateway-rows.ts";
import { formatHistory, formatSessions } from "./views/sessions.ts";

export type ChatStep =
  | { readonly type: "said"; readonly lines: readonly string[] }
  /** Said by the gateway or an agent. */
  | { readonly type: "message"; readonly text: string }
  | { readonly type: "move"; readonly to: { readonly agent: string } | { readonly session: string } }
  | { readonly type: "leave" };

interface Entry {
  readonly usage: string;
  readonly what: string;
  readonly run: (line: ChatLine, rest: string, nowMs: number) => Promise<ChatStep> | ChatStep;
}

const said = (...lines: readonly string[]): ChatStep => ({ type: "said", lines });

const historyDefault = 10;
const sessionsShown = 20;

const table: Readonly<Record<string, Entry>> = {
  help: { usage: "/help", what: "these commands", run: () => said(...helpLines()) },
  agent: {
    usage: "/agent <id>",
    what: "talk with another agent",
    run: async (line, rest) => {
      if (rest !== "") return { type: "move", to: { agent: rest } };
      const agents = parseAgents(await line.request("agents.list", {}));
      return said(
        ...agents.map(({ agentId, phase, isDefault }) => `${agentId}${isDefault ? " (default)" : ""}  ${phase}`),
      );
    },
  },
  session: {
    usage: "/session <key>",
    what: "go to another session",
    run: (line, rest) => (rest === "" ? said(line.sessionKey) : { type: "move", to: { session: rest } }),
  },
  sessions: {
    usage: "/sessions",
    what: "the newest sessions",
    run: async (line, _rest, nowMs) =>
      said(...formatSessions(parseSessions(await line.request("sessions.list", { limit: sessionsShown })), nowMs)),
  },
  history: {
    usage: "/history [n]",
    what: "the last messages",
    run: async (line, rest) => {
      const limit = rest === "" ? historyDefault : Number(rest);
      if (!Number.isInteger(limit) || limit < 1) return said("wanted a number: /history 20");
      return said(...formatHistory(await line.history(limit)));
    },
  },
  quit: { usage: "/quit", what: "leave", run: () => ({ type: "leave" }) },
};

const others: Readonly<Record<string, string>> = { exit: "quit" };

export const chatCommandNames: readonly string[] = [...Object.keys(table), "abort"].map((name) => `/${name}`);

function helpLines(): readonly string[] {
  const rows = [...Object.values(table), { usage: "/abort", what: "stop the answer that is running, as Ctrl-C does" }];
  const width = Math.max(...rows.map(({ usage }) => usage.length));
  return [
    ...rows.map(({ usage, what }) => `${usage.padEnd(width)}  ${what}`),
    "Other commands, such as /status, /new and /stop, are the gateway's.",
  ];
}

export async function stepOf(line: ChatLine, typed: string, nowMs: number): Promise<ChatStep> {
  const { word, rest = "" } = /^\/(?<word>[a-z]+)(?:\s+(?<rest>.*))?$/is.exec(typed)?.groups ?? {};
  const name = word?.toLowerCase() ?? "";
  const known = others[name] ?? name;
  const entry = Object.hasOwn(table, known) ? table[known] : undefined;
  return entry === undefined ? { type: "message", text: typed } : entry.run(line, rest.trim(), nowMs);
}
