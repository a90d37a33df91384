/**
 * What the calls of turns sent, which timers and monitors they made, and what of them is kept for an operator's decision, inside the journal's
 * environment: a turn that is handled again finds them here, however long it waited in between.
 *
 * Layout, since format 5 of the journal (`E` is `keyText` of the id of the turn's envelope):
 *   ["r", E, number] → Sent | Made | Kept   by the number of the call
 * A row is written in the transaction that appends what was sent or sets what was made, and goes in the one that removes the row of the turn's own
 * envelope. Before format 5 these calls were keys of the idempotency window, in the scope `turn:<envelope id>`.
 */
import type { Release } from "../kernel/envelope.ts";
import type { CallId, StepRow } from "../kernel/steps.ts";
import type { DedupeWindow } from "./dedupe.ts";
import { type Environment, type Range, top } from "./environment.ts";
import { keyText } from "./key-text.ts";
import type { Dedupe, TurnCall, WindowKey } from "./port.ts";

/** What says which call it was is missing in rows that came from an older format. */
interface Sent extends Partial<CallId> {
  readonly envelopeId: string;
  readonly runId: string;
}

/** What the call is answered when its turn is handled again: the id of a timer or a monitor, or what `sessions_spawn` gives. */
interface Made extends CallId {
  readonly made: string | object;
}

/** With this request, until the operator has decided, or as this dead letter. */
export interface KeptPlace extends Release {
  readonly letterId: string;
}

/** The call was refused, and its message kept. */
interface Kept extends CallId {
  readonly kept: KeptPlace;
}

export type MadeCall = Sent | Made | Kept;

export function findCall(environment: Environment, { turn, call }: TurnCall): MadeCall | undefined {
  return environment.get<MadeCall>(["r", keyText(turn), call.key]);
}

/** What an append comes by, and what was stored for that before. A call counts while the journal has the envelope of its turn. */
export function seenBefore(
  environment: Environment,
  dedupe: Dedupe | undefined,
  window: Pick<DedupeWindow, "find">,
  journal: { readonly has: (envelopeId: string) => boolean },
): {
  readonly key: WindowKey | undefined;
  readonly call: TurnCall | undefined;
  readonly made: MadeCall | undefined;
  readonly seen: { readonly envelopeId: string; readonly runId: string } | undefined;
} {
  const key = dedupe !== undefined && "scope" in dedupe ? dedupe : undefined;
  const call = dedupe !== undefined && "turn" in dedupe && journal.has(dedupe.turn) ? dedupe : undefined;
  const made = call && findCall(environment, call);
  return { key, call, made, seen: key !== undefined ? window.find(key) : sentOf(made) };
}

export function sentOf(
  call: MadeCall | undefined,
): { readonly envelopeId: string; readonly runId: string } | undefined {
  return call && "envelopeId" in call ? { envelopeId: call.envelopeId, runId: call.runId } : undefined;
}

/** Inside a transaction. */
export function rememberSent(
  environment: Environment,
  { turn, call }: TurnCall,
  sent: { readonly envelopeId: string; readonly runId: string },
): void {
  environment.put(["r", keyText(turn), call.key], { ...call, ...sent } satisfies Sent);
}

export function findMade(environment: Environment, by: TurnCall): string | object | undefined {
  const made = findCall(environment, by);
  return made && "made" in made ? made.made : undefined;
}

/** Inside a transaction. */
export function rememberMade(environment: Environment, { turn, call }: TurnCall, made: string | object): void {
  environment.put(["r", keyText(turn), call.key], { ...call, made } satisfies Made);
}

/** Inside a transaction. */
export function rememberKept(environment: Environment, { turn, call }: TurnCall, kept: KeptPlace): void {
  environment.put(["r", keyText(turn), call.key], { ...call, kept } satisfies Kept);
}

/** In the order of the calls. What is kept is not among it: the call was refused, and may be made again. */
export function sentIn(environment: Environment, turn: string): readonly StepRow[] {
  const rows: StepRow[] = [];
  for (const { value } of environment.entries<MadeCall>(callsOf(keyText(turn)))) {
    const { key, op, name, to } = value;
    if (key === undefined || op === undefined || name === undefined || "kept" in value) continue;
    const call: CallId = { key, op, name, ...(to === undefined ? {} : { to }) };
    rows.push(
      "made" in value
        ? { ...call, result: [1, "ok", JSON.stringify(value.made)] }
        : { ...call, envelopeId: value.envelopeId },
    );
  }
  return rows;
}

/** The turn is over. Inside a transaction. */
export function forgetSent(environment: Environment, turn: string): void {
  for (const { key } of Array.from(environment.entries(callsOf(keyText(turn))))) environment.remove(key);
}

/** From format 4 of the journal to 5. What orders the keys that leave the window goes with its age. */
export function moveTurnCalls(environment: Environment): void {
  const prefix = "turn:";
  const range = { start: ["d", prefix], end: ["d", "turn;"] };
  for (const { key, value } of Array.from(environment.entries<readonly [number, number, string, string]>(range))) {
    environment.remove(key);
    const turnText = (key[1] as string).slice(prefix.length);
    const number = Number(key[2]);
    if (!Number.isInteger(number) || environment.get(["i", turnText]) === undefined) continue;
    const [, , envelopeId, runId] = value;
    environment.put(["r", turnText, number], { envelopeId, runId } satisfies Sent);
  }
}

function callsOf(turnText: string): Range {
  return { start: ["r", turnText, 0], end: ["r", turnText, top] };
}
