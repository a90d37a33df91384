/** `bindings`, `session.*`, `broadcast`: which agent and which session a message belongs to. Source: behaviour §1.4, §1.5, §2.8. */
import * as z from "zod";
import { limits } from "../../kernel/limits.ts";
import { ageDaysMax, parseAge } from "../age.ts";
import { parseShare, parseSize } from "../size.ts";
import { key, later } from "./note.ts";
import type { SendAction } from "../../../auth/send-policy.ts";
import { agentId, anyMap, dmScope, filledText, groupScope, platformId } from "./values.ts";

const peer = z.strictObject({
  kind: key(
    "`direct` (also `dm`), `group` or `channel`.",
    z.enum(["direct", "dm", "group", "channel"]).transform((kind) => (kind === "dm" ? "direct" : kind)),
  ),
  id: key("Id of the conversation on the platform; `*` = every one of that kind.", platformId()),
});

export const bindings = z
  .array(
    z.strictObject({
      agentId: key("The agent that gets the messages.", agentId()),
      match: key(
        "What a message must be for the binding to hold; everything that is named must hold.",
        z.strictObject({
          channel: key("Name of the channel.", filledText()),
          accountId: key(
            "Account of the channel; `*` = every account. Omitted: the channel's default account.",
            z.string().optional(),
          ),
          peer: key("One conversation.", peer.optional()),
          guildId: key("Discord server.", platformId().optional()),
          teamId: key("Slack or Mattermost team.", platformId().optional()),
          roles: key("Any of these roles in the server.", z.array(platformId()).optional()),
        }),
      ),
      comment: key("For people.", z.string().optional()),
      type: later(
        "external agents (ACP)",
        "`route` (default) or `acp`.",
        z.enum(["route", "acp"]).default("route"),
        (value) => value === "acp",
      ),
      session: key(
        "Session choice for what this binding matches.",
        z
          .strictObject({
            dmScope: key("See `session.dmScope`.", dmScope().optional()),
            groupScope: key("See `session.groupScope`.", groupScope().optional()),
          })
          .optional(),
      ),
      acp: later("external agents (ACP)", "Settings of the external agent.", anyMap().optional()),
    }),
  )
  .default([]);

/** `daily` with `idleMinutes`: whichever comes first. */
const resetRule = () =>
  z
    .strictObject({
      mode: key(
        "`none`, `daily` or `idle`; `daily` with `idleMinutes`: whichever comes first.",
        z.enum(["none", "daily", "idle"]).default("none"),
      ),
      atHour: key("Hour of the host's time zone at which a `daily` reset is due.", z.int().min(0).max(23).default(4)),
      idleMinutes: key(
        "Minutes without a message of a person or an agent.",
        z.int().positive().max(idleMinutesMax).optional(),
      ),
    })
    .refine(({ mode, idleMinutes }) => mode !== "idle" || idleMinutes !== undefined, {
      path: ["idleMinutes"],
      error: "is needed with mode `idle`: the minutes without a message after which the session begins anew",
    });
const threadHoursMax = limits.threadBindingMsMax / 3_600_000;
/** A year: beyond it a session is pruned rather than begun anew. */
const idleMinutesMax = 366 * 24 * 60;

const age = () =>
  z.union([z.int(), z.string()]).transform((value, context) => {
    const ms = parseAge(value);
    if (ms !== undefined) return ms;
    context.addIssue({
      code: "custom",
      message: `must be an age from 1h to ${ageDaysMax}d, such as "30d", "12h" or "4w"; a number counts days`,
    });
    return z.NEVER;
  });

const size = () =>
  z.union([z.int(), z.string()]).transform((value, context) => {
    const bytes = parseSize(value);
    if (bytes !== undefined) return bytes;
    context.addIssue({ code: "custom", message: 'must be a size such as "10gb" or "500mb"; a number counts bytes' });
    return z.NEVER;
  });

