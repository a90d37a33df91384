/** What the desks beside the conversation have in common: each keeps what it shows by itself, and reads it when somebody looks at it. */
import type { Client } from "../client.ts";

/** Of the middle of the page. */
export type Place = "chat" | "rights" | "routes" | "channels" | "config" | "log";

export interface DeskDeps {
  readonly request: Client["request"];
  readonly isReady: () => boolean;
}

/** Gives each question a number, so that an answer that was overtaken by a later question is let go. */
export function makeLatest(): () => () => boolean {
  let newest = 0;
  return () => {
    const own = ++newest;
    return () => own === newest;
  };
}
