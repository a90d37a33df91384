/**
 * What is done to a session apart from speaking in it: its label, its archive mark, its pin, its model, and a new beginning. For operators and for
 * the tool `sessions`. Source: behaviour §3.7, §5.6.
 */
import type { ModelSettings } from "../broker/port.ts";
import { failure } from "../kernel/errors.ts";
import { partsOfModel } from "../kernel/model-name.ts";
import type { ChoiceChange, ElevatedLevel } from "../kernel/session-choices.ts";
import type { SessionRow, Store } from "../store/port.ts";
import type { Models } from "./models.ts";
import { readChoices } from "./session-choices.ts";

/** Names of credentials that a refusal tells. */
const profilesToldMax = 20;

export interface SessionPatch {
  /** `null` removes it. */
  readonly label?: string | null;
  readonly archived?: boolean;
  readonly pinned?: boolean;
  /** `provider/model`, one that the agent may ask. `null` or `default`: the one of the configuration. */
  readonly model?: string | null;
  /** As `thinkingDefault` of an agent; `null` or `default` likewise. */
  readonly thinking?: string | null;
  /** `off`, `on` or `full`; `null` or `default` likewise. */
  readonly verbose?: string | null;
  /** `null`: as the configuration says. */
  readonly elevated?: ElevatedLevel | null;
  /** Whether its answers leave for its channel; `null`: as `session.sendPolicy` says. */
  readonly sendPolicy?: "allow" | "deny" | null;
  /** As of `AskedChoices`. */
  readonly byAgent?: true;
}

export interface SessionCare {
  /**
   * Makes the session if it gets a label, a model or a level of thinking before its first message. Nothing is changed when one of the
   * choices may not be made. @throws CLOISTER_SESSION_UNKNOWN when one that is not there is archived or pinned, and what `readChoices` throws.
   */
  patch(key: string, agentId: string, patch: SessionPatch): Promise<SessionRow>;
  /**
   * The session begins anew: new id, no state. Mail that waits is for the new one. Its sub-agents end before.
   * @throws CLOISTER_BUSY while a turn of it runs or a sub-agent of it has not ended, CLOISTER_SESSION_UNKNOWN when nobody spoke to it.
   */
  reset(key: string, agentId: string): Promise<SessionRow>;
  /**
   * The session is gone from the lists, with its state and its label. What was said is kept under its key; mail that waits begins
   * another. Its sub-agents end before. Gives the row as it was.
   * @throws CLOISTER_BUSY while a turn of it runs or a sub-agent of it has not ended, CLOISTER_SESSION_UNKNOWN when nobody spoke to it, CLOISTER_REQUEST_INVALID
   *   for the main session of an agent.
   */
  delete(key: string, agentId: string): Promise<SessionRow>;
}

export function makeSessionCare(deps: {
  readonly store: Store;
  /** Whether the next turn will read the state from the store; false while one runs. */
  readonly forgetState: (sessionKey: string) => boolean;
  /** Ends the sub-agents that the session started, for they worked for what is over. Gives how many have not ended in time. */
  readonly cancelChildren: (sessionKey: string) => Promise<number>;
  readonly onSessionChanged: (sessionKey: string, agentId: string, reason: string) => void;
  /** Every agent has one. */
  readonly mainOf: (agentId: string) => string;
  /** Which models agents may ask. */
  readonly models: () => Pick<ModelSettings, "agents" | "catalogue">;
  /** Credentials that the agent's calls of a provider may be made with, by name. */
  readonly profileNames: Models["profileNames"];
  readonly nowMs: () => number;
}): SessionCare {
  const { store, nowMs } = deps;
  const found = (key: string, row: SessionRow | undefined, reason: string): SessionRow => {
    if (row === undefined)
      throw failure("CLOISTER_SESSION_UNKNOWN", `No session found with key: ${key}`, "cloister sessions");
    deps.onSessionChanged(key, row.agentId, reason);
    return row;
  };

  /** Nothing may come between this and the call of the store: a turn that begins after it reads what the store then has. */
  const forget = (key: string, what: string): void => {
    if (deps.forgetState(key)) return;
    throw failure(
      "CLOISTER_BUSY",
      `the session ${key} is running: it cannot be ${what} now`,
      "wait for its turn to end, or stop it with chat.abort",
    );
  };

  /** What a sub-agent was to report belongs to the conversation that is over, so its end comes first. */
  const endChildren = async (key: string, what: string): Promise<void> => {
    forget(key, what);
    const left = await deps.cancelChildren(key);
    if (left > 0)
      throw failure(
        "CLOISTER_BUSY",
        `${left} sub-agents of the session ${key} have not ended: it cannot be ${what} now`,
        "try again in a moment; cloister subagents list shows them",
      );
  };

  /** Whoever may choose a credential may know their names. */
  const withProfile = async (agentId: string, change: ChoiceChange): Promise<ChoiceChange> => {
    const { model, authProfile } = change;
    if (typeof model !== "string" || typeof authProfile !== "string") return change;
    const { provider } = partsOfModel(model);
    const names = await deps.profileNames(agentId, provider);
    if (names.includes(authProfile)) return change;
    const there = names.length === 0 ? "none" : names.slice(0, profilesToldMax).join(", ");
    throw failure(
      "CLOISTER_REQUEST_INVALID",
      `${provider} has no credential ${JSON.stringify(authProfile)} that ${agentId} may use; there ${names.length === 1 ? "is" : "are"} ${there}`,
      "cloister models status shows them; without @ the model is asked with the first that can be used",
    );
  };

  return {
    async patch(key, agentId, { label, archived, pinned, model, thinking, verbose, elevated, sendPolicy, byAgent }) {
      const choices = {
        ...(await withProfile(agentId, readChoices(deps.models(), agentId, { model, thinking, verbose, byAgent }))),
        ...(elevated === undefined ? {} : { elevated }),
        ...(sendPolicy === undefined ? {} : { sendPolicy }),
      };
      let row = label === undefined ? undefined : await store.labelSession(key, agentId, label, nowMs());
      if (Object.keys(choices).length > 0) row = await store.setChoices(key, agentId, choices, nowMs());
      if (archived !== undefined) row = await store.archiveSession(key, archived, nowMs());
      if (pinned !== undefined) row = await store.pinSession(key, pinned);
      return found(key, row, "patch");
    },
    async delete(key, agentId) {
      if (key === deps.mainOf(agentId))
        throw failure(
          "CLOISTER_REQUEST_INVALID",
          `${key} is the main session of ${agentId}, which every agent has: it cannot be deleted`,
          `cloister sessions reset ${key}`,
        );
      await endChildren(key, "deleted");
      forget(key, "deleted");
      return found(key, await store.deleteSession(key, agentId, nowMs()), "delete");
    },
    async reset(key, agentId) {
      await endChildren(key, "reset");
      forget(key, "reset");
      return found(key, await store.resetSession(key, agentId, nowMs()), "reset");
    },
  };
}
