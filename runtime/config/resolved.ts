/**
 * The configuration as the rest of the program sees it: plain, complete, frozen. Every path is absolute, every id is in
 * its one written form, every default is filled in, and what is not configured is absent rather than empty.
 */
import type { ResetRule } from "../store/port.ts";
import type { ChannelAccounts } from "../../channels/built.ts";
import type { OwnChannel } from "../../channels/own.ts";
import type { AccountSettings } from "../../channels/port.ts";
import type { Delivery, Policy, SessionToolsVisibility } from "../../auth/policy.ts";
import type { SendPolicy } from "../../auth/send-policy.ts";
import type { AuthSettings, HookMapping, LoginRule, WebhookSettings } from "../edge/settings.ts";
import type { ExecRules } from "../../auth/exec-policy.ts";
import type { McpRules, ToolRules } from "../../auth/tool-policy.ts";
import type { ModelSettings, SecretText, WithReferences } from "../broker/port.ts";
import type { MemoryEmbeddings, MemorySource } from "../tools/memory/port.ts";
import type { McpSettings } from "../mcp/port.ts";
import type { WebSettings } from "../tools/port.ts";
import type { SharedLane } from "../kernel/lanes.ts";
import type { LoopBounds } from "../kernel/settings.ts";
import type { QueuePolicy } from "../kernel/queues.ts";
import type { ElevatedLevel, ThinkingLevel } from "../kernel/session-choices.ts";
import type { AgentGroupChat, GroupsConfig } from "../groups/index.ts";
import type { AgentGroup, Supervision } from "../kernel/supervision.ts";
import type { BoxBackend, BoxSettings } from "../tools/port.ts";
import type { SharedSettings } from "../thread/agent-settings.ts";

export type DmScope = "main" | "per-peer" | "per-channel-peer" | "per-account-channel-peer";
export type GroupScope = "per-group" | "main";
export type Visibility = "self" | "tree" | "agent" | "all";

/** Source: behaviour §3.5. */
export interface SubagentPolicy {
  /** Other agents whose sub-agents it may start; `*` is any. */
  readonly allowAgents: readonly string[];
  readonly requireAgentId: boolean;
  readonly childrenMax: number;
  readonly depthMax: number;
  /** 0: no bound. */
  readonly runTimeoutMs: number;
  /** 0: never. */
  readonly archiveAfterMs: number;
  /** Of sub-agents that run as the agent. */
  readonly model?: { readonly primary: string; readonly fallbacks: readonly string[] };
  readonly thinking?: ThinkingLevel;
}

/** Source: behaviour §5.8. */
export interface HeartbeatRule {
  readonly everyMs: number;
  /** Nobody wrote a period: with a sign-in at some providers it is another one. */
  readonly isUsual?: true;
  /** Minutes of the day; an end that is not after the start is on the next day. Absent: always. */
  readonly hours?: { readonly startMinute: number; readonly endMinute: number; readonly timezone: string };
  /** `none`, `last`, `owner`, or a channel, which then has `to` as `kind:id`. */
  readonly target: string;
  readonly to?: string;
  readonly accountId?: string;
  /** Instead of the usual one. */
  readonly prompt?: string;
  readonly ackCharsMax: number;
  readonly isLight: boolean;
  /** `provider/model`; absent: the agent's. */
  readonly model?: string;
  /** A session of its own each time. */
  readonly isIsolated: boolean;
  /** A session of the agent; absent: its main session. */
  readonly session?: string;
  /** Absent: as long as the run of any job. */
  readonly timeoutMs?: number;
  /** No answer goes to a direct chat. */
  readonly sparesDirect: boolean;
}

/** Of one agent, with the sub-agents that run as it; a kind that is absent is not bounded. */
export interface DayBudget {
  readonly tokensPerDay?: number;
  readonly costUsdPerDay?: number;
  readonly toolCallsPerDay?: number;
  readonly turnMinutesPerDay?: number;
}

