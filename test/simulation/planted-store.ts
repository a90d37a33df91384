/** Bugs of the store that the simulation must find (`store.test.ts`). */
import type { Planted } from "./planted-kernel.ts";

export const plantedInStore: readonly Planted[] = [
  {
    bug: "a done marker that is ignored at the start",
    file: "store/pending.ts",
    text: "if (done === undefined) {\n          open.push(row);",
    instead: "if (done !== null) {\n          open.push(row);",
    seen: /was committed and is pending/u,
    seeds: 40,
  },
  {
    bug: "an answer before the flush",
    file: "store/open-store.ts",
    text: "const result = await this.#withBody(envelope, (stored) => this.#journal.append(stored, dedupe, sees));",
    instead: 'void this.#journal.append(envelope, dedupe, sees); const result = { status: "stored", seq: 0 };',
    seen: /was answered as stored and is lost/u,
    seeds: 40,
  },
  {
    bug: "a delivery that is not counted",
    file: "store/journal.ts",
    text: 'this.#environment.put(["n", place[0]], attempt);',
    instead: "",
    seen: /deliveries, \d+ were counted|has the attempt/u,
    seeds: 40,
  },
  {
    bug: "a state that is written in a transaction of its own",
    file: "store/agent-store.ts",
    text: 'environment.put(["t", before.sessionId], turn.state);',
    instead:
      'void environment.write(() => environment.put(["t", before.sessionId], turn.state)).catch(() => undefined);',
    seen: /has the state/u,
    seeds: 80,
  },
  {
    bug: "an answer to an ask that is forgotten while the asking turn is open",
    file: "store/journal.ts",
    text: "if (askedIn !== undefined && this.has(askedIn)) {",
    instead: 'if (askedIn === "none") {',
    seen: /the outcome of the ask/u,
    seeds: 80,
  },
  {
    bug: "an idempotency key that is not remembered",
    file: "store/journal.ts",
    text: "if (key !== undefined) window.remember(",
    instead: "if (key === null) window.remember(",
    seen: /was stored under|was sent twice/u,
    seeds: 40,
  },
  {
    bug: "a dead letter whose envelope goes in another transaction",
    file: "store/journal.ts",
    text: "    this.#remove(envelopeId, agentId, seq);\n    forgotten.push([agentId, envelopeId]);",
    instead:
      "      void this.#environment.write(() => this.#remove(envelopeId, agentId, seq)).catch(() => undefined);\n      forgotten.push([agentId, envelopeId]);",
    seen: /is pending and a dead letter/u,
    seeds: 80,
  },
  {
    bug: "a backlog that gives what is done once more",
    file: "store/journal.ts",
    text: " || isDone(header.id)) continue;",
    instead: ") continue;",
    seen: /was committed and is pending/u,
    seeds: 200,
  },
  {
    bug: "a backlog that begins behind its first envelope",
    file: "store/pending.ts",
    text: "after: row.seq - 1,",
    instead: "after: row.seq,",
    seen: /has \d+ envelopes and says|was answered as stored and is lost/u,
    seeds: 40,
  },
  {
    bug: "appends that are tried again behind those that came after them",
    file: "store/groups.ts",
    text: "if (group.length === 1 || place !== this.#handedOn) for (const { reject } of group) reject(error);\n      // All at once, so that nothing comes between them.\n      else await Promise.all(group.map((one) => this.#run([one])));",
    instead:
      "if (group.length === 1) group[0]?.reject(error);\n      else for (const one of group) await this.#run([one]);",
    seen: /not in the order of its acceptance/u,
    seeds: 400,
  },
  {
    bug: "a session index that is not mended at the start",
    file: "store/pending.ts",
    text: "await Promise.all(heads.map((head) => index.update(head)));",
    instead: "void heads;",
    seen: /the index of .* says/u,
    seeds: 80,
  },
  {
    bug: "markers that a crash leaves for good",
    file: "store/agent-store.ts",
    text: "if (!isKnown(envelopeText)) this.#forgotten.add(envelopeText);",
    instead: "isKnown(envelopeText);",
    seen: /^left in /u,
    seeds: 80,
  },
];
