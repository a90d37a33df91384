/**
 * Runs that go in a circle. A call that fails in the same way again and again within one run ends the run (`CLOISTER_RUN_LOOP`): an
 * agent that misbehaves does not brake itself. The same call is the same operation, target and parameters; the same failure is the
 * same code and message. What passes by itself (a full mailbox, a deadline) is not counted, and a call that succeeds is no loop.
 *
 * Failures are counted with the answers that are on record, so that a turn that is handled again goes on counting where it was.
 * Circles over several agents end by the bounds of their chain (`chains.ts`). Needs A9.4, A11.3.
 */
import { errorRegister, isErrorCode, type Refusal } from "./errors.ts";
import type { KernelState, Turn } from "./state.ts";
import type { CallId, StepResult } from "./steps.ts";

/** What a call was given, until it is answered. */
export function noteCall(turn: Turn, key: number, ...given: readonly string[]): void {
  if (turn.mail.volatile || !Number.isInteger(key)) return;
  turn.given ??= new Map();
  turn.given.set(key, hash(given));
}

/** The call needs no answer that could be a failure. */
export function forgetCall(turn: Turn | undefined, key: number | undefined): void {
  if (key !== undefined) turn?.given?.delete(key);
}

/** Counts the answer when it is a failure, and gives what tells this failure of this call from others. */
export function noteAnswer(
  k: KernelState,
  turn: Turn,
  { key, op, name, to = "" }: CallId,
  result: StepResult,
): string | undefined {
  const given = turn.given?.get(key) ?? 0;
  turn.given?.delete(key);
  const failed = failureOf(op, result);
  if (failed === undefined) return undefined;
  const signature = hash([op, name, to, String(given), failed]).toString(36);
  countFailure(k, turn, signature, `${op} ${name.slice(0, 200)}`, failed);
  return signature;
}

/** Also for what earlier deliveries of the turn have on record. */
export function countFailure(k: KernelState, turn: Turn, signature: string, call: string, failed: string): void {
  const times = (turn.failures?.get(signature) ?? 0) + 1;
  turn.failures ??= new Map();
  turn.failures.set(signature, times);
  if (times < k.settings.loops.sameFailuresMax || turn.why !== undefined) return;
  turn.why = {
    code: "CLOISTER_RUN_LOOP",
    message: `failed: loop: the call ${call} failed ${times} times in the same way: ${failed.slice(0, 400)}`,
  };
  k.looping.add(turn);
}

/** Undefined: it succeeded, or failed in a way that may pass. */
function failureOf(op: CallId["op"], [num, a, b]: StepResult): string | undefined {
  if (num === 0) {
    const { code, message } = parse(a) as Partial<Refusal>;
    return isErrorCode(code) && errorRegister[code].retry === "later" ? undefined : `${code ?? ""} ${message ?? ""}`;
  }
  if (op !== "tool" || b.length > failureCharsMax) return undefined;
  const { status, code, error } = parse(b) as {
    readonly status?: unknown;
    readonly code?: unknown;
    readonly error?: unknown;
  };
  if ((status !== "error" && status !== "forbidden") || passing.has(code)) return undefined;
  return `${String(code)} ${String(error)}`;
}

/** Longer results of tools are no failures. */
const failureCharsMax = 16_384;
/** Codes of tools (`tool-results.ts`). */
const passing: ReadonlySet<unknown> = new Set(["busy", "timeout", "worker_unavailable"]);

function parse(json: string): object {
  try {
    const found: unknown = JSON.parse(json);
    return typeof found === "object" && found !== null ? found : {};
  } catch {
    return {};
  }
}

/** FNV-1a over the texts, each with its end: to tell calls of one run apart, not to keep anybody out. */
function hash(texts: readonly string[]): number {
  let value = 0x811c9dc5;
  for (const text of texts) {
    for (let index = 0; index < text.length; index++) value = Math.imul(value ^ text.charCodeAt(index), 0x01000193);
    value = Math.imul(value ^ 0x1_ffff, 0x01000193);
  }
  return value >>> 0;
}
