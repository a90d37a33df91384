/** `heartbeat`: turns that nobody asked for, at regular times. Source: behaviour §5.8. */
import * as z from "zod";
import { limits } from "../../kernel/limits.ts";
import { key, later } from "./note.ts";
import { filledText, isTimezone, platformId } from "./values.ts";

const clock = () => z.string().regex(/^(?:[01]\d|2[0-3]):[0-5]\d$|^24:00$/, 'must be a time of day, as "08:30"');

const activeHours = () =>
  z
    .strictObject({
      start: key("From then on.", clock()),
      end: key("Until then, which may be on the next day.", clock()),
      timezone: key(
        "As `Europe/Berlin`. Default: `agents.defaults.userTimezone`, else the host's.",
        z.string().refine(isTimezone, "must be a time zone, as Europe/Berlin").optional(),
      ),
    })
    .refine(({ start, end }) => start !== end, { error: "must end at another time than it starts", path: ["end"] });

export const heartbeat = () =>
  z
    .strictObject({
      every: key(
        'Period, as "30m" or "1h"; "0m" = never. Default: "30m", and "1h" with a sign-in or a token at Anthropic.',
        z
          .string()
          .regex(/^\d{1,5}[mh]$/, 'must be a period, as "30m" or "1h"')
          .optional(),
      ),
      activeHours: key("Hours of the day in which they happen. Default: all.", activeHours().optional()),
      target: key(
        "Where an answer goes: `none` = it stays in the session (the default), `last` = where the main session last spoke, `owner` = the first of `commands.ownerAllowFrom` that names a channel, or a channel.",
        filledText().optional(),
      ),
      to: key(
        "Whom, with a channel as `target`: `direct:<id>`, `group:<id>` or `channel:<id>`.",
        platformId().optional(),
      ),
      accountId: key("Through which account of the channel. Default: the channel's.", filledText().optional()),
      prompt: key(
        "What the agent is told. Default: to follow HEARTBEAT.md, if it has one.",
        z.string().regex(/\S/, "must not be blank").max(limits.timerTextCharsMax).optional(),
      ),
      ackMaxChars: key(
        `An answer with HEARTBEAT_OK and at most this many characters beside it says nothing. Default: ${limits.heartbeatAckCharsMax}.`,
        z.int().nonnegative().max(limits.timerTextCharsMax).optional(),
      ),
      lightContext: key("Of the workspace, show HEARTBEAT.md alone. Default: false.", z.boolean().optional()),
      model: key(
        "Which model answers, as `provider/model` or its alias. Default: the agent's.",
        z
          .string()
          .regex(/^[^/\s]+(\/\S+)?$/, "must be provider/model or an alias")
          .max(limits.modelNameCharsMax)
          .optional(),
      ),
      session: key(
        "Another session of the agent, by its key. Default: `main`.",
        z.string().min(1).max(limits.sessionKeyCharsMax).optional(),
      ),
      isolatedSession: key(
        "A session of its own each time, which remembers nothing. Default: false.",
        z.boolean().optional(),
      ),
      timeoutSeconds: key(
        `Longest turn. Default, and the most: ${limits.jobRunMsMax / 1_000}.`,
        z
          .int()
          .positive()
          .max(limits.jobRunMsMax / 1_000)
          .optional(),
      ),
      directPolicy: key(
        "`block`: an answer that would go to a direct chat stays in the session. Default: `allow`.",
        z.enum(["allow", "block"]).optional(),
      ),
      includeReasoning: later("heartbeat in other ways", "Whether reasoning is shown.", z.boolean().optional()),
      suppressToolErrorWarnings: later(
        "heartbeat in other ways",
        "Whether failures of tools are told.",
        z.boolean().optional(),
      ),
    })
    .refine(
      ({ target, to }) => to !== undefined || target === undefined || ["none", "last", "owner"].includes(target),
      {
        error: "is missing: a channel as target needs whom",
        path: ["to"],
      },
    );
