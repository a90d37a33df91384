/**
 * `/activation`: whether an agent answers everything that is said in its session's group. An owner may say so; from anybody else it
 * is an ordinary message. Source: behaviour §2.7.
 */
import type { Store } from "../../store/port.ts";
import type { ChatCommand } from "./table.ts";

export function makeActivationCommand(store: Pick<Store, "activation" | "setActivation">): ChatCommand {
  return {
    name: "/activation",
    usage: "/activation [mention|always]",
    summary: "in a group: answer when mentioned, or always",
    takes: (rest) => /^(?:mention|always)?$/iu.test(rest),
    mayGive: ({ isOwner }) => isOwner,
    async run({ sessionKey, isGroup }, rest) {
      if (!isGroup) return { reply: "Activation: there is nothing to say, only groups have it." };
      const word = rest.toLowerCase();
      if (word === "mention" || word === "always") {
        await store.setActivation(sessionKey, word);
        return { reply: `Activation: ${word}.` };
      }
      return { reply: `Activation: ${(await store.activation(sessionKey)) ?? "as the group's requireMention says"}.` };
    },
  };
}
