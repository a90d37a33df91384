/**
 * `message`: says something on a channel in the middle of a turn, or changes what is there. Where the turn came from, or its session last spoke, it needs no right beside the
 * tool; any other place needs one to deliver there (`tools.message.deliver`). The call's number is the key of what is sent: a turn that is handled
 * again sends it under the same key, and a receiver that knows the key has it once. Source: behaviour §3.7; docs/adr/0053-what-agents-send.md.
 */
import { z } from "zod";
import type { ChannelAction, SendResult } from "../../../channels/port.ts";
import type { EnvelopeHeader } from "../../kernel/envelope.ts";
import { toRefusal } from "../../kernel/errors.ts";
import { limits } from "../../kernel/limits.ts";
import type { PairingRegistry } from "../../kernel/pairings.ts";
import type { ResolvedConfig } from "../../config/resolved.ts";
import type { Store } from "../../store/port.ts";
import { accountOf, addressText, readAddress, routeHere } from "../answer-address.ts";
import type { ChannelRoute } from "../answers.ts";
import type { makeAuditNote } from "../audit-trail.ts";
import type { ChannelDesk } from "../channels/channel-desk.ts";
import { approveCommandName } from "../commands/approve-command.ts";
import { carriesFiles, type Post } from "../post.ts";
import { makeWhyNoSending } from "../send-policy.ts";
import { readsBody } from "./in-body.ts";
import { defineTool, fault, forbidden, type Tool } from "./table.ts";

export interface MessageDeps {
  readonly config: Pick<ResolvedConfig, "channelDefaults" | "accountsOn" | "bindings" | "session" | "ownChannels">;
  readonly store: Pick<Store, "session" | "chosenSending">;
  readonly pairings: () => Pick<PairingRegistry, "find">;
  readonly carriesAnswers: (channel: string, accountId: string) => boolean;
  readonly post: Post;
  readonly channels: Pick<ChannelDesk, "act">;
  /** It is on its channel: what else has to know of it. */
  readonly sent: (about: Parameters<Post>[0], route: ChannelRoute, text: string, messageId?: string) => void;
  readonly note: ReturnType<typeof makeAuditNote>;
  readonly nowMs: () => number;
}

const word = z.string().trim().min(1).max(256);

const line = z
  .string()
  .min(1)
  .max(1_024)
  .regex(/^[^\p{Cc}]+$/u, "expected one line");

const params = z.object({
  action: z
    .enum(["send", "react", "edit", "delete"])
    .default("send")
    .describe("edit and delete: a message of your own, by its messageId."),
  text: z
    .string()
    .max(limits.messageToolCharsMax)
    .default("")
    .describe("What to say: needed with send, unless there are files and no buttons, and with edit."),
  files: z
    .array(line)
    .max(limits.channelFilesMax)
    .default([])
    .describe("Files of your workspace that go with it, by their paths."),
  buttons: z
    .array(
      z.object({
        label: line.max(40),
        text: line
          .refine((text) => Buffer.byteLength(text) <= 64, "at most 64 bytes")
          // Its label could say anything to an owner who presses it.
          .refine((text) => !isApproval(text), `no button of an agent says ${approveCommandName}`),
      }),
    )
    .max(limits.channelButtonsMax)
    .default([])
    .describe("Whoever presses one says its text to you."),
  emoji: z.string().trim().max(64).optional().describe("With react; an empty one takes the reaction away."),
  messageId: word
    .optional()
    .describe("The message that is changed. With react: the one that you answer, if you name none."),
  channel: word.optional().describe("Another channel than the one of this conversation."),
  accountId: word.optional(),
  to: word.optional().describe("Somebody else: direct:<id>, group:<id> or channel:<id>."),
  threadId: word.optional(),
});

const isApproval = (text: string): boolean => text.trim().toLowerCase().split(/\s/u)[0] === approveCommandName;

/** What is to be changed; none with `send`. */
function readAction(
  { action, text, emoji, messageId, files, buttons }: z.output<typeof params>,
  answered: string | undefined,
): { readonly missing: string } | { readonly change?: ChannelAction["change"]; readonly messageId: string } {
  const said = /\S/.test(text);
  if (action === "send")
    return said || (files.length > 0 && buttons.length === 0)
      ? { messageId: "" }
      : { missing: "text: expected one with at least one visible character" };
  const target = messageId ?? (action === "react" ? answered : undefined);
  if (target === undefined) return { missing: `messageId: needed with ${action}` };
  if (action === "delete") return { messageId: target, change: { type: "remove" } };
  if (action === "edit")
    return said ? { messageId: target, change: { type: "edit", text } } : { missing: "text: needed with edit" };
  return emoji === undefined
    ? { missing: "emoji: needed with react" }
    : { messageId: target, change: { type: "react", emoji } };
}