export interface ResolvedAgent {
  readonly id: string;
  readonly name: string;
  readonly isDefault: boolean;
  /** Name of a shipped module, or the absolute path of a file. */
  readonly module: string;
  readonly moduleKind: "builtin" | "file";
  /** Given to the actor as it is. */
  readonly options: Readonly<Record<string, unknown>>;
  readonly workspace: string;
  readonly agentDir: string;
  readonly sessionsDir: string;
  readonly model: string | undefined;
  /** How long a turn of a conversation may take; absent: no bound. */
  readonly turnMsMax?: number;
  /** What the module `assistant` goes by. */
  readonly settings: SharedSettings;
  /** A new workspace gets the files that a model is shown. */
  readonly seedsWorkspace: boolean;
  /** What it may take of models in one day; absent: no bound of its own. */
  readonly budget?: DayBudget;
  /** Tried after it, in order; absent: none. */
  readonly modelFallbacks?: readonly string[];
  /** What `memory_search` covers (`runtime/tools/memory`). */
  readonly memory: {
    readonly isEnabled: boolean;
    readonly includesDefault: boolean;
    readonly sources: readonly MemorySource[];
    readonly resultsMax: number;
    /** Who makes vectors of them; absent: words alone are searched. */
    readonly embeddings?: MemoryEmbeddings;
  };
  readonly sandboxMode: "off" | "non-main" | "all";
  readonly sandbox: {
    readonly scope: "session" | "agent" | "shared";
    /** What file tools see of the workspace. */
    readonly access: "none" | "ro" | "rw";
    /** Absolute: where the folders of sandboxes are. */
    readonly folder: string;
  };
  readonly exec: ExecSettings;
  /** What it says about tools; absent: nothing. */
  readonly toolRules?: ToolRules;
  /** Turns of this agent at a time, over different sessions. */
  readonly maxConcurrent: number;
  /** Places of a lane that it holds at a time at the most, by lane; absent: no bounds of its own. */
  readonly lanes?: Readonly<Partial<Record<SharedLane, number>>>;
  /** Places of a lane that it gets in a row when others want one too; absent: 1. */
  readonly weight?: number;
  /** How much mail may wait for it, and what becomes of more. */
  readonly mailbox: {
    readonly depthMax: number;
    readonly sessionDepthMax: number;
    readonly overflow: "reject" | "park" | "spill";
  };
  /** What its sessions may start. */
  readonly subagents: SubagentPolicy;
  /** The child spec, complete. */
  readonly supervision: Supervision;
  readonly group?: AgentGroup;
  /** Absent: it has no regular turns. */
  readonly heartbeat?: HeartbeatRule;
  /** Pauses between the pieces of an answer; absent: none. */
  readonly blockPause?: { readonly minMs: number; readonly maxMs: number };
  /** What it says about group chats; absent: nothing. */
  readonly groupChat?: AgentGroupChat;
  readonly isolation: {
    readonly level: "thread" | "process";
    readonly trust: "confined" | "trusted";
    /** Whose rights the agent's process has; absent: the gateway's own. Only with level `process`. */
    readonly user?: { readonly uid: number; readonly gid: number };
  };
}

/** Commands of one agent, and what they run in. */
export interface ExecSettings {
  readonly backend: BoxBackend;
  readonly box: BoxSettings;
  /** Why no command can run in it. */
  readonly fault?: { readonly message: string; readonly remedy: string } | undefined;
  /** Commands of sessions without a sandbox are refused. */
  readonly sandboxOnly: boolean;
  readonly onHost: ExecRules;
  readonly inSandbox: ExecRules;
  readonly yieldMs: number;
  readonly timeoutMs: number;
  readonly pathPrepend: readonly string[];
  /** Ends in the background that a session is told of; `usual`: not of one that succeeded without output. */
  readonly news: "none" | "usual" | "all";
  /** The tool apply_patch, and where that is written; absent: nothing is. */
  readonly patch?: {
    readonly key: string;
    readonly isOff: boolean;
    /** In lower case; empty: all. */
    readonly models: readonly string[];
  };
  readonly elevated: {
    readonly enabled: boolean;
    /** Of sessions where nobody has chosen; absent: where a call asks for it. */
    readonly usual?: ElevatedLevel;
    /** Each of them has to name the sender: ids by channel. */
    readonly allowFrom: readonly Readonly<Record<string, readonly string[]>>[];
  };
}

