/** `agents.*`: the agents and what they inherit. Source: behaviour §1.3. */
import * as z from "zod";
import { limits } from "../../kernel/limits.ts";
import { elevatedLevels, verboseLevels } from "../../kernel/session-choices.ts";
import { escalations, groupStrategies, restartKinds } from "../../kernel/supervision.ts";
import { sandboxKeys } from "./sandbox.ts";
import { agentTools } from "./tools.ts";
import { heartbeat } from "./heartbeat.ts";
import { memorySearch } from "./memory.ts";
import { key, later } from "./note.ts";
import { subagents, thinkingNames } from "./subagents.ts";
import { agentId, anyMap, anyValue, filledText, groupChat, isTimezone, model, texts, turnTime } from "./values.ts";

/** Of one agent in memory: about 1 GB of headers. */
const mailboxDepthCeiling = 1_000_000;

const pauseMs = () => z.int().min(0).max(limits.blockPauseMsCeiling).optional();

const blockSizes = () => ({
  minChars: key(
    `Characters that a piece has at least, unless the agent calls a tool or has ended. Default: ${limits.blockCharsMin}.`,
    z.int().min(1).max(limits.textChunkMax).optional(),
  ),
  maxChars: key(
    `Characters that it has at the most. Default: ${limits.blockCharsMax}, and never more than one message takes.`,
    z.int().min(100).max(limits.textChunkMax).optional(),
  ),
});

const sizesFit = (sizes: { readonly minChars?: number | undefined; readonly maxChars?: number | undefined }): boolean =>
  sizes.minChars === undefined || sizes.maxChars === undefined || sizes.minChars <= sizes.maxChars;
const sizesFault = () => ({ path: ["minChars"], message: "must not be more than maxChars" });

