/** `/elevated`: whether commands of this session, or of one message of it, leave its sandbox, as far as the gates of `tools.elevated` let whoever speaks. Source: behaviour §7.5. */
import type { ResolvedAgent, ResolvedConfig } from "../../config/resolved.ts";
import { elevatedLevels } from "../../kernel/session-choices.ts";
import type { SessionRow, Store } from "../../store/port.ts";
import type { SessionCare } from "../session-care.ts";
import { isSandboxed } from "../sandboxed.ts";
import { elevatedKeys, isElevatedSender, levelOf, rulesOutside } from "../tools/elevated.ts";
import type { ChatCommand, CommandCall } from "./table.ts";

export interface ElevatedCommandDeps {
  readonly config: Pick<ResolvedConfig, "session">;
  readonly agents: ReadonlyMap<string, Pick<ResolvedAgent, "id" | "exec" | "sandboxMode">>;
  readonly store: Pick<Store, "session">;
  readonly care: Pick<SessionCare, "patch">;
}

export function makeElevatedCommand({ config, agents, store, care }: ElevatedCommandDeps): ChatCommand {
  /** Why whoever speaks may not choose. */
  const whyNot = ({ agentId, channel, senderId }: CommandCall): string | undefined => {
    const elevated = agents.get(agentId)?.exec.elevated;
    if (elevated?.enabled !== true) return `it is off for ${agentId} (${elevatedKeys.enabled(agentId)})`;
    if (senderId === undefined || isElevatedSender(elevated, { channel, senderId })) return undefined;
    return `you are not named (${elevatedKeys.allowFrom(agentId)})`;
  };

  const tell = ({ agentId, sessionKey }: CommandCall, row: SessionRow | undefined): string => {
    const agent = agents.get(agentId);
    if (agent === undefined || !isSandboxed(agent, sessionKey, config.session))
      return "Elevated: this session has no sandbox to leave.";
    const chosen = row?.choices?.elevated;
    const level = levelOf(agent.exec, chosen);
    const { security, ask } = rulesOutside(agent.exec.onHost, level);
    const rules = `security ${security}, ask ${ask}`;
    if (level === undefined) return `Elevated: where a call asks for it (${rules}), as configured.`;
    const whose = chosen === undefined ? ", as configured" : " in this session";
    return level === "off" ? `Elevated: off${whose}.` : `Elevated: ${level}${whose} (${rules}).`;
  };

  return {
    name: "/elevated",
    usage: "/elevated [on|ask|full|off|default] [message]",
    summary: "whether commands of this session leave its sandbox; with a message, those for it alone",
    takes: (rest) => /^(?:default|(?:on|ask|full|off)(?:\s[^]*)?)?$/iu.test(rest),
    needs: (rest) => (rest === "" ? undefined : "operator.admin"),
    async run(call, rest) {
      const { sessionKey, agentId } = call;
      if (rest === "") return { reply: tell(call, await store.session(sessionKey)) };
      const [, word = "", message = ""] = /^(\S+)\s*([^]*)$/u.exec(rest) ?? [];
      const level = elevatedLevels.find((one) => one === word.toLowerCase()) ?? null;
      // Back into the sandbox leads every way.
      const why = level === "off" ? undefined : whyNot(call);
      if (why !== undefined) return { reply: `Nothing was ${message === "" ? "changed" : "done"}: ${why}.` };
      if (message !== "" && level !== null) return { reply: "", message, choices: { elevated: level } };
      return { reply: tell(call, await care.patch(sessionKey, agentId, { elevated: level })) };
    },
  };
}