export interface ResolvedBinding {
  /** Place in the file's `bindings`, as messages name it. */
  readonly index: number;
  readonly agentId: string;
  readonly match: {
    readonly channel: string;
    /** `*`, or a normalised id. Absent = omitted in the file: the channel's default account. */
    readonly accountId?: string;
    readonly peer?: { readonly kind: "direct" | "group" | "channel"; readonly id: string };
    readonly guildId?: string;
    readonly teamId?: string;
    readonly roles?: readonly string[];
  };
  /** The file omits the account and `channels.<channel>.defaultAccount` supplied it. */
  readonly accountFromDefault?: true;
  readonly session?: { readonly dmScope?: DmScope; readonly groupScope?: GroupScope };
  readonly comment?: string;
}

/** How long sessions are kept, and how many. Source: behaviour §1.5. */
export interface SessionMaintenance {
  /** False: what would go is logged, and stays. */
  readonly isEnforced: boolean;
  /** Without activity for longer. */
  readonly pruneAfterMs: number;
  /** Transcripts of what has ended longer ago; undefined: never by age. */
  readonly transcriptsAfterMs: number | undefined;
  /** Of one agent: sessions, and transcripts of what has ended. */
  readonly entriesMax: number;
  /** Of one agent's transcripts and their files; more than `max` is brought down to `low`. Undefined: no bound. */
  readonly bytes: { readonly max: number; readonly low: number } | undefined;
}

