/** `/session` and `/agents`: the sub-agent's session that a conversation belongs to (`thread-bindings.ts`). Source: behaviour §3.6. */
import { limits } from "../../kernel/limits.ts";
import type { Conversation, ThreadBinding, ThreadBindings } from "../thread-bindings.ts";
import { type ChatCommand, type CommandCall, takesNothing } from "./table.ts";

const usage = "/session [unbind|idle <time|off>|max-age <time|off>]";
const unbound = "This conversation belongs to no sub-agent: the agents that the configuration names answer here.";

export function makeThreadCommands(threads: ThreadBindings, nowMs: () => number): readonly ChatCommand[] {
  const change = (call: CommandCall, name: "idleMs" | "maxAgeMs", text: string): string =>
    inConversation(call, (conversation) => {
      const ms = parseSpan(text);
      if (ms === undefined)
        return `Found ${JSON.stringify(text.slice(0, 40))}, wanted a time of up to 365d, like 30m, 24h or 7d, or off. Usage: ${usage}`;
      const binding = threads.change(conversation, { [name]: ms });
      return binding === undefined ? unbound : describe(binding, nowMs());
    });

  return [
    {
      name: "/session",
      usage,
      summary: "the sub-agent that this conversation belongs to: let go of it, or when it lets go by itself",
      takes: (rest) => /^(?:unbind|(?:idle|max-age)\s+\S+)?$/iu.test(rest),
      async run(call, rest) {
        const [action = "", value = ""] = rest.toLowerCase().split(/\s+/u);
        if (action === "idle") return { reply: change(call, "idleMs", value) };
        if (action === "max-age") return { reply: change(call, "maxAgeMs", value) };
        return {
          reply: inConversation(call, (conversation) => {
            if (action === "") {
              const binding = threads.find(conversation);
              return binding === undefined ? unbound : describe(binding, nowMs());
            }
            return threads.unbind(conversation, `${call.by} unbound it`)
              ? "Unbound: the sub-agent ends when it has nothing left to do, and who asked for it hears of that."
              : unbound;
          }),
        };
      },
    },
    {
      name: "/agents",
      usage: "/agents",
      summary: "the threads that sub-agents of this session have, and who answers here",
      takes: takesNothing,
      async run({ sessionKey, agentId }) {
        const found = threads.of(sessionKey);
        const lines = found.map((binding) => describe(binding, nowMs()));
        return { reply: [`Here answers: agent ${agentId}, session ${sessionKey}.`, ...lines].join("\n") };
      },
    },
  ];
}

function inConversation({ conversation }: CommandCall, answer: (conversation: Conversation) => string): string {
  return conversation === undefined ? "Threads are bound in channels: this is none." : answer(conversation);
}

function describe(
  { conversation, agentId, sessionKey, boundAtMs, idleMs, maxAgeMs }: ThreadBinding,
  atMs: number,
): string {
  const { channel, peerKind, peerId, threadId } = conversation;
  const where = `${channel} ${peerKind} ${peerId}${threadId === undefined ? "" : `, thread ${threadId}`}`;
  const ends = [
    idleMs === 0 ? "idle: off" : `idle: ${spanText(idleMs)}`,
    maxAgeMs === 0 ? "max-age: off" : `max-age: ${spanText(maxAgeMs)}`,
  ].join(", ");
  return `${where}: agent ${agentId}, session ${sessionKey}, for ${spanText(atMs - boundAtMs)}; ${ends}`;
}

const units = { m: 60_000, h: 3_600_000, d: 86_400_000 } as const;

/** 0: off. Undefined: it is no time, or one beyond the bound. */
function parseSpan(text: string): number | undefined {
  if (text === "off") return 0;
  const [, digits, unit = "m"] = /^(\d{1,6})(m|h|d)$/u.exec(text) ?? [];
  const ms = digits === undefined ? 0 : Number(digits) * units[unit as keyof typeof units];
  return ms >= units.m && ms <= limits.threadBindingMsMax ? ms : undefined;
}

function spanText(ms: number): string {
  if (ms < units.m) return `${Math.floor(ms / 1_000)}s`;
  const unit = ms % units.d === 0 ? "d" : ms % units.h === 0 ? "h" : "m";
  return `${Math.floor(ms / units[unit])}${unit}`;
}
