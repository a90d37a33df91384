/** Where texts leave the gateway: the webhook's client in the edge, and the channels with threads of their own. */
import { randomUUID } from "node:crypto";
import type { SenderPlace } from "../../../auth/senders.ts";
import type { ResolvedAgent, ResolvedConfig } from "../../config/resolved.ts";
import type { EdgeForKernel } from "../../edge/port.ts";
import { toRefusal } from "../../kernel/errors.ts";
import type { Deliver } from "../answers.ts";
import { type ApprovalNotices, type ApprovalNoticesDeps, makeApprovalNotices } from "../approval-notices.ts";
import type { ChannelMail } from "../channel-mail.ts";
import type { Commands } from "../commands/index.ts";
import { makeMessageOf, makePost, type Post } from "../post.ts";
import { answerDelivered } from "../room-answers.ts";
import { makeWhyNoSending, type SendPolicyDeps } from "../send-policy.ts";
import { makeInbox } from "./inbox.ts";
import { type BlocksDeps, makeBlocks } from "./blocks.ts";
import { type ChannelDesk, type ChannelDeskDeps, makeChannelDesk } from "./channel-desk.ts";
import { makeChannelClock } from "./channel-life.ts";
import { makePreviews } from "./previews.ts";
import { makeResponsePrefix } from "./response-prefix.ts";

export interface OutletsDeps extends Pick<ChannelDeskDeps, "start" | "runs" | "note" | "log"> {
  readonly config: Pick<
    ResolvedConfig,
    | "channels"
    | "commands"
    | "webhook"
    | "defaultAgentId"
    | "typing"
    | "blocks"
    | "responsePrefixes"
    | "ackReactions"
    | "session"
    | "stateDir"
  > &
    ApprovalNoticesDeps["config"];
  readonly store: SendPolicyDeps["store"] & BlocksDeps["store"];
  /** For answers of jobs. */
  readonly toUrl: Parameters<typeof makePost>[3];
  /** The operator's methods. */
  readonly rpc: ApprovalNoticesDeps["rpc"];
  readonly commands: () => Pick<Commands, "list">;
  readonly edge: () => Pick<EdgeForKernel, "send"> | undefined;
  readonly mail: () => ChannelMail;
  readonly onDeadLetter: () => void;
  readonly agentOf: (
    agentId: string,
  ) => Pick<ResolvedAgent, "workspace" | "groupChat" | "blockPause" | "settings"> | undefined;
  readonly nowMs: () => number;
}

export interface Outlets {
  readonly channels: ChannelDesk;
  readonly post: Post;
  /** As `ChannelMailDeps.bring`. */
  readonly bring: ReturnType<typeof makeInbox>;
  /** A text has left: the other agents of a group see it. */
  readonly sent: (...said: Parameters<typeof answerDelivered>) => void;
  readonly deliver: Deliver;
  /** It has no turn whose row would keep it. */
  readonly answerCommand: (...answer: Parameters<Post>) => void;
  /** To a person, in the direct chat; it belongs to no session. */
  readonly tell: (to: SenderPlace & { readonly peerId: string }, text: string) => ReturnType<Post>;
  /** Whether answers to this account leave by themselves; else they stay in the session. */
  readonly carriesAnswers: (channel: string, accountId: string) => boolean;
  readonly notices: ApprovalNotices;
}

export function makeOutlets({
  config,
  store,
  commands,
  edge,
  mail,
  agentOf,
  toUrl,
  onDeadLetter,
  nowMs,
  rpc,
  ...deps
}: OutletsDeps): Outlets {
  const clock = makeChannelClock(nowMs);
  const workspaceOf = (agentId: string): string | undefined => agentOf(agentId)?.workspace;
  const channels = makeChannelDesk({
    ...deps,
    accounts: () => config.channels,
    ownChannels: () => config.ownChannels,
    stateDir: config.stateDir,
    menu: () =>
      config.commands.text && config.commands.native
        ? commands()
            .list()
            .map(({ name, summary }) => ({ name, summary }))
        : [],
    inbound: (event) => mail().inbound(event, undefined),
    giveUp: (...givenUp) =>
      mail()
        .giveUp(...givenUp)
        .then(onDeadLetter),
    isMeant: (event) => mail().isMeant(event),
    newId: randomUUID,
    clock,
    typing: () => config.typing,
    acks: () => config.ackReactions,
    emojiOf: (agentId) => agentOf(agentId)?.settings.emoji,
  });
  const messageOf = makeMessageOf(config, workspaceOf);
  const whyNoSending = makeWhyNoSending({ config, store });
  const prefix = makeResponsePrefix(config, agentOf);
  const previews = makePreviews({
    channels: {
      ...channels,
      // What goes out in pieces is not shown by edits beside that.
      settings: (...account) => (blocks.isOn(...account) ? undefined : channels.settings(...account)),
    },
    runs: deps.runs,
    whyNoSending,
    messageOf,
    asBegun: prefix.before,
    clock,
  });
  const send: ChannelDesk["send"] = (message, leftAtMs) => {
    previews.passed(message);
    return channels.send(message, leftAtMs);
  };
  const post = makePost(edge, { send }, messageOf, toUrl);
  const carriesAnswers: Outlets["carriesAnswers"] = (channel, accountId) =>
    channels.has(channel, accountId) ||
    (channel === "webhook" && config.webhook?.accounts[accountId]?.outboundUrl !== undefined);
  const sent: Outlets["sent"] = (...said) => void mail().answered(answerDelivered(...said));
  const blocks = makeBlocks({
    rules: () => config.blocks,
    pauseOf: (agentId) => agentOf(agentId)?.blockPause,
    channels,
    runs: deps.runs,
    store,
    whyNoSending,
    prefixOf: prefix.of,
    async send(about, route, text, isFirst, leftAtMs) {
      const begun = isFirst ? prefix.before(about, route, text) : text;
      sent(about, route, text, await post(about, route, begun, leftAtMs));
    },
    clock,
    log: deps.log,
  });
  return {
    channels,
    post,
    bring: makeInbox({ channels, workspaceOf, newId: randomUUID, log: deps.log }),
    sent,
    deliver: (about, route, text, leftAtMs) =>
      blocks.answer(about, route, text, leftAtMs, async (said, to, isFirst) => {
        const begun = isFirst ? prefix.before(about, to, said) : said;
        const message = messageOf(about, to, begun);
        const platformMessageId = await previews.answer(message, () => post(about, to, begun, leftAtMs));
        sent(about, to, said, platformMessageId);
      }),
    answerCommand: (...answer) =>
      void post(...answer).catch((error: unknown) =>
        deps.log.warn(
          { session: answer[0].sessionKey, error: toRefusal(error) },
          "the answer of a command was not delivered",
        ),
      ),
    tell: ({ channel, accountId, peerId }, text) => {
      const route = { type: "channel" as const, channel, accountId, peerKind: "direct" as const, peerId };
      return post({ id: randomUUID(), agentId: config.defaultAgentId, sessionKey: "" }, route, text);
    },
    carriesAnswers,
    notices: makeApprovalNotices({ config, rpc, post, carriesAnswers, newId: randomUUID, log: deps.log }),
  };
}