const maintenance = z
  .strictObject({
    mode: key("`warn` removes nothing, and logs what would go.", z.enum(["enforce", "warn"]).default("enforce")),
    pruneAfter: key(
      'Age of its last activity at which an archived session, or one of a sub-agent, hook or scheduled turn, ends: `"30d"`, `"12h"`, `"4w"`, or days.',
      age().prefault("30d"),
    ),
    maxEntries: key(
      "Sessions of one agent; the oldest that may go end beyond that. Also its transcripts of sessions that have ended.",
      z.int().positive().default(5000),
    ),
    resetArchiveRetention: key(
      "Age of its end at which the transcript of a session that was reset or deleted is removed for good; `false`: never by age. Default: as `pruneAfter`.",
      z.union([z.literal(false), age()], { error: 'must be false or an age such as "30d"' }).optional(),
    ),
    preserveRecent: later("session maintenance by age of use", "What stays whatever the size.", z.unknown().optional()),
    maxDiskBytes: key(
      'Bytes of one agent\'s transcripts and their files beyond which the oldest that may go are removed for good: `"10gb"`, `"500mb"`, or bytes; `false`: no bound.',
      z.union([z.literal(false), size()], { error: 'must be false or a size such as "10gb"' }).default(10 * 2 ** 30),
    ),
    highWaterBytes: key(
      "To where they are brought down then: a share of `maxDiskBytes`, or a size.",
      z.union([z.int(), z.string()]).default("80%"),
    ),
  })
  .superRefine(({ maxDiskBytes, highWaterBytes }, context) => {
    if (maxDiskBytes === false || parseShare(highWaterBytes, maxDiskBytes) !== undefined) return;
    context.addIssue({
      code: "custom",
      path: ["highWaterBytes"],
      message: 'must be a share such as "80%", or a size that is not above maxDiskBytes',
    });
  })
  .prefault({});

const sendAction = () => z.enum(["allow", "deny"] satisfies SendAction[]);