/** What both `agents.defaults` and one agent may say. Like the keys below made once, however many schemas have it. */
const agentKeys = {
  cwd: later(
    "separate working directory",
    "Directory of the tools, apart from the workspace.",
    filledText().optional(),
  ),
  model: key(
    "Model of the agent: `provider/model`, or its alias, alone, or `{ primary, fallbacks }` with those that are tried after it.",
    model().optional(),
  ),
  budget: key(
    "What the agent may take in one day of UTC, its sub-agents' runs as this agent among them; then its calls are refused.",
    z
      .strictObject({
        tokensPerDay: key("Tokens, read and written.", z.int().min(1).max(Number.MAX_SAFE_INTEGER).exactOptional()),
        costUsdPerDay: key(
          "USD, by the prices of the configuration: a model that has none costs nothing here.",
          z.number().positive().max(limits.costUsdMax).exactOptional(),
        ),
        toolCallsPerDay: key("Tool calls.", z.int().min(1).max(Number.MAX_SAFE_INTEGER).exactOptional()),
        turnMinutesPerDay: key(
          "Minutes that its turns take, with all that they wait for; then calls of models and tools are refused.",
          z.number().positive().max(limits.turnMinutesPerDayMax).exactOptional(),
        ),
      })
      .optional(),
  ),
  groupChat: key("The agent in group chats.", groupChat().optional()),
  tools: key("Tools of the agent.", agentTools().optional()),
  subagents: key(
    "Sub-agents that the agent's sessions may start. See docs/guides/sub-agents.md.",
    subagents().optional(),
  ),
  skills: key(
    "Names of the skills that the agent may use; replaces the inherited list, `[]` = none. Default: all that it has.",
    texts().optional(),
  ),
  memorySearch: key("Which notes the agent searches. See docs/guides/memory.md.", memorySearch().optional()),
  heartbeat: key("Regular turns without a message. See docs/guides/heartbeat.md.", heartbeat().optional()),
  humanDelay: key(
    "Pauses between the pieces of an answer that goes out while it is written.",
    z
      .strictObject({
        mode: key(
          `\`off\` (default), \`natural\` (${limits.blockPauseMsMin} to ${limits.blockPauseMsMax} ms), or \`custom\`.`,
          z.enum(["off", "natural", "custom"]).optional(),
        ),
        minMs: key("With `custom`: the shortest.", pauseMs()),
        maxMs: key("With `custom`: the longest.", pauseMs()),
      })
      .refine(({ minMs = limits.blockPauseMsMin, maxMs = limits.blockPauseMsMax }) => minMs <= maxMs, {
        path: ["minMs"],
        message: "must not be more than maxMs",
      })
      .optional(),
  ),
  thinkingDefault: key(
    "How much the model thinks before it answers. Default: `off`.",
    z.enum(thinkingNames).optional(),
  ),
  verboseDefault: key(
    "What of a turn's work its answer tells people: nothing, which tools were called (`on`), or what they were asked as well (`full`). Default: `off`.",
    z.enum(verboseLevels).optional(),
  ),
  reasoningDefault: later("model", "Whether reasoning is shown.", z.string().optional()),
  params: later("model", "Parameters of the model.", anyMap().optional()),
  contextTokens: key(
    `Tokens that a model takes at most, the answer among them; of one with a smaller \`contextWindow\` that. Default: its \`contextWindow\`, else ${limits.contextTokensDefault}.`,
    z.int().min(1_000).max(limits.usageTokensMax).optional(),
  ),
  embeddedPi: later("model", "Settings of the model loop.", anyMap().optional()),
  module: key(
    "Code of the agent: `assistant`, `scripted`, `echo`, `relay`, or a path to a module file. Paths start at the directory of this file. Default: `assistant` with a model, `scripted` without.",
    filledText().optional(),
  ),
  options: key("Given to the module as it is.", anyMap().optional()),
  mailbox: key(
    "How much mail may wait for the agent, and what becomes of more. See docs/guides/mailboxes.md.",
    z
      .strictObject({
        depthMax: key(
          `Messages that wait in memory. Default: ${limits.mailboxDepthMax}.`,
          z.int().min(1).max(mailboxDepthCeiling).exactOptional(),
        ),
        sessionDepthMax: key(
          `Messages that wait for one session. Default: ${limits.sessionDepthMax}. Does not bound a mailbox that spills.`,
          z.int().min(1).max(mailboxDepthCeiling).exactOptional(),
        ),
        overflow: key(
          "What becomes of a message beyond them: `reject` refuses it as busy, `park` lets its sender wait for a place, `spill` keeps it on the disk. Default: `reject`.",
          z.enum(["reject", "park", "spill"]).exactOptional(),
        ),
      })
      .optional(),
  ),
  isolation: key(
    "How strictly the agent is kept apart.",
    z
      .strictObject({
        level: key(
          "`thread`, or `process`: a heap limit, a working directory and an end of its own, for more memory and a slower start.",
          z.enum(["thread", "process"]).optional(),
        ),
        trust: key(
          "`confined` (no network, no process, files in the workspace only) or `trusted`: the module has the rights of its process.",
          z.enum(["confined", "trusted"]).optional(),
        ),
        user: key(
          "Whose rights the agent's process has. Needs level `process` and a gateway that runs as root.",
          z
            .strictObject({
              uid: key("Number of the user.", z.int().min(1).max(4_294_967_294)),
              gid: key("Number of the group.", z.int().min(1).max(4_294_967_294)),
            })
            .optional(),
        ),
      })
      .optional(),
  ),
};

const ms = () => z.int().min(0).max(limits.askTimeoutMsMax);

const supervisionKeys = {
  restart: key(
    "`permanent`: has a cell from the start and always gets the next one. `transient`: gets one when it has mail. `temporary`: gets none after a crash until an operator starts it. Default: `transient`.",
    z.enum(restartKinds).optional(),
  ),
  intensity: key(
    "Crashes within the period that are borne; one more parks the agent. Default: 5.",
    z.int().min(0).max(limits.restartIntensityMax).optional(),
  ),
  periodMs: key("The period, in milliseconds. Default: 60,000.", ms().min(1).optional()),
  backoffMinMs: key(
    "Back-off before a restart: a random part of this, doubled with each crash in a row. Default: 50.",
    ms().optional(),
  ),
  backoffMaxMs: key("The longest back-off. Default: 10,000.", ms().optional()),
  stableMs: key("Without a crash for this long, the back-off begins anew. Default: 60,000.", ms().optional()),
  shutdownMs: key("How long its turns may take to end when it is stopped. Default: 10,000.", ms().optional()),
  escalate: key(
    "What happens when it crashes too often: `park` it, `stop-group` parks its group too, `gateway` stops the gateway with an exit code for who runs it. Default: `park`.",
    z.enum(escalations).optional(),
  ),
};

