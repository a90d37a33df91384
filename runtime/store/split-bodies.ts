/** A migration of the journal. */
import type { Envelope } from "../kernel/envelope.ts";
import { type Environment, top } from "./environment.ts";
import { keyText } from "./key-text.ts";

/** Format 3 had header and body in one row and no index by agent. One row at a time, so that bodies need no room. */
export function splitBodies(environment: Environment): void {
  let at = 0;
  for (;;) {
    const [next] = environment.entries<Envelope>({ start: ["e", at], end: ["e", top], limit: 1 });
    if (next === undefined) return;
    const seq = next.key[1] as number;
    const { header, body } = next.value;
    environment.put(["e", seq], header);
    environment.put(["m", seq], body);
    environment.put(["q", keyText(header.agentId), seq], 0);
    at = seq + 1;
  }
}
