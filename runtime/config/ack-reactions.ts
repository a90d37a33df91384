/** With what a message is acknowledged: `ackReaction` of `messages`, of channels and of their accounts. Source: behaviour §1.8. */
import { resolveByAccount } from "./by-account.ts";
import { isMap } from "./is-map.ts";
import type { AckReaction, ResolvedConfig } from "./resolved.ts";
import type { Config } from "./schema.ts";

type Where = Pick<AckReaction, "direct" | "rooms">;
type Scope = NonNullable<Config["messages"]>["ackReactionScope"];

const scopes: Readonly<Record<Scope, Where>> = {
  all: { direct: true, rooms: "always" },
  direct: { direct: true, rooms: "never" },
  "group-all": { direct: false, rooms: "always" },
  "group-mentions": { direct: false, rooms: "mentions" },
  off: { direct: false, rooms: "never" },
  none: { direct: false, rooms: "never" },
};

export function resolveAckReactions(config: Config): ResolvedConfig["ackReactions"] {
  const { ackReaction, ackReactionScope = "group-mentions", removeAckAfterReply = false } = config.messages ?? {};
  const usual = { ...(ackReaction === undefined ? {} : { emoji: ackReaction.trim() }), ...scopes[ackReactionScope] };
  return {
    removed: removeAckAfterReply,
    ...resolveByAccount<AckReaction>(config, usual, (keys) => {
      // Channels that cannot react have no such key, and what stands there under this name was not checked.
      const written = "ackReaction" in keys ? keys.ackReaction : undefined;
      if (typeof written === "string") return { ...usual, emoji: written.trim() };
      if (!isMap(written)) return undefined;
      const { emoji, direct = true, group = "mentions" } = written;
      return { ...usual, ...(emoji === undefined ? {} : { emoji: emoji.trim() }), direct, rooms: group };
    }),
  };
}
