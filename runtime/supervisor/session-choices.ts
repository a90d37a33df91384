/**
 * Which model a session uses, how much it thinks and how much of its work it tells, when somebody chose that for it alone: checked here whoever asks, kept by the store,
 * and in force from the session's next turn on. Source: behaviour §3.5, §3.7.
 */
import { allowedModels } from "../broker/allowed-models.ts";
import type { ModelSettings } from "../broker/port.ts";
import { findThinking } from "../config/agent-settings.ts";
import type { ResolvedAgent } from "../config/resolved.ts";
import { failure } from "../kernel/errors.ts";
import { limits } from "../kernel/limits.ts";
import { wholeModelName } from "../kernel/model-name.ts";
import {
  type ChoiceChange,
  type SessionChoices,
  type ThinkingLevel,
  type VerboseLevel,
  verboseLevels,
} from "../kernel/session-choices.ts";

/** `null` and "default" take a choice back. */
export interface AskedChoices {
  readonly model?: string | null | undefined;
  readonly thinking?: string | null | undefined;
  readonly verbose?: string | null | undefined;
  /** An agent asks: it may choose what is asked, and not who pays for that, so that its model has no `@profile`. */
  readonly byAgent?: true | undefined;
}

/** What is chosen is the whole name, also where an alias was asked for. @throws CLOISTER_CAPABILITY_DENIED and CLOISTER_REQUEST_INVALID, with what may be chosen. */
export function readChoices(
  settings: Pick<ModelSettings, "agents" | "catalogue" | "channelModels" | "aliases">,
  agentId: string,
  { model, thinking, verbose, byAgent }: AskedChoices,
): ChoiceChange {
  return {
    ...(model === undefined
      ? {}
      : isDefault(model)
        ? { model: null, authProfile: null }
        : readModel(settings, agentId, model, byAgent === true)),
    ...(thinking === undefined ? {} : { thinking: isDefault(thinking) ? null : readThinking(thinking) }),
    ...(verbose === undefined ? {} : { verbose: isDefault(verbose) ? null : readVerbose(verbose) }),
  };
}

const isDefault = (asked: string | null): asked is null => asked === null || asked.trim().toLowerCase() === "default";

function readModel(
  settings: Parameters<typeof readChoices>[0],
  agentId: string,
  asked: string,
  byAgent: boolean,
): ChoiceChange {
  const model = wholeModelName(settings.aliases ?? {}, asked.trim());
  if (model === "" || model.length > limits.modelNameCharsMax)
    throw failure(
      "CLOISTER_REQUEST_INVALID",
      `the name of a model has 1 to ${limits.modelNameCharsMax} characters, found ${model.length}`,
      'write it as "provider/model", or "default" for the one of the configuration',
    );
  if (settings.agents[agentId]?.primary === undefined)
    throw failure(
      "CLOISTER_REQUEST_INVALID",
      `a model for one session takes the place of the agent's, and ${agentId} has none`,
      `set agents.defaults.model, or model of agents.list[id=${agentId}], to "provider/model"`,
    );
  const { name, authProfile } = byAgent ? { name: model, authProfile: null } : partsOf(settings, agentId, model);
  allowedModels(settings, agentId, name);
  return { model: name, authProfile };
}

/** `provider/model@profile`. Some names of models have the sign as well: one that the agent may ask is a name. */
function partsOf(
  settings: Parameters<typeof allowedModels>[0],
  agentId: string,
  model: string,
): { readonly name: string; readonly authProfile: string | null } {
  const at = model.lastIndexOf("@");
  const whole = { name: model, authProfile: null };
  if (at <= model.indexOf("/") + 1 || at === model.length - 1) return whole;
  try {
    allowedModels(settings, agentId, model);
    return whole;
  } catch {
    return { name: model.slice(0, at), authProfile: model.slice(at + 1) };
  }
}

function readThinking(asked: string): ThinkingLevel {
  const level = findThinking(asked);
  if (level !== undefined) return level;
  throw failure(
    "CLOISTER_REQUEST_INVALID",
    `thinking: found ${JSON.stringify(asked.slice(0, 40))}, wanted off, low, medium, high or default`,
  );
}

function readVerbose(asked: string): VerboseLevel {
  const level = verboseLevels.find((one) => one === asked.trim().toLowerCase());
  if (level !== undefined) return level;
  throw failure(
    "CLOISTER_REQUEST_INVALID",
    `verbose: found ${JSON.stringify(asked.slice(0, 40))}, wanted off, on, full or default`,
  );
}

/**
 * How a session is served: as it was chosen for it, else as the configuration says of its agent. `channelModel`: what it says of the
 * conversation, which takes the place of a model that the agent has.
 */
export function effectiveChoices(
  agent: Pick<ResolvedAgent, "model" | "settings"> | undefined,
  choices: SessionChoices | undefined,
  channelModel?: string,
): { readonly model?: string; readonly thinking: ThinkingLevel; readonly verbose: VerboseLevel } {
  const model = choices?.model ?? (agent?.model === undefined ? undefined : (channelModel ?? agent.model));
  return {
    ...(model === undefined ? {} : { model }),
    thinking: choices?.thinking ?? agent?.settings.thinking ?? "off",
    verbose: choices?.verbose ?? agent?.settings.verbose ?? "off",
  };
}
