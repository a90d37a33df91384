/**
 * A webhook's JSON body as an `InboundEvent`. Pure.
 *
 *     {text, peer?:{kind, id}, sender?:{id, name?, isBot?}, messageId?, parentPeer?, guildId?, teamId?, roles?, threadId?,
 *      replyTo?, wasMentioned?, repliesToBot?, quotesBot?, botInThread?, selfId?, wait?, timeoutSeconds?}
 *
 * One of `peer` and `sender` is required: without a peer the sender speaks directly, without a sender the peer itself does.
 * Other keys are dropped. Which account it is for is not in the body: the door that checked the account's token knows.
 */
import { z } from "zod";
import { limits } from "../../runtime/kernel/limits.ts";
import type { InboundEvent } from "../port.ts";

export interface InboundContext {
  readonly accountId: string;
  readonly nowMs: number;
  /** How long a sender with `wait` waits: when it names no time, and at the most. */
  readonly waitMs: { readonly default: number; readonly max: number };
}

export type ParsedInbound =
  | { readonly ok: true; readonly event: InboundEvent; readonly waitMs: number | undefined }
  /** One text per wrong field, e.g. `peer.kind: expected one of …`. */
  | { readonly ok: false; readonly issues: readonly string[] };

const id = z.string().trim().min(1).max(256);
const peer = z.object({ kind: z.enum(["direct", "group", "channel"]), id });

const body = z
  .object({
    text: z
      .string()
      .max(limits.bodyCharsMax)
      .refine((text) => text.trim() !== "", "expected a text with at least one visible character"),
    peer: peer.exactOptional(),
    sender: z
      .object({ id, name: z.string().max(256).exactOptional(), isBot: z.boolean().exactOptional() })
      .exactOptional(),
    messageId: id.exactOptional(),
    parentPeer: peer.exactOptional(),
    guildId: id.exactOptional(),
    teamId: id.exactOptional(),
    roles: z.array(id).max(256).exactOptional(),
    threadId: id.exactOptional(),
    replyTo: id.exactOptional(),
    wasMentioned: z.boolean().exactOptional(),
    repliesToBot: z.boolean().exactOptional(),
    quotesBot: z.boolean().exactOptional(),
    botInThread: z.boolean().exactOptional(),
    selfId: id.exactOptional(),
    wait: z.boolean().exactOptional(),
    timeoutSeconds: z.number().min(1).exactOptional(),
  })
  .refine((value) => value.peer !== undefined || value.sender !== undefined, {
    path: ["peer"],
    message: "expected peer or sender, found neither",
  });

export function parseInbound(value: unknown, { accountId, nowMs, waitMs }: InboundContext): ParsedInbound {
  const parsed = body.safeParse(value);
  if (!parsed.success) return { ok: false, issues: parsed.error.issues.map(formatIssue) };
  const { text, peer: given, sender, roles, wait, timeoutSeconds, ...facts } = parsed.data;
  if (timeoutSeconds !== undefined && timeoutSeconds * 1000 > waitMs.max) {
    return { ok: false, issues: [`timeoutSeconds: expected at most ${waitMs.max / 1000}, received ${timeoutSeconds}`] };
  }
  const speaker = sender ?? { id: given?.id ?? "" };
  const event: InboundEvent = {
    ...facts,
    channel: "webhook",
    accountId,
    peer: given ?? { kind: "direct", id: speaker.id },
    sender: speaker,
    text,
    tsMs: nowMs,
    ...(roles === undefined ? {} : { memberRoleIds: roles }),
  };
  return {
    ok: true,
    event,
    waitMs: wait === true ? (timeoutSeconds === undefined ? waitMs.default : timeoutSeconds * 1000) : undefined,
  };
}

function formatIssue(issue: z.core.$ZodIssue): string {
  const path = issue.path.map(String).join(".");
  return path === "" ? issue.message : `${path}: ${issue.message}`;
}
