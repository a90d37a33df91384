/**
 * `ctx.step` in the cell: begins when the kernel has the start on record, runs the function, and gives what the kernel has
 * recorded of its end. What a step gave goes through JSON also the first time, so that a repeated turn gets the same.
 */
import { AsyncLocalStorage } from "node:async_hooks";
import { failure, fromRefusal, isCoded, type Refusal, toRefusal } from "../../kernel/errors.ts";
import { up } from "../../kernel/frames.ts";
import type { Step } from "../actor-port.ts";
import type { Mailbox } from "./mailbox.ts";

/** How a step's function ended. `json` is empty for `undefined`. */
type StepEnd = { readonly json: string } | { readonly refusal: Refusal };

/** The name of the step whose function runs. */
const running = new AsyncLocalStorage<string>();

/** @throws `CLOISTER_REQUEST_INVALID` inside of a step: a repeated turn may not run it, and would number its calls otherwise. */
export function refuseInStep(what: string): void {
  const name = running.getStore();
  if (name === undefined) return;
  throw failure(
    "CLOISTER_REQUEST_INVALID",
    `${what} was called inside of the step ${JSON.stringify(name)}; a repeated turn does not run that step again, and would lose the call`,
    "call it before or after the step",
  );
}

export async function runStep<T>(
  mailbox: Mailbox,
  turn: number,
  number: number,
  name: string,
  isIdempotent: boolean,
  run: () => Promise<StepEnd>,
): Promise<T> {
  const step = { turn, num: number, c: "", credit: false };
  const begun = await mailbox.ask({ ...step, op: up.stepStart, slot: isIdempotent ? 1 : 0, a: name, b: "" }, "result");
  if (begun.status !== "run") return parse<T>(begun.text);
  const end = await run();
  const told = "json" in end ? { slot: 1, a: "", b: end.json } : { slot: 0, a: JSON.stringify(end.refusal), b: "" };
  const kept = await mailbox.ask({ ...step, op: up.stepEnd, ...told }, "result");
  return parse<T>(kept.text);
}

/** Never rejects: a step that throws, or gives what JSON cannot carry, has ended as well. */
export async function endOf(name: string, run: (step: Step) => unknown, key: string): Promise<StepEnd> {
  try {
    const json = JSON.stringify(await running.run(name, () => run({ key }))) as string | undefined;
    return { json: json ?? "" };
  } catch (error) {
    return { refusal: isCoded(error) ? toRefusal(error) : { code: "CLOISTER_STEP_FAILED", message: messageOf(error) } };
  }
}

export function takeResult<T>(end: StepEnd): T {
  if ("refusal" in end) throw fromRefusal(end.refusal);
  return parse<T>(end.json);
}

function parse<T>(json: string): T {
  return (json === "" ? undefined : JSON.parse(json)) as T;
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