export interface ResolvedConfig {
  /** Hash of everything below except the warnings: equal configurations have equal revisions. */
  readonly revision: string;
  readonly configPath: string;
  readonly configExists: boolean;
  readonly stateDir: string;
  readonly profile: string | undefined;
  readonly agents: readonly ResolvedAgent[];
  readonly defaultAgentId: string;
  readonly bindings: readonly ResolvedBinding[];
  readonly session: {
    readonly mainKey: string;
    readonly scope: "per-sender" | "global";
    readonly dmScope: DmScope;
    readonly groupScope: GroupScope;
    readonly identityLinks: Readonly<Record<string, readonly string[]>>;
    /** Further turns after the answer to a `sessions_send`; 0: none. */
    readonly maxPingPongTurns: number;
    readonly maintenance: SessionMaintenance;
    /** 0: not by itself. */
    readonly threadBindings: { readonly enabled: boolean; readonly idleMs: number; readonly maxAgeMs: number };
    readonly sendPolicy: SendPolicy;
    readonly notifyOnCreate: boolean;
    /** When sessions begin anew by themselves; what is absent never. A rule without entries is "never", against a wider one. */
    readonly reset: {
      readonly all?: ResetRule;
      readonly byType: { readonly direct?: ResetRule; readonly group?: ResetRule; readonly thread?: ResetRule };
      readonly byChannel: Readonly<Record<string, ResetRule>>;
    };
  };
  /** `messages.queue`; undefined: nobody has set it. */
  readonly queue:
    | { readonly policy: QueuePolicy; readonly byChannel: Readonly<Record<string, QueuePolicy>> }
    | undefined;
  readonly commands: {
    /** Whether channels have commands. */
    readonly text: boolean;
    /** Whether they stand in the menus of platforms as well. */
    readonly native: boolean;
    /** Ids, or `<channel>:<id>`. */
    readonly owners: readonly string[];
    /** Channel → senders; undefined: those of direct chats. */
    readonly allowFrom: Readonly<Record<string, readonly string[]>> | undefined;
    /** What begins a session anew, in lower case. */
    readonly resetTriggers: readonly string[];
  };
  /** Channel → the account that is meant where none is named. Source: behaviour §2.4. */
  readonly channelDefaults: Readonly<Record<string, string>>;
  /** Channel → its accounts that are switched on. */
  readonly accountsOn: Readonly<Record<string, readonly string[]>>;
  readonly agentToAgent: Policy["agentToAgent"];
  /** Agents that may propose changes of the configuration, as ids or `*` patterns. */
  readonly configProposers: readonly string[];
  /** Where on channels agents may speak beside their own conversations. */
  readonly deliveries: readonly Delivery[];
  /** Absent detection: bounds that nothing reaches (`runtime/kernel/loops.ts`). */
  readonly loops: LoopBounds;
  readonly visibility: Visibility;
  readonly sessionToolsVisibility: SessionToolsVisibility;
  /** Of agents that say so themselves. */
  readonly sessionToolsVisibilityOf: Readonly<Record<string, SessionToolsVisibility>>;
  /** Places of each lane (`runtime/kernel/lanes.ts`). */
  readonly lanes: Readonly<Record<SharedLane, number>>;
  /** What `tools` says about tools. */
  readonly toolRules: ToolRules;
  /** Narrows the tools of every sub-agent. */
  readonly subagentTools: { readonly allow?: readonly string[]; readonly deny: readonly string[] };
  /** Of the skills that agents share: folders in the order in which they count, names that are off, and what needs are held against. */
  readonly skills: {
    readonly roots: readonly string[];
    /** Those behind the skills that come with the program. */
    readonly extraRoots: readonly string[];
    /** Which of those may be used; absent: all. */
    readonly allowBundled?: readonly string[];
    readonly off: readonly string[];
    /** Names of variables that are set. */
    readonly env: readonly string[];
    /** Keys of the file that are set. */
    readonly config: readonly string[];
    /** Folders of programs. */
    readonly path: readonly string[];
    /** As Node names it. */
    readonly platform: string;
  };
  readonly webFetch: { readonly enabled: boolean; readonly settings: WebSettings };
  /** Files that sessions hand to sub-agents. */
  readonly attachments: {
    readonly isEnabled: boolean;
    readonly totalBytesMax: number;
    readonly filesMax: number;
    readonly fileBytesMax: number;
    /** They stay until the session is archived, where that is kept. */
    readonly isKept: boolean;
  };
  readonly gateway: {
    /** Address to listen on. */
    readonly host: string;
    readonly port: number;
    readonly auth: WithReferences<AuthSettings>;
    /** Absent: the gateway's own bounds hold. */
    readonly loginRule?: LoginRule;
    readonly trustedProxies: readonly string[];
    /** Endpoints for other programs. */
    /** What opens the gateway's figures and nothing else. */
    readonly metrics: { readonly token?: SecretText };
    readonly http: {
      readonly chatCompletions: boolean;
      readonly responses: boolean;
      readonly mcp: boolean;
      readonly a2a: boolean;
    };
    /** Programs of this machine that hold what opens the gateway are approved as devices without a person. */
    readonly autoApproveLocal: boolean;
    /** What nodes may be asked for beside what was approved, and never. */
    readonly nodeCommands: { readonly allow: readonly string[]; readonly deny: readonly string[] };
    /** `off`: edits of the file are checked, and have no effect. */
    readonly reload: { readonly mode: "hybrid" | "off"; readonly debounceMs: number };
    readonly controlUi: {
      readonly enabled: boolean;
      readonly basePath: string;
      readonly allowedOrigins: readonly string[];
    };
  };
  readonly hooks: {
    readonly enabled: boolean;
    readonly token?: SecretText;
    readonly path: string;
    /** Absent = every agent. */
    readonly allowedAgentIds?: readonly string[];
    readonly allowRequestSessionKey: boolean;
    /** What a session that a request chooses begins with, as a whole or behind its agent. Absent: anything. */
    readonly sessionKeyPrefixes?: readonly string[];
    /** Session of requests and mappings that name none; absent: each has its own. */
    readonly defaultSessionKey?: string;
    readonly bodyBytesMax?: number;
    readonly mappings: readonly HookMapping[];
  };
  readonly webhook: WithReferences<WebhookSettings> | null;
  /** Off: no job happens at its time (`cron.enabled`). */
  readonly jobs: { readonly enabled: boolean };
  /** Answers of jobs that go to a URL: what is sent with them, and hosts whose addresses are not judged. */
  readonly jobPosts: { readonly token?: SecretText; readonly allowedHosts: readonly string[] };
  /** When people on channels see that an agent types, and how often that is renewed at least. No mode: it depends on the message. */
  readonly typing: { readonly mode?: "never" | "instant" | "thinking" | "message"; readonly intervalMs: number };
  /** Which model answers where, over that of the agent and below what was chosen for the session. */
  readonly channelModels: ChannelModels;
  /** What answers on channels begin with; `auto`: the name of the agent's identity; empty: nothing. */
  readonly responsePrefixes: ByAccount<string>;
  /** `removed`: it is taken back when the answer is there. */
  readonly ackReactions: ByAccount<AckReaction> & { readonly removed: boolean };
  /** Answers that go out in pieces while they are written. */
  readonly blocks: {
    /** For accounts that say nothing of it. */
    readonly byDefault: boolean;
    readonly charsMin: number;
    readonly charsMax: number;
    readonly prefers: "paragraph" | "newline" | "sentence";
    /** Nothing goes before the text so far is whole. */
    readonly wholeTexts: boolean;
    readonly idleMs: number;
  };
  /** Accounts of the channels that this version has; goes to their threads and nowhere else: it holds credentials. */
  readonly channels: WithReferences<ChannelAccounts>;
  /** Channels of the operator's own that can be used, by their names, with their accounts that are switched on: as `channels`. */
  readonly ownChannels: Readonly<Record<string, OwnChannelAccounts>>;
  /** Where models are; goes to the broker and nowhere else: it holds keys. */
  readonly models: Pick<
    ModelSettings,
    "providers" | "catalogue" | "aliases" | "authOrder" | "variables" | "imageModel" | "pictureBytesMax"
  >;
  /** Programs whose tools agents may call; `servers` goes to their thread and nowhere else: it holds secrets. */
  readonly mcp: Pick<McpSettings, "servers" | "idleMs"> & { readonly rules: readonly McpRules[] };
  /** Who may write where, and which groups have several agents. */
  readonly groups: GroupsConfig;
  readonly logging: {
    readonly level: string;
    readonly consoleLevel: string;
    readonly file: string;
    readonly redactSensitive: boolean;
  };
  readonly warnings: readonly ConfigWarning[];
  /** Features that the file configures and that this version does not have. */
  readonly notActive: readonly string[];
}

export interface OwnChannelAccounts extends OwnChannel {
  readonly accounts: Readonly<Record<string, WithReferences<AccountSettings>>>;
}

export interface ConfigWarning {
  readonly path: string;
  readonly message: string;
  readonly remedy?: string;
}

/** Channel → id of a room or a person in its compared form, or `*` → `provider/model`. */
export type ChannelModels = Readonly<Record<string, Readonly<Record<string, string>>>>;

/** What an account has of its own goes before what its channel has, and that before `usual`. */
export interface ByAccount<T> {
  readonly usual: T;
  readonly byChannel: Readonly<Record<string, { readonly usual?: T; readonly byAccount: Readonly<Record<string, T>> }>>;
}

/** With what, and where, a message is acknowledged that an agent has got. */
export interface AckReaction {
  /** Empty: with nothing. Absent: with the emoji of the agent's identity. */
  readonly emoji?: string;
  readonly direct: boolean;
  /** In rooms: each message that an agent gets, or those that mention it. */
  readonly rooms: "always" | "mentions" | "never";
}
