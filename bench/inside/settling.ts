/** Asks a target that is about to die, and notes when and how each call settled. For an actor, and for a library in its own process. */
import { type Death, waitForever } from "./mortal.ts";

export interface SettlingOrder {
  readonly how: Death;
  readonly pending: number;
  /** A call that is pending for so long after the target said that it dies counts as never settled. */
  readonly windowMs: number;
  /** Where the target writes its signs of life. */
  readonly file: string;
}

export interface Settlement {
  /** On the clock that all processes share (`process.hrtime`), in nanoseconds, as decimal text. */
  readonly atNs: string;
  /** The code of the error, or its name where it has none; `an answer` when it was answered. */
  readonly as: string;
  /** An error that code can tell from others: by a code, or by a class of its own. */
  readonly isTyped: boolean;
}

/** `ask` gets the number of its call. `terminate` is called for a target that somebody has to end, when it is ready for that. */
export async function measureSettling(
  { how, pending, windowMs, file }: SettlingOrder,
  ask: (text: string, call: number) => Promise<unknown>,
  terminate?: () => unknown,
): Promise<readonly Settlement[]> {
  const settled: Settlement[] = [];
  const note = (as: string, isTyped: boolean): void =>
    void settled.push({ atNs: String(process.hrtime.bigint()), as, isTyped });
  const calls = Array.from({ length: pending }, (_, call) =>
    ask(waitForever, call).then(
      (answer) => note(answerOf(answer), false),
      (error: unknown) => note(...nameOf(error)),
    ),
  );
  // It may be gone before its answer is.
  await ask(JSON.stringify({ how, pending, file }), pending).catch(() => undefined);
  if (how === "ended from outside") terminate?.();
  let window: NodeJS.Timeout | undefined;
  const over = new Promise((resolve) => (window = setTimeout(resolve, windowMs)));
  await Promise.race([Promise.all(calls), over]);
  clearTimeout(window);
  return settled;
}

const answerOf = (answer: unknown): string => `an answer: ${JSON.stringify(answer)}`;

/** An error's code, or its name. A plain `Error` without a code can only be told from others by its text. */
function nameOf(error: unknown): [as: string, isTyped: boolean] {
  if (!(error instanceof Error)) return [`not an error: ${String(error)}`, false];
  const { code } = error as { code?: unknown };
  if (typeof code === "string") return [code, true];
  return error.name === "Error" ? [`Error: ${error.message}`, false] : [error.name, true];
}
