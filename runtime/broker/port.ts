/**
 * What crosses between the main thread and the broker's. The broker owns the credentials of models and every connection to their
 * providers; the main thread hands over requests and answers as texts that it does not read.
 */
import type { ToolRules } from "../../auth/tool-policy.ts";
import type { Refusal } from "../kernel/errors.ts";
import type { ModelEnd } from "../kernel/model-call.ts";
import type { Tokens } from "../kernel/run-rows.ts";
import type { SecretsRead } from "./secrets-read.ts";

/** How a provider is spoken to. Source: the peer's `models.providers.*.api`. */
export const modelApis = [
  "anthropic-messages",
  "openai-completions",
  "openai-responses",
  "google-generative-ai",
  "ollama",
  "scripted",
] as const;
export type ModelApi = (typeof modelApis)[number];

/** How a provider is asked for vectors of texts. */
export type EmbedApi = "openai" | "compatible" | "google" | "ollama";

/** The others make none. OpenAI's two ways to speak have one for vectors. */
export const embedApis: Readonly<Partial<Record<ModelApi, EmbedApi>>> = {
  "openai-responses": "openai",
  "openai-completions": "compatible",
  "google-generative-ai": "google",
  ollama: "ollama",
};

/** USD for a million tokens. */
export interface ModelPrices {
  readonly input: number;
  readonly output: number;
  readonly cacheRead: number;
  readonly cacheWrite: number;
}

export interface ModelEntry {
  readonly id: string;
  /** For people. */
  readonly name?: string;
  readonly api?: ModelApi;
  /** Tokens of a whole conversation, and of one answer; absent: not known. */
  readonly contextWindow?: number;
  readonly maxTokens?: number;
  /** Whether it can think before it answers. Absent: it is asked to when an actor wants it. */
  readonly reasoning?: boolean;
  /** What it reads, such as `text` and `image`. Absent: nobody said, and it is shown what there is. */
  readonly input?: readonly string[];
  readonly cost?: ModelPrices;
  /** Of api `scripted`: what it answers; the first rule that fits. */
  readonly script?: readonly ScriptRule[];
}

/** Where a secret is. The thread that uses it goes there, and no other does. Source: behaviour §1.1. */
export interface SecretRef {
  readonly source: "env" | "file" | "exec" | "store";
  /** Of `exec`: the program, by its name in `secret-programs`. */
  readonly provider?: string;
  /** Of `env` the variable, of `file` the path, of `exec` the program's argument, of `store` the name. */
  readonly id: string;
}

/** A text, why there is none, or where it is. */
export type SecretValue = { readonly value: string } | { readonly missing: string } | { readonly ref: SecretRef };

/** In the place of a secret: where it is, and the key of the config that says so. */
export interface SecretAt {
  readonly key: string;
  readonly ref: SecretRef;
}

export type SecretText = string | SecretAt;

/** Keys of settings that hold secrets, whichever thread they are for. */
export type SecretKey =
  | "token"
  | "password"
  | "secret"
  | "key"
  | "botToken"
  | "appToken"
  | "signingSecret"
  | "outboundToken";

/** What a thread is told, before it has followed the references in it (`follow-secrets.ts`). */
export type WithReferences<T> = T extends readonly (infer Item)[]
  ? readonly WithReferences<Item>[]
  : T extends object
    ? {
        [K in keyof T]: K extends SecretKey
          ? string extends T[K]
            ? T[K] | SecretAt
            : WithReferences<T[K]>
          : WithReferences<T[K]>;
      }
    : T;

/** How a person signs in to a provider at a terminal (OAuth 2.0). What is absent is asked of the `issuer`. */
export interface SignInSettings {
  readonly clientId: string;
  readonly clientSecret?: SecretValue;
  readonly issuer?: string;
  readonly authorizationUrl?: string;
  readonly tokenUrl?: string;
  readonly deviceUrl?: string;
  readonly revocationUrl?: string;
  /** Where the browser is sent back to, on this machine; absent: any free port. */
  readonly redirectUrl?: string;
  readonly scopes: readonly string[];
  /** Further parameters of the address that the browser opens. */
  readonly params: Readonly<Record<string, string>>;
}

export interface ProviderSettings {
  readonly id: string;
  readonly api: ModelApi;
  /** Absent: the provider's own. */
  readonly baseUrl?: string;
  readonly apiKey?: SecretValue;
  readonly headers: Readonly<Record<string, SecretValue>>;
  /** Absent: nobody signs in, its key is written down somewhere. */
  readonly oauth?: SignInSettings;
  /** By id. */
  readonly models: Readonly<Record<string, ModelEntry>>;
}

