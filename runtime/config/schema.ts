/**
 * The schema of the configuration file: every key that may stand in it, with its type and its default. Strict: a key that
 * is not here is an error. Sections of parts that are not built are known by name and checked loosely inside.
 */
import * as z from "zod";
import { agents } from "./schema/agents.ts";
import { channels } from "./schema/channels.ts";
import { gateway, hooks, logging } from "./schema/gateway.ts";
import { key, later } from "./schema/note.ts";
import { bindings, broadcast, session } from "./schema/routing.ts";
import { tools } from "./schema/tools.ts";
import { anyMap, model, texts } from "./schema/values.ts";

const queueMode = () => z.enum(["steer", "followup", "collect", "interrupt", "queue", "steer-backlog"]);

const messages = z.strictObject({
  queue: later(
    "queue modes",
    "What happens to messages while a turn runs.",
    z
      .looseObject({
        mode: queueMode().optional(),
        cap: z.int().positive().default(20),
        drop: z.enum(["old", "new", "summarize"]).default("summarize"),
        byChannel: z.record(z.string(), queueMode()).optional(),
        debounceMsByChannel: z.record(z.string(), z.number().nonnegative()).optional(),
      })
      .optional(),
  ),
  inbound: later("queue modes", "Joining of messages that come in quick succession.", anyMap().optional()),
  ackReaction: later("acknowledging reactions", "Reaction to a received message.", z.string().optional()),
  ackReactionScope: later(
    "acknowledging reactions",
    "Where it is used.",
    z.enum(["group-mentions", "group-all", "direct", "all", "off", "none"]).default("group-mentions"),
  ),
  removeAckAfterReply: later("acknowledging reactions", "Take it back after the answer.", z.boolean().optional()),
  responsePrefix: later(
    "response prefix",
    "Text before each answer; `auto` = the agent's name.",
    z.string().optional(),
  ),
  messagePrefix: later("response prefix", "Text before each message.", z.string().optional()),
  groupChat: later(
    "group chat rules",
    "Mentions and history of groups.",
    z.looseObject({ mentionPatterns: texts().optional(), historyLimit: z.int().nonnegative().default(50) }).optional(),
  ),
  visibleReplies: later("group chat rules", "Which answers people see.", z.unknown().optional()),
  tts: later("media tools", "Spoken answers.", anyMap().optional()),
});

const commands = z.looseObject({
  native: z.union([z.boolean(), z.literal("auto")], { error: 'must be true, false or "auto"' }).optional(),
  text: z.boolean().optional(),
  bash: z.boolean().default(false),
  config: z.boolean().default(false),
  restart: z.boolean().default(true),
  ownerAllowFrom: z.array(z.union([z.string(), z.number()])).optional(),
  allowFrom: anyMap().optional(),
});

const memory = z.looseObject({
  backend: z.enum(["builtin", "qmd"]).default("builtin"),
  citations: z.unknown().optional(),
  qmd: z.looseObject({ includeDefaultMemory: z.boolean().default(true) }).optional(),
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
  commands: later("chat commands", "Commands that people type in chats.", commands.optional()),
  memory: later("memory", "Search in notes and transcripts.", memory.optional()),
  skills: later("skills", "Skills and where they are.", anyMap().optional()),
  models: later("model", "Providers of models.", anyMap().optional()),
  model: later("model", "Older form of the default model.", model().optional()),
  auth: later("auth profiles", "Credentials of models.", anyMap().optional()),
  cron: later("cron", "Scheduled turns.", anyMap().optional()),
  heartbeat: later("heartbeat", "Regular turns without a message.", anyMap().optional()),
  identity: later("identity beyond the name", "Older form of an agent's identity.", anyMap().optional()),
  ui: later("look of the web page", "Look of the web page.", anyMap().optional()),
  plugins: later("plugins", "Plug-ins.", anyMap().optional()),
  mcp: later("MCP", "MCP servers.", anyMap().optional()),
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
