/** What the configuration says of an agent that a model speaks for, as the shipped module `assistant` goes by it. */
import type { VerboseLevel } from "../kernel/session-choices.ts";
import type { ModelThinking } from "./model-port.ts";

export interface AgentSettings extends SharedSettings {
  /** Shown to people. */
  readonly name: string;
  readonly mainSessionKey: string;
  /** Skills that agents share, as they were when the cell started; absent in tests alone. */
  readonly beside?: BesideSkills;
}

/** Of ten thousand agents most have the same, which is kept once. */
export interface SharedSettings {
  readonly emoji?: string;
  readonly theme?: string;
  /** A zone that `Intl` knows. */
  readonly timezone: string;
  /** Name and system of the machine that the gateway runs on. */
  readonly machine: string;
  /** Files of the workspace in the prompt: characters of one and of all, and in which turns (behaviour §6.1). */
  readonly bootstrap: {
    readonly fileCharsMax: number;
    readonly totalCharsMax: number;
    readonly injection: "always" | "continuation-skip" | "never";
  };
  /** Names of the skills that it may use; absent: all. */
  readonly skills?: readonly string[];
  /** Characters of the list of skills in the prompt. */
  readonly skillsCharsMax: number;
  /** Tokens that a model takes at most: prompt, conversation and answer. */
  readonly contextTokens: number;
  /** Of models that take another number, by `provider/model`; absent: of none. */
  readonly windows?: Readonly<Record<string, number>>;
  readonly thinking?: ModelThinking;
  /** What of its work an answer tells, where nobody chose for the session. */
  readonly verbose?: VerboseLevel;
  /** All but answers and quick steps is to go to sub-agents. */
  readonly handsOn?: true;
  readonly compaction: {
    readonly isEnabled: boolean;
    /** Tokens that stay free below `contextTokens`. */
    readonly reserveTokens: number;
    /** Tokens at the end of the conversation that stay as they are. */
    readonly keepRecentTokens: number;
    /** The model may write down what matters before. */
    readonly flushesMemory: boolean;
  };
  /** Absent: nothing says in words what is in a picture. */
  readonly pictures?: {
    readonly describedBy: string;
    /** Models that read none. */
    readonly blind: readonly string[];
  };
  /** Of what its sandboxed sessions see; absent: none is sandboxed. */
  readonly sandbox?: SandboxSettings;
  /** Old results of tools are shown shortened once the provider's cache is this old; absent: never. */
  readonly pruneAfterMs?: number;
}

export interface SandboxSettings {
  /** Which sessions: all, or all but the main one. */
  readonly covers: "all" | "non-main";
  /** What they see of the workspace: nothing, what may be read, or all. */
  readonly access: "none" | "ro" | "rw";
  readonly backend: string;
  readonly hasNetwork: boolean;
}

/** What a cell is told of skills outside of its workspace. */
export interface BesideSkills {
  /** As Node names it: what skills of the workspace say of systems is held against it. */
  readonly platform: string;
  /** Names that are switched off for everybody. */
  readonly off: readonly string[];
  /** Those that the agent may use. The location is an absolute path, which the tool `read` takes. */
  readonly found: readonly { readonly name: string; readonly description: string; readonly location: string }[];
}
