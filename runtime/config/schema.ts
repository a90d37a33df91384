/**
 * The schema of the configuration file: every key that may stand in it, with its type and its default. Strict: a key that
 * is not here is an error. Sections of parts that are not built are known by name and checked loosely inside.
 */
import * as z from "zod";
import { agents } from "./schema/agents.ts";
import { channels } from "./schema/channels.ts";
import { cron } from "./schema/cron.ts";
import { gateway, hooks, logging } from "./schema/gateway.ts";
import { memory } from "./schema/memory.ts";
import { mcp } from "./schema/mcp.ts";
import { auth, models } from "./schema/models.ts";
import { key, later } from "./schema/note.ts";
import { bindings, broadcast, session } from "./schema/routing.ts";
import { skills } from "./schema/skills.ts";
import { tools } from "./schema/tools.ts";
import { limits } from "../kernel/limits.ts";
import { queueAliases, queueDrops, queueModes } from "../kernel/queues.ts";
import { ackEmoji, inboundDebounce } from "./schema/channel-keys.ts";
import { anyMap, filledText, groupChat, listOfSenders, model } from "./schema/values.ts";

const queueMode = () => z.enum([...queueModes, ...(Object.keys(queueAliases) as (keyof typeof queueAliases)[])]);

const debounce = () => z.int().min(0).max(limits.queueDebounceMsMax);

const messages = z.strictObject({
  queue: key(
    "What becomes of messages while a turn of their session runs. Without this section a turn may take them, and none is dropped.",
    z
      .strictObject({
        mode: key(
          "`steer`, `followup`, `collect` or `interrupt`; also `queue` and `steer-backlog`, older names of `followup` and `steer`.",
          queueMode().default("steer"),
        ),
        debounceMs: key(
          "How long it must be quiet before `collect` begins its turn, in milliseconds. Default: 500.",
          debounce().optional(),
        ),
        cap: key(
          "Messages of people that may wait in one session. Default: 20.",
          z.int().min(1).max(limits.sessionDepthMax).optional(),
        ),
        drop: key(
          "Beyond the cap: `summarize` shortens the oldest into the next turn, `old` drops the oldest, `new` the newest.",
          z.enum(queueDrops).default("summarize"),
        ),
        byChannel: key("The mode by channel.", z.record(z.string(), queueMode()).optional()),
        debounceMsByChannel: key("The quiet while by channel.", z.record(z.string(), debounce()).optional()),
      })
      .optional(),
  ),
  inbound: key(
    "Messages that one sender writes in quick succession are one turn. Files and commands do not wait.",
    z
      .strictObject({
        debounceMs: key(
          "How long a message waits for the next one of its sender, in milliseconds. Default: 0, nothing waits.",
          inboundDebounce().optional(),
        ),
        byChannel: key("The same by channel.", z.record(filledText(), inboundDebounce()).optional()),
      })
      .optional(),
  ),
  ackReaction: key(
    "Emoji with which a message is acknowledged that an agent has got; an empty text: none. Default: the emoji of the agent's identity.",
    ackEmoji().optional(),
  ),
  ackReactionScope: key(
    "Where: in groups, the messages that mention the agent, or all that it gets; in direct chats; everywhere; nowhere (`off`, `none`).",
    z.enum(["group-mentions", "group-all", "direct", "all", "off", "none"]).default("group-mentions"),
  ),
  removeAckAfterReply: key("Take it back when the turn has ended.", z.boolean().optional()),
  responsePrefix: key(
    "What answers on channels begin with; `auto` = the name of the agent's identity in brackets.",
    z.string().max(limits.responsePrefixCharsMax).optional(),
  ),
  messagePrefix: later("message prefix", "Text before each message.", z.string().optional()),
  groupChat: key("What every agent in group chats inherits.", groupChat().optional()),
  visibleReplies: later("visible replies", "Which answers people see.", z.unknown().optional()),
  tts: later("media tools", "Spoken answers.", anyMap().optional()),
});

const moreCommands = "chat commands beyond the table";