export const session = z
  .strictObject({
    mainKey: key(
      "Name of an agent's main session.",
      z
        .string()
        .regex(/^[^\s:]+$/, "must be a word without blanks and colons")
        .default("main"),
    ),
    scope: key(
      "`global` = one session per agent for everything.",
      z.enum(["per-sender", "global"]).default("per-sender"),
    ),
    dmScope: key("How direct messages are divided into sessions.", dmScope().default("main")),
    groupScope: key("`main` sends groups into the main session.", groupScope().default("per-group")),
    identityLinks: key(
      "Name of a person → their ids as `channel:id`; one session for all of them.",
      z.record(z.string(), z.array(platformId())).default({}),
    ),
    store: key(
      "Directory of an agent's sessions; `{agentId}` stands for the id. Default: `agents/{agentId}/sessions` in the state directory.",
      filledText().optional(),
    ),
    reset: key("When a session begins anew by itself, with the first message after that.", resetRule().prefault({})),
    resetByType: key(
      "The same by kind of conversation; a kind that is not named follows `session.reset`.",
      z
        .strictObject({
          direct: key("Direct messages, and the main session.", resetRule().optional()),
          dm: key("Older name of `direct`.", resetRule().optional()),
          group: key("Groups and channels.", resetRule().optional()),
          thread: key("Threads.", resetRule().optional()),
        })
        .default({}),
    ),
    resetByChannel: key("The same by channel; wins over the others.", z.record(z.string(), resetRule()).default({})),
    resetTriggers: key(
      "Commands that begin the session anew; what follows them is its first message.",
      z.array(filledText()).default(["/new", "/reset"]),
    ),
    idleMinutes: key(
      "Older form of an idle reset: counts when `session.reset` has no mode.",
      z.int().positive().max(idleMinutesMax).optional(),
    ),
    agentToAgent: key(
      "Messages between agents.",
      z
        .strictObject({
          maxPingPongTurns: key(
            "Further turns that two agents may take after the answer to a `sessions_send`; 0 = the answer ends it.",
            z.int().min(0).max(limits.exchangeTurnsMax).default(limits.exchangeTurnsMax),
          ),
        })
        .prefault({}),
    ),
    sendPolicy: key(
      "Whose answers leave for their channels, and in which sessions clients may speak (`chat.send`, `agent`). `/send` says it for one session, and wins.",
      z
        .strictObject({
          default: key("Where no rule fits.", sendAction().default("allow")),
          rules: key(
            "What is named in `match` has to hold. Of those that fit a denial wins.",
            z
              .array(
                z.strictObject({
                  action: key("What the rule says.", sendAction()),
                  match: key(
                    "For which sessions; empty: all.",
                    z
                      .strictObject({
                        channel: key("Of the channel that the answer goes to.", filledText().optional()),
                        chatType: key("Of the chat there.", z.enum(["direct", "group", "channel"]).optional()),
                        keyPrefix: key("How the session key begins behind `agent:<id>:`.", filledText().optional()),
                        rawKeyPrefix: key("How the whole session key begins.", filledText().optional()),
                      })
                      .prefault({}),
                  ),
                }),
              )
              .max(limits.sendRulesMax)
              .default([]),
          ),
        })
        .prefault({}),
    ),
    maintenance: key(
      "How many sessions are kept, and how long. See docs/guides/agents-that-work-together.md.",
      maintenance,
    ),
    threadBindings: key(
      "Conversations of channels that belong to a sub-agent's session (`sessions_spawn` with `thread: true`).",
      z
        .strictObject({
          enabled: key("Whether a conversation can belong to one.", z.boolean().default(true)),
          idleHours: key(
            "Without a message for so long it is let go of; 0 = never.",
            z.number().min(0).max(threadHoursMax).default(24),
          ),
          maxAgeHours: key("At this age it is let go of; 0 = never.", z.number().min(0).max(threadHoursMax).default(0)),
        })
        .prefault({}),
    ),
    notifyOnCreate: key(
      "Whether the next turn of an agent's main session is told of sessions that people have begun meanwhile.",
      z.boolean().default(true),
    ),
    typingMode: later("typing indicator", "When it shows.", z.string().optional()),
    typingIntervalSeconds: later("typing indicator", "How often it is renewed.", z.number().positive().optional()),
  })
  .prefault({});

const strategies = ["parallel", "sequential"] as const;
const broadcastAgents = () => z.array(agentId()).min(1).max(limits.broadcastAgentsMax);

const broadcastEntry = z.union(
  [
    broadcastAgents(),
    z.strictObject({
      agents: broadcastAgents(),
      mentionGating: z.boolean().optional(),
      maxRounds: z.int().min(1).max(limits.broadcastRoundsMax).optional(),
      maxTurns: z.int().min(1).max(limits.broadcastTurnsMax).optional(),
      strategy: z.enum(strategies).optional(),
      triggers: z.record(agentId(), z.array(agentId()).max(limits.broadcastAgentsMax)).optional(),
    }),
  ],
  {
    error: `must be a list of at most ${limits.broadcastAgentsMax} agent ids, or { agents, mentionGating, maxRounds (1 to ${limits.broadcastRoundsMax}), maxTurns (1 to ${limits.broadcastTurnsMax}), strategy ("${strategies.join('" or "')}"), triggers (an agent id → agent ids) }`,
  },
);

export const broadcast = key(
  "Conversations whose messages go to several agents: `<channel>:<peer id>` → `{ agents, mentionGating, maxRounds, maxTurns, strategy, triggers }`, or a list. See docs/guides/groups.md.",
  z
    .object({
      strategy: key(
        "`parallel` (default): all agents of a round at once; `sequential`: one after the other. A conversation may say another.",
        z.enum(strategies).default("parallel"),
      ),
    })
    .catchall(broadcastEntry)
    .optional(),
);
