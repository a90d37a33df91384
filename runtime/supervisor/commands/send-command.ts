/** `/send`: whether answers of this session leave for its channel. An owner may say so; from anybody else it is an ordinary message. Source: behaviour §1.5. */
import type { ResolvedConfig } from "../../config/resolved.ts";
import type { Store } from "../../store/port.ts";
import { sendingOf } from "../send-policy.ts";
import type { SessionCare } from "../session-care.ts";
import type { ChatCommand } from "./table.ts";

const words = { on: "allow", off: "deny", inherit: null } as const;

export interface SendCommandDeps {
  readonly config: Pick<ResolvedConfig, "session">;
  readonly store: Pick<Store, "session">;
  readonly care: Pick<SessionCare, "patch">;
}

export function makeSendCommand({ config, store, care }: SendCommandDeps): ChatCommand {
  return {
    name: "/send",
    usage: "/send [on|off|inherit]",
    summary: "whether answers of this session leave for its channel",
    takes: (rest) => rest === "" || Object.hasOwn(words, rest.toLowerCase()),
    mayGive: ({ isOwner }) => isOwner,
    needs: (rest) => (rest === "" ? undefined : "operator.admin"),
    async run({ sessionKey, agentId }, rest) {
      const word = rest.toLowerCase();
      const row =
        word === ""
          ? await store.session(sessionKey)
          : await care.patch(sessionKey, agentId, { sendPolicy: words[word as keyof typeof words] });
      const { action, by } = sendingOf(config, sessionKey, row);
      return { reply: `Send: ${action === "allow" ? "on" : "off"} (${by}).` };
    },
  };
}