const commands = z.looseObject({
  native: key(
    "`false`: no menus of commands on platforms that have them. `auto`, the default, is the same as `true`. Read when a channel starts.",
    z.union([z.boolean(), z.literal("auto")], { error: 'must be true, false or "auto"' }).optional(),
  ),
  text: key(
    "`false`: what people send in channels is never a command. Operators keep theirs.",
    z.boolean().default(true),
  ),
  bash: later(moreCommands, "Shell commands from chats.", z.boolean().default(false), (value) => value === true),
  config: later(
    moreCommands,
    "Changes of this file from chats.",
    z.boolean().default(false),
    (value) => value === true,
  ),
  restart: later(moreCommands, "Restart from chats.", z.boolean().default(true), (value) => value === true),
  ownerAllowFrom: key(
    "Senders whose commands count in every chat, as an id or `<channel>:<id>`.",
    listOfSenders().optional(),
  ),
  allowFrom: key(
    "Senders whose commands count, by channel; `*` = every channel, or every sender. Without it: those of direct chats.",
    z.record(z.string(), listOfSenders()).optional(),
  ),
});

const env = z
  .strictObject({
    vars: key(
      "Variables for `${NAME}` in this file, where the environment does not have them.",
      z.record(z.string(), z.string()).default({}),
    ),
    shellEnv: later("variables from a login shell", "Import missing variables from a shell.", anyMap().optional()),
  })
  .prefault({});

export const configSchema = z.strictObject({
  $schema: key("For editors.", z.string().optional()),
  agents: key("The agents.", agents),
  bindings: key(
    "Which agent gets which messages. The most specific one wins; order decides only between equals.",
    bindings,
  ),
  session: key("Sessions.", session),
  tools: key("Tools.", tools),
  gateway: key("The server.", gateway),
  channels: key("Where messages come from.", channels),
  hooks: key("Webhooks that start turns.", hooks),
  logging: key("The log.", logging),
  env: key("Variables.", env),
  broadcast,
  messages: key("Messages in general.", messages.optional()),
  commands: key("Commands that people type in chats.", commands.prefault({})),
  memory: key("Search in notes. See docs/guides/memory.md.", memory.prefault({})),
  skills: key("Skills. See docs/guides/assistant.md.", skills),
  models: key("Providers of models. See docs/guides/models.md.", models),
  model: key("Older form of `agents.defaults.model`.", model().optional()),
  auth: key("Credentials of models.", auth),
  cron: key("Jobs. See docs/guides/jobs.md.", cron),
  heartbeat: later("heartbeat", "Regular turns without a message.", anyMap().optional()),
  identity: later("identity beyond the name", "Older form of an agent's identity.", anyMap().optional()),
  ui: later("look of the web page", "Look of the web page.", anyMap().optional()),
  plugins: later("plugins", "Plug-ins.", anyMap().optional()),
  mcp: key("Programs beside the gateway whose tools agents may call. See docs/guides/mcp.md.", mcp),
  secrets: later("secret providers", "Where secrets come from.", anyMap().optional()),
  approvals: later("approvals", "Approval of commands.", anyMap().optional()),
  browser: later("browser", "Browser of the agents.", anyMap().optional()),
  canvasHost: later("canvas", "Canvas server.", anyMap().optional()),
  discovery: later("discovery", "Finding the gateway in the local network.", anyMap().optional()),
  talk: later("talk", "Speech.", anyMap().optional()),
  audio: later("media tools", "Sound.", anyMap().optional()),
  media: later("media tools", "Media.", anyMap().optional()),
  nodeHost: later("nodes", "This machine as a node.", anyMap().optional()),
  acp: later("external agents (ACP)", "External agents.", anyMap().optional()),
  web: later("channel whatsapp", "Connection settings of WhatsApp Web.", anyMap().optional()),
  diagnostics: later("diagnostics export", "Export of traces.", anyMap().optional()),
  update: later("updates", "How the program is updated.", anyMap().optional()),
  cli: later("look of the command line", "Look of the command line.", anyMap().optional()),
  meta: key("Written by programs that edit the file.", anyMap().optional()),
  wizard: key("Written by set-up programs.", anyMap().optional()),
});

export type Config = z.output<typeof configSchema>;