const defaults = z.strictObject({
  workspace: key("Workspace of the default agent; the others get a directory below it.", filledText().optional()),
  maxConcurrent: key(
    "Turns at a time in the whole gateway (lane `main`). Default: 4 per core, at least 8.",
    z.int().positive().optional(),
  ),
  sandbox: key(
    "Sandboxing.",
    z
      .strictObject({
        ...sandboxKeys(),
        sessionToolsVisibility: key(
          "What the session tools of sandboxed sessions see: `spawned` = only sessions that they started.",
          z.enum(["spawned", "all"]).default("spawned"),
        ),
      })
      .prefault({}),
  ),
  supervision: key(
    "Child spec of every agent, as OTP has it: when it gets a new cell, and what its failure means.",
    z.strictObject(supervisionKeys).optional(),
  ),
  ...agentKeys,
  systemAgent: later("agent ownership", "The agent that owns what nobody else does.", anyMap().optional()),
  models: key(
    "Models that any agent with a model may name beside its own, as `provider/model`.",
    z
      .record(
        filledText(),
        z.strictObject({
          alias: key(
            "A short name, of one word without `/` and `@`: wherever a model is named it may stand instead. Case does not matter.",
            z.string().optional(),
          ),
          params: later("model parameters", "Parameters of calls.", anyMap().optional()),
        }),
      )
      .optional(),
  ),
  imageModel: key("Says in words what is in a picture, for models whose `input` has no `image`.", model().optional()),
  timeoutSeconds: turnTime(),
  bootstrapMaxChars: key(
    "Characters of one file of the workspace that a model is shown; a longer one is cut in its middle.",
    z.int().positive().max(limits.bootstrapCharsCeiling).default(limits.bootstrapFileCharsMax),
  ),
  bootstrapTotalMaxChars: key(
    "Characters of all of them.",
    z.int().positive().max(limits.bootstrapCharsCeiling).default(limits.bootstrapTotalCharsMax),
  ),
  skipBootstrap: key("Write no files into a new workspace.", z.boolean().default(false)),
  contextInjection: key(
    "In which turns a model is shown the files of the workspace: in each, in the first of a session, or in none.",
    z.enum(["always", "continuation-skip", "never"]).default("always"),
  ),
  repoRoot: later("bootstrap files", "Repository named in the prompt.", filledText().optional()),
  userTimezone: key(
    "Time zone of dates that a model is told, as `Europe/Berlin`. Default: the host's.",
    z.string().refine(isTimezone, "must be a time zone, as Europe/Berlin").optional(),
  ),
  timeFormat: later("time stamps", "Form of time stamps.", z.string().optional()),
  envelopeTimezone: later("time stamps", "Zone of message time stamps.", z.string().optional()),
  envelopeTimestamp: later("time stamps", "Whether messages carry a time stamp.", z.string().optional()),
  envelopeElapsed: later("time stamps", "Whether messages carry the time since the last.", z.string().optional()),
  typingMode: key(
    "When people see that the agent types: `never`, `instant` (it was written to), `thinking` (its turn begins) or `message` (it begins to answer). Default: `instant` in direct chats and after a mention, else `message`.",
    z.enum(["never", "instant", "thinking", "message"]).optional(),
  ),
  typingIntervalSeconds: key(
    "How often it is renewed; at least before the platform takes it away.",
    z.number().positive().default(6),
  ),
  blockStreamingDefault: key(
    "Whether answers go out on channels in pieces while they are written: `on` or `off`. Channels and accounts may differ (`blockStreaming`).",
    z.enum(["on", "off"]).default("off"),
  ),
  blockStreamingBreak: key(
    "When a piece may go: while the text is written (`text_end`), or when the agent calls a tool or has ended (`message_end`).",
    z.enum(["text_end", "message_end"]).default("text_end"),
  ),
  blockStreamingChunk: key(
    "How long pieces are, and where they end. `breakPreference`: `paragraph`, `newline` or `sentence`.",
    z
      .strictObject({
        ...blockSizes(),
        breakPreference: key(
          "Where pieces end rather than elsewhere. Default: `paragraph`.",
          z.enum(["paragraph", "newline", "sentence"]).optional(),
        ),
      })
      .refine(sizesFit, sizesFault())
      .optional(),
  ),
  blockStreamingCoalesce: key(
    "How short pieces become longer ones: what is written while it has not been quiet for `idleMs` goes together. `minChars` and `maxChars` here win.",
    z
      .strictObject({
        ...blockSizes(),
        idleMs: key(
          `How long nothing is written before less than \`maxChars\` goes. Default: ${limits.blockIdleMs}.`,
          z.int().min(0).max(limits.blockPauseMsCeiling).optional(),
        ),
      })
      .refine(sizesFit, sizesFault())
      .optional(),
  ),
  compaction: key(
    "How long conversations with a model are shortened. See docs/guides/assistant.md.",
    z
      .strictObject({
        enabled: key("Whether they are. Default: true.", z.boolean().optional()),
        mode: later("compaction in other ways", "Way of summing up.", z.string().optional()),
        reserveTokens: key(
          `Tokens of the context that stay free. Default: ${limits.compactionReserveTokens}, at most a quarter.`,
          z.int().nonnegative().max(limits.usageTokensMax).optional(),
        ),
        reserveTokensFloor: later("compaction in other ways", "Least reserve.", z.int().nonnegative().optional()),
        keepRecentTokens: key(
          `Tokens at the end that stay as they are. Default: ${limits.compactionKeepTokens}, at most a quarter.`,
          z.int().nonnegative().max(limits.usageTokensMax).optional(),
        ),
        memoryFlush: key(
          "Before, the model may write down what it wants to keep.",
          z
            .strictObject({
              enabled: key("Whether it may. Default: true.", z.boolean().optional()),
              softThresholdTokens: later("compaction in other ways", "When.", z.int().nonnegative().optional()),
              prompt: later("compaction in other ways", "What it is told.", z.string().optional()),
              systemPrompt: later("compaction in other ways", "What it is told.", z.string().optional()),
            })
            .optional(),
        ),
      })
      .optional(),
  ),
  contextPruning: key(
    "Old results of tools are shown to a model shortened; the conversation itself keeps them.",
    z
      .strictObject({
        mode: key(
          "`cache-ttl`: when the provider's cache is older than `ttl`. Default: `off`.",
          z.enum(["off", "cache-ttl"]).optional(),
        ),
        ttl: key(
          "Age of the cache, as `5m` or `1h`. Default: `5m`.",
          z
            .string()
            .regex(/^\d{1,6}[smh]$/, "must be a time like 5m or 1h")
            .optional(),
        ),
        keepLastAssistants: later("pruning in other ways", "Answers that stay.", z.int().nonnegative().optional()),
        softTrimRatio: later("pruning in other ways", "When results are shortened.", z.number().optional()),
        hardClearRatio: later("pruning in other ways", "When results are cleared.", z.number().optional()),
        minPrunableToolChars: later("pruning in other ways", "Least characters.", z.number().optional()),
        softTrim: later("pruning in other ways", "How results are shortened.", anyMap().optional()),
        hardClear: later("pruning in other ways", "How results are cleared.", anyMap().optional()),
        tools: later("pruning in other ways", "Whose results.", anyMap().optional()),
      })
      .optional(),
  ),
  elevatedDefault: key(
    "What `/elevated` is in sessions where nobody has chosen: `off`, `on`, `ask` or `full`. Default: commands leave the sandbox when a call says `elevated: true`.",
    z.enum(elevatedLevels).optional(),
  ),
  cliBackends: later("model", "Models behind command-line programs.", anyMap().optional()),
  mediaMaxMb: key(
    "Largest picture that a model is shown, in MiB. Default: 3.75, which all providers take; more than 12 is 12.",
    z.number().positive().optional(),
  ),
});

