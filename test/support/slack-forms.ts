/** What Slack's Web API takes: of each method the parameters of its form, and what stands in them. Source: Slack's documentation. */
import { z } from "zod";

/** A parameter whose text is JSON. */
const json = <T extends z.ZodType>(shape: T) =>
  z
    .string()
    .transform((text, context): unknown => {
      try {
        return JSON.parse(text);
      } catch {
        context.addIssue({ code: "custom", message: "it is no JSON" });
        return z.NEVER;
      }
    })
    .pipe(shape);

const conversation = z.string().min(1);
const ts = z.string().regex(/^\d{1,12}\.\d{1,9}$/);
const flag = z.enum(["true", "false"]);
/** Nothing in it is read as Slack's own but a person, and a link with its label. */
const text = z
  .string()
  .refine(
    (said) => !/[<>]|&(?!amp;|lt;|gt;)/.test(said.replaceAll(/<@U\w+>|<https?:[^<>|]+\|[^<>]+>/g, "")),
    "the text is not escaped",
  );

const button = z.strictObject({
  type: z.literal("button"),
  action_id: z.string().min(1).max(255),
  text: z.strictObject({
    type: z.literal("plain_text"),
    text: z.string().min(1).max(75),
    emoji: z.boolean().optional(),
  }),
  value: z.string().min(1).max(2_000).optional(),
  url: z.url().max(3_000).optional(),
  style: z.enum(["primary", "danger"]).optional(),
});
const actions = z.strictObject({
  type: z.literal("actions"),
  block_id: z.string().min(1).max(255).optional(),
  elements: z
    .array(button)
    .min(1)
    .max(25)
    .refine((all) => new Set(all.map((one) => one.action_id)).size === all.length, "two have the same action_id"),
});
const attachments = json(
  z
    .array(
      z.strictObject({
        fallback: z.string().min(1).optional(),
        color: z.string().optional(),
        blocks: z.array(actions).min(1).max(50),
      }),
    )
    .max(100),
);
const name = z.string().regex(/^[\w+'-]+(?:::skin-tone-[2-6])?$/);

/** By method. */
const forms: Readonly<Record<string, z.ZodObject>> = {
  "auth.test": z.strictObject({}),
  "apps.connections.open": z.strictObject({}),
  "chat.postMessage": z.strictObject({
    channel: conversation,
    text,
    thread_ts: ts.optional(),
    attachments: attachments.optional(),
    unfurl_links: flag.optional(),
    unfurl_media: flag.optional(),
  }),
  // Without attachments the earlier ones stay, with their buttons.
  "chat.update": z.strictObject({ channel: conversation, ts, text, attachments }),
  "chat.delete": z.strictObject({ channel: conversation, ts }),
  "reactions.add": z.strictObject({ channel: conversation, timestamp: ts, name }),
  "reactions.remove": z.strictObject({ channel: conversation, timestamp: ts, name }),
  "reactions.get": z.strictObject({ channel: conversation, timestamp: ts, full: flag.optional() }),
  "users.info": z.strictObject({ user: z.string().min(1) }),
  "conversations.info": z.strictObject({ channel: conversation }),
  "conversations.open": z.strictObject({ users: z.string().min(1) }),
  "files.getUploadURLExternal": z.strictObject({ filename: z.string().min(1), length: z.string().regex(/^\d+$/) }),
  "files.completeUploadExternal": z.strictObject({
    files: json(z.array(z.strictObject({ id: z.string().min(1), title: z.string().optional() })).min(1)),
    channel_id: conversation.optional(),
    thread_ts: ts.optional(),
  }),
};

/** What is wrong with a call; undefined: nothing. */
export function judgeForm(method: string, params: Readonly<Record<string, string>>): string | undefined {
  const known = forms[method];
  if (known === undefined) return "there is no such method";
  const { error } = known.safeParse(params);
  return error === undefined ? undefined : `${z.prettifyError(error)} in ${JSON.stringify(params)}`;
}
