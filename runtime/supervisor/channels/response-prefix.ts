/**
 * What answers on channels begin with (`responsePrefix`), for people alone: it is in no transcript, in no row of the store, and in nothing that
 * other agents of a group are told. So an answer that is sent again begins as it is configured then. Source: behaviour §1.7.
 */
import { takeMediaLines } from "../../../channels/media.ts";
import { findByAccount } from "../../config/by-account.ts";
import type { ResolvedAgent, ResolvedConfig } from "../../config/resolved.ts";
import { urlChannel } from "../../kernel/envelope.ts";
import { limits } from "../../kernel/limits.ts";
import type { ChannelRoute, Deliver } from "../answers.ts";
import { carriesFiles } from "../post.ts";

export interface ResponsePrefix {
  /** Of this agent's answers there; empty: nothing. */
  readonly of: (agentId: string, route: Pick<ChannelRoute, "channel" | "accountId">) => string;
  /** The beginning of an answer as it is sent. One that already begins so, and one of files alone, stays as it is. */
  readonly before: (about: Pick<Parameters<Deliver>[0], "agentId">, route: ChannelRoute, text: string) => string;
}

export function makeResponsePrefix(
  config: Pick<ResolvedConfig, "responsePrefixes" | "ownChannels">,
  agentOf: (agentId: string) => Pick<ResolvedAgent, "groupChat"> | undefined,
): ResponsePrefix {
  const of: ResponsePrefix["of"] = (agentId, { channel, accountId }) => {
    // What a job tells a program is no answer to people.
    if (channel === urlChannel) return "";
    const written = findByAccount(config.responsePrefixes, channel, accountId).trim();
    if (written !== "auto") return written;
    const name = agentOf(agentId)?.groupChat?.identity?.name;
    return name === undefined ? "" : `[${name.slice(0, limits.responsePrefixCharsMax - 2)}]`;
  };
  return {
    of,
    before({ agentId }, route, text) {
      const prefix = of(agentId, route);
      const said = carriesFiles(config, route.channel) ? takeMediaLines(text, limits.channelFilesMax).text : text;
      if (prefix === "" || said.trim() === "" || said.trimStart().startsWith(prefix)) return text;
      return `${prefix}${needsItsLine.test(text) ? "\n" : " "}${text.trimStart()}`;
    },
  };
}

/** Blocks of code, headings, lists, quotes, tables and the names of files are such at the beginning of a line alone. */
const needsItsLine = /^\s*(?:```|~~~|#{1,6}\s|[-*+]\s|\d+[.)]\s|>|\||MEDIA:)/;