const entryKeys = {
  default: key(
    "The agent that gets what no binding claims. Without one: the first of the list.",
    z.boolean().optional(),
  ),
  name: key("Name shown to people.", z.string().optional()),
  workspace: key(
    "The agent's own files. Default: `workspace` in the state directory, `workspace-<id>` for agents other than the default one.",
    filledText().optional(),
  ),
  agentDir: key(
    "State of the agent. Default: `agents/<id>/agent` in the state directory. Never shared.",
    filledText().optional(),
  ),
  identity: key(
    "Who the agent is towards people.",
    z
      .strictObject({
        name: key("Name, when `name` is not set.", z.string().optional()),
        theme: key("Character, in a few words; a model is told.", z.string().optional()),
        emoji: key("Emoji; whoever uses it in a group means the agent.", z.string().optional()),
        avatar: later("identity beyond the name", "Picture.", z.string().optional()),
      })
      .optional(),
  ),
  maxConcurrent: key(
    "Turns of this agent at a time, over different sessions. Default: 4.",
    z.int().positive().optional(),
  ),
  lanes: key(
    "Places of a shared lane that it may hold at a time, beside `maxConcurrent`.",
    z
      .strictObject({
        main: key("What came from outside. Default: as many as the lane has.", z.int().positive().exactOptional()),
        subagent: key(
          "Sub-agents that work as this agent, whoever asked for them. Default: as many as the lane has.",
          z.int().positive().exactOptional(),
        ),
        cron: key("Timers. Default: as many as the lane has.", z.int().positive().exactOptional()),
        background: key(
          "Work that nobody waits for. Default: as many as the lane has.",
          z.int().positive().exactOptional(),
        ),
      })
      .optional(),
  ),
  weight: key(
    "Places of a lane that it gets in a row while other agents want one too. Default: 1.",
    z.int().min(1).max(limits.laneWeightMax).optional(),
  ),
  sandbox: key(
    "Sandboxing of this agent.",
    z
      .strictObject({
        ...sandboxKeys(),
        sessionToolsVisibility: key(
          "Instead of `agents.defaults.sandbox.sessionToolsVisibility`.",
          z.enum(["spawned", "all"]).optional(),
        ),
      })
      .optional(),
  ),
  supervision: key(
    "Child spec of this agent; each key replaces the one of `agents.defaults.supervision`.",
    z
      .strictObject({
        ...supervisionKeys,
        group: key("The group that it belongs to, one of `agents.groups`.", filledText().optional()),
      })
      .optional(),
  ),
  ...agentKeys,
  runtime: later("external agents (ACP)", "External program behind the agent.", anyMap().optional()),
};

const entry = z.strictObject({ id: key("Stable id of the agent.", agentId()), ...entryKeys });
const namedEntry = z.strictObject({ id: key("Same as the key, when given.", agentId().optional()), ...entryKeys });

export type AgentEntry = z.output<typeof entry>;

export const agents = z
  .strictObject({
    defaults: key("What every agent inherits.", defaults.prefault({})),
    list: key("The agents, in order. Without any: one agent, `main`.", z.array(entry).default([])),
    entries: key("The agents by id; the same as `list`.", z.record(agentId(), namedEntry).default({})),
    groups: key(
      "Groups of agents that live and end together. Members name their group; their order is that of the agents.",
      z
        .record(
          filledText(),
          z.strictObject({
            strategy: key(
              "Who gets a new cell when one member crashes: `one_for_one` itself, `one_for_all` every member, `rest_for_one` itself and the members after it.",
              z.enum(groupStrategies).default("one_for_one"),
            ),
          }),
        )
        .default({}),
    ),
    ownership: later("agent ownership", "Explicit owners of what no binding claims.", anyValue()),
  })
  .prefault({});
