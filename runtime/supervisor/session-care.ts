/**
 * What is done to a session apart from speaking in it: its label, its archive mark, and a new beginning. For operators and for
 * the tool `sessions`. Source: behaviour §3.7, §5.6.
 */
import { failure } from "../kernel/errors.ts";
import type { SessionRow, Store } from "../store/port.ts";

export interface SessionPatch {
  /** `null` removes it. */
  readonly label?: string | null;
  readonly archived?: boolean;
}

export interface SessionCare {
  /** Makes the session if it gets a label before its first message. @throws CLOISTER_SESSION_UNKNOWN when one that is not there is archived. */
  patch(key: string, agentId: string, patch: SessionPatch): Promise<SessionRow>;
  /**
   * The session begins anew: new id, no state. Mail that waits is for the new one.
   * @throws CLOISTER_BUSY while a turn of it runs, CLOISTER_SESSION_UNKNOWN when nobody spoke to it.
   */
  reset(key: string, agentId: string): Promise<SessionRow>;
}

export function makeSessionCare(deps: {
  readonly store: Store;
  /** Whether the next turn will read the state from the store; false while one runs. */
  readonly forgetState: (sessionKey: string) => boolean;
  /** Ends the sub-agents that the session started: they worked for what is over. */
  readonly cancelChildren: (sessionKey: string) => void;
  readonly onSessionChanged: (sessionKey: string, agentId: string, reason: string) => void;
  readonly nowMs: () => number;
}): SessionCare {
  const { store, nowMs } = deps;
  const found = (key: string, row: SessionRow | undefined, reason: string): SessionRow => {
    if (row === undefined)
      throw failure("CLOISTER_SESSION_UNKNOWN", `No session found with key: ${key}`, "cloister sessions");
    deps.onSessionChanged(key, row.agentId, reason);
    return row;
  };

  return {
    async patch(key, agentId, { label, archived }) {
      const labelled = label === undefined ? undefined : await store.labelSession(key, agentId, label, nowMs());
      const row = archived === undefined ? labelled : await store.archiveSession(key, archived, nowMs());
      return found(key, row, "patch");
    },
    async reset(key, agentId) {
      // Nothing may come between the two: a turn that begins after this reads what the store then has.
      if (!deps.forgetState(key))
        throw failure(
          "CLOISTER_BUSY",
          `the session ${key} is running: it cannot be reset now`,
          "wait for its turn to end, or stop it with chat.abort",
        );
      deps.cancelChildren(key);
      return found(key, await store.resetSession(key, agentId, nowMs()), "reset");
    },
  };
}