/** One answer of a scripted model. Texts are compared with the last message, without regard to case. */
export interface ScriptRule {
  readonly when?: {
    /** The last message holds this text. */
    readonly text?: string;
    /** It is the result of this tool. */
    readonly tool?: string;
  };
  /** `{{text}}` stands for the last message. */
  readonly say?: string;
  readonly call?: readonly { readonly name: string; readonly input: Readonly<Record<string, unknown>> }[];
  /** Characters of one piece of a stream. Default: all at once. */
  readonly pieceChars?: number;
  /** Instead of an answer: as a provider would refuse. */
  readonly fail?: { readonly status: number; readonly message: string; readonly retryAfterMs?: number };
}

/** Of one agent. */
export interface AgentModels {
  readonly primary?: string;
  readonly fallbacks: readonly string[];
  /** What its sub-agents use; absent: what it uses itself. */
  readonly subagents?: { readonly primary: string; readonly fallbacks: readonly string[] };
  readonly agentDir: string;
  /** Where the pictures are that it shows to models; absent: it shows none. */
  readonly workspace?: string;
  /** What answers its heartbeats; absent: what it uses itself. */
  readonly heartbeat?: string;
  /** `provider/model` that makes vectors of its notes; absent: none does. */
  readonly embeddings?: string;
}

export interface ModelSettings {
  readonly providers: Readonly<Record<string, ProviderSettings>>;
  readonly agents: Readonly<Record<string, AgentModels>>;
  /** What any agent that has a model may name beside its own. */
  readonly catalogue: readonly string[];
  /** Short names, as they are written, by which people and actors may ask for models of `catalogue`; absent: there are none. */
  readonly aliases?: Readonly<Record<string, string>>;
  /** What answers in some conversations instead of an agent's own, with the agent's fallbacks (`channels.modelByChannel`). */
  readonly channelModels?: readonly string[];
  /** What says in words what is in a picture, for models that read none; any agent may ask it. Absent: nothing does. */
  readonly imageModel?: { readonly primary: string; readonly fallbacks: readonly string[] };
  /** Bytes of one picture that a model is shown; absent: `modelPictureBytesDefault`. */
  readonly pictureBytesMax?: number;
  readonly defaultAgentId: string;
  readonly stateDir: string;
  /** Provider → ids of auth profiles, in the order in which they are tried. */
  readonly authOrder: Readonly<Record<string, readonly string[]>>;
  /** `tools.byProvider` and the agents' own; absent: there are none. */
  readonly toolsByModel?: {
    readonly global: Pick<ToolRules, "byProvider">;
    readonly agents: Readonly<Record<string, Pick<ToolRules, "byProvider">>>;
  };
  /** Variables that auth profiles may refer to. */
  readonly variables: Readonly<Record<string, string>>;
}

export interface BrokerAsk {
  /** From 1, one for each call of a model. */
  readonly id: number;
  readonly agentId: string;
  /** Empty: the agent's own. */
  readonly model: string;
  /** The credential to be tried first, by the name of its profile. */
  readonly authProfile?: string;
  readonly wantsText: boolean;
  /** A `ModelRequest` without its model, as the cell wrote it. */
  readonly request: string;
  /** Its tools, when they travel beside it; empty: what the request itself says. */
  readonly tools: string;
}

/** Texts of one agent of which vectors are wanted, at most `memoryEmbedTextsMax`, by its model for embeddings. */
export interface EmbedAsk {
  readonly agentId: string;
  readonly texts: readonly string[];
  /** Some models make another vector of what is looked for than of what is found. */
  readonly isQuery: boolean;
  /** Then it has failed, whatever was tried by then. */
  readonly timeoutMs: number;
}

/** One vector for each text, in their order, all of the same number of dimensions, and of length 1. */
export type EmbedEnd =
  | { readonly ok: true; readonly vectors: readonly Float32Array[]; readonly used: Tokens }
  | { readonly ok: false; readonly refusal: Refusal };

/** What the main thread may call. */
export interface BrokerForKernel {
  /** Never rejects by itself: a failure is an end. */
  ask(ask: BrokerAsk): Promise<ModelEnd>;
  /** The call ends as soon as it can, with `CLOISTER_ASK_ABORTED`. */
  cancel(id: number): Promise<void>;
  /** Never rejects by itself. */
  embed(ask: EmbedAsk): Promise<EmbedEnd>;
  configure(settings: ModelSettings): Promise<void>;
  /** Credentials of which the agent may have one tried first, by name. Rejects with what is wrong with their file. */
  profileNames(agentId: string, providerId: string): Promise<readonly string[]>;
  /** `api_key`, `token` or `oauth`: what the first of them is; undefined: there is none. Rejects likewise. */
  profileType(agentId: string, providerId: string): Promise<string | undefined>;
  /** What programs said counts no more, and those of the configuration that cannot be read are told. None is `renewed`: each call reads its own. */
  readSecrets(): Promise<SecretsRead>;
}

/** What the broker may call. */
export interface KernelForBroker {
  /** Pieces of an answer, in order. */
  text(id: number, text: string): Promise<void>;
  log(level: "debug" | "info" | "warn" | "error", message: string, fields: object): Promise<void>;
}