export function makeMessageTool(deps: MessageDeps): Tool {
  /** When each agent sent something, within the last minute. */
  const recent = new Map<string, readonly number[]>();

  const whyNoSending = makeWhyNoSending(deps);

  const isTooMany = (agentId: string): boolean => {
    const now = deps.nowMs();
    const times = (recent.get(agentId) ?? []).filter((atMs) => now - atMs < 60_000);
    if (times.length >= limits.messagesPerMinuteMax) return true;
    recent.set(agentId, [...times, now]);
    return false;
  };

  const mayDeliver = ({ agentId }: EnvelopeHeader, route: ChannelRoute): boolean =>
    deps.pairings().find(`agent:${agentId}`, "deliver", `channel:${addressText(route)}`) !== undefined;

  const tool = defineTool("by-call", params, async (asked, { header, key }) => {
    const answered = header.replyRoute.type === "channel" ? header.replyRoute.inReplyTo : undefined;
    const wanted = readAction(asked, answered);
    if ("missing" in wanted) return fault("invalid", `message: ${wanted.missing}`);
    const here = await routeHere(header, deps.store);
    const route = routeOf(asked, here, deps.config, header.agentId);
    if (route === undefined)
      return here === undefined
        ? fault("not_found", "message: this session has no conversation on a channel", "name channel and to")
        : fault(
            "invalid",
            `message: to: found ${JSON.stringify(asked.to)}, wanted direct:<id>, group:<id> or channel:<id>`,
          );
    const where = addressText(route);
    if (where !== (here && addressText(here)) && !mayDeliver(header, route))
      return forbidden(
        `message: the agent ${header.agentId} may not send to ${where}, where this conversation is not`,
        `tools.message.deliver: [{ from: "${header.agentId}", to: ["${where}"] }]`,
      );
    if (!deps.carriesAnswers(route.channel, route.accountId))
      return fault(
        "not_found",
        `message: nothing leaves through account ${route.accountId} of channel ${route.channel}`,
        "cloister channels",
      );
    // A session that is silenced does not speak by another way.
    const withheld = await whyNoSending(header.sessionKey, route);
    if (withheld !== undefined) return forbidden(`message: ${withheld.message}`, withheld.remedy ?? "");
    if (isTooMany(header.agentId))
      return fault(
        "busy",
        `message: ${limits.messagesPerMinuteMax} messages were sent in a minute; the bound is reached`,
      );
    if (asked.files.length > 0 && !carriesFiles(deps.config, route.channel))
      return fault("invalid", `message: files: the channel ${route.channel} carries none`);
    if (wanted.change !== undefined) {
      const result = await change(header.agentId, route, wanted.messageId, wanted.change);
      if (result.status === "failed")
        return fault("worker_unavailable", `message: not done in ${where}: ${result.reason}`);
      deps.note({
        type: "message_sent",
        subject: header.sessionKey,
        object: where,
        trace: header.trace,
        detail: asked.action,
      });
      return { status: "done", to: where, messageId: wanted.messageId };
    }
    // Above the text: a block of code that it opens would have them as its lines, and lines of its own would count first.
    const text = [...asked.files.map((file) => `MEDIA: ${file}`), asked.text].filter((one) => one !== "").join("\n");
    const buttons = asked.buttons.length === 0 ? undefined : asked.buttons;
    const about = { id: `${header.id}.${key}`, agentId: header.agentId, sessionKey: header.sessionKey };
    let messageId: string | undefined;
    try {
      messageId = await deps.post(about, route, text, undefined, buttons);
    } catch (error) {
      return fault("worker_unavailable", `message: not sent to ${where}: ${toRefusal(error).message}`);
    }
    deps.sent(about, route, text, messageId);
    deps.note({ type: "message_sent", subject: header.sessionKey, object: where, trace: header.trace });
    return { status: "sent", to: where, ...(messageId === undefined ? {} : { messageId }) };
  });

  async function change(
    agentId: string,
    route: ChannelRoute,
    messageId: string,
    what: ChannelAction["change"],
  ): Promise<SendResult> {
    const { channel, accountId, peerKind, peerId, threadId } = route;
    const thread = threadId === undefined ? {} : { threadId };
    const action = { agentId, peer: { kind: peerKind, id: peerId }, ...thread, messageId, change: what };
    try {
      return await deps.channels.act(channel, accountId, action);
    } catch (error) {
      return { status: "failed", reason: toRefusal(error).message, retry: false };
    }
  }

  return readsBody(tool, limits.messageToolCharsMax * 2);
}

/** Undefined: nobody is named, and the session is nowhere. */
function routeOf(
  { channel, accountId, to, threadId }: z.output<typeof params>,
  here: ChannelRoute | undefined,
  config: MessageDeps["config"],
  agentId: string,
): ChannelRoute | undefined {
  const isElsewhere = channel !== undefined || accountId !== undefined || to !== undefined;
  const thread = threadId === undefined ? {} : { threadId };
  if (!isElsewhere) return here && { ...here, ...thread };
  const platform = channel ?? here?.channel;
  if (platform === undefined) return undefined;
  const account = accountId ?? (platform === here?.channel ? here.accountId : accountOf(config, platform, agentId));
  const named = to ?? (platform === here?.channel ? `${here.peerKind}:${here.peerId}` : "");
  const route = readAddress(platform, account, named);
  return route && { ...route, ...thread };
}
