/** The forms of values that several sections share. Functions, since each use carries its own note. */
import * as z from "zod";
import { limits } from "../../kernel/limits.ts";
import type { DmScope, GroupScope } from "../resolved.ts";
import { key, later } from "./note.ts";

export { isTimezone } from "../timezone.ts";

/** A map whose inner form belongs to a part that is not built. */
export const anyMap = () => z.record(z.string(), z.unknown());

export const anyValue = () => z.unknown().optional();

export const texts = () => z.array(z.string());

export const filledText = () => z.string().regex(/\S/, "must not be blank");

export const agentId = () => filledText();

/** Platform ids are often written as numbers; they are compared as text. */
export const platformId = () =>
  z.union([filledText(), z.int()], { error: "must be a non-empty string or a whole number" }).transform(String);

export const secret = () =>
  z.union(
    [
      z.string(),
      z.strictObject({
        source: z.enum(["env", "file", "exec", "store"]),
        provider: z.string().optional(),
        id: filledText(),
      }),
    ],
    { error: 'must be a string or a reference { source: "env" | "file" | "exec" | "store", provider, id }' },
  );
export type Secret = z.output<ReturnType<typeof secret>>;

export const model = () =>
  z.union([filledText(), z.strictObject({ primary: filledText().optional(), fallbacks: texts().optional() })], {
    error: 'must be "provider/model", an alias or { primary, fallbacks }',
  });

export const dmScope = () =>
  z.enum(["main", "per-peer", "per-channel-peer", "per-account-channel-peer"] satisfies DmScope[]);
export const groupScope = () => z.enum(["per-group", "main"] satisfies GroupScope[]);
export const sandboxMode = () => z.enum(["off", "non-main", "all"]);
export const listOfSenders = () => z.array(platformId());

export const groupChat = () =>
  z.looseObject({
    mentionPatterns: key(
      "Regular expressions (RE2, case does not matter) that mean the agent. Default: its identity's name and emoji; `[]` = none.",
      z.array(z.string()).max(limits.mentionPatternsMax).optional(),
    ),
    historyLimit: key(
      `Messages of a group that a turn is given as context; ${limits.roomHistoryDefault} by default, 0 = none.`,
      z.int().nonnegative().max(limits.roomHistoryMax).optional(),
    ),
    visibleReplies: later("visible replies", "Which answers people see.", anyValue()),
    unmentionedInbound: later("quiet room events", "Whether unmentioned messages start quiet turns.", anyValue()),
  });

/** Of `agents.defaults`. */
export const turnTime = () =>
  key(
    `Longest turn of the assistant, counted from its beginning; it is ended then, and who asked is told. At most ${limits.agentTurnMsMax / 1_000}. Default: none. Sub-agents have \`subagents.runTimeoutSeconds\`.`,
    z
      .number()
      .positive()
      .max(limits.agentTurnMsMax / 1_000)
      .optional(),
  );
