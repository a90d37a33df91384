/** `cloister chat`: a conversation at a terminal, or one line after the other from a pipe. */
import { createInterface, type Interface } from "node:readline";
import { isCoded } from "../../kernel/errors.ts";
import { limits } from "../../kernel/limits.ts";
import { watchApprovals } from "../approval-watch.ts";
import { chatCommandNames, type ChatStep, stepOf } from "../chat-commands.ts";
import { type ChatLine, openChatLine } from "../chat-line.ts";
import type { CliContext, ExitCode } from "../context.ts";
import type { Answer } from "../conversation.ts";
import type { Terminal } from "../terminal.ts";
import { showableText } from "../terminal.ts";
import { formatHistory } from "../views/sessions.ts";

export interface ChatOptions {
  readonly agent?: string;
  readonly session?: string;
  /** Messages of before that are shown at first. */
  readonly history?: number;
  /** From a pipe: each answer is one line of JSON. */
  readonly json?: boolean;
}

export async function runChat(context: CliContext, options: ChatOptions): Promise<ExitCode> {
  const { terminal } = context;
  const leaving = new AbortController();
  const line = await openChatLine(context, options, terminal.err, leaving.signal);
  if (terminal.input.isTTY === true && options.json !== true) return talk(context, line, options, leaving);
  try {
    return await answerLines(context, line, options.json === true);
  } finally {
    await line.close();
  }
}

/** Each line is sent and its answer printed before the next; the exit code tells whether all were answered. */
async function answerLines(context: CliContext, line: ChatLine, asJson: boolean): Promise<ExitCode> {
  const { terminal } = context;
  let failures = 0;
  for await (const typed of createInterface({ input: terminal.input, crlfDelay: Infinity })) {
    if (typed.trim() === "") continue;
    const answer = await ask(context, line, typed, () => undefined);
    if (answer.status !== "final") failures += 1;
    if (asJson) {
      terminal.out(JSON.stringify({ sessionKey: line.sessionKey, ...answer }));
      continue;
    }
    if (answer.text !== "") terminal.out(showableText(answer.text));
    const remark = remarkOn(answer);
    if (remark !== undefined) terminal.err(remark);
  }
  return failures === 0 ? 0 : 1;
}

/** What was typed while an answer runs waits for its end, but for `/abort`. */
async function talk(
  context: CliContext,
  first: ChatLine,
  options: ChatOptions,
  leaving: AbortController,
): Promise<ExitCode> {
  const { terminal, nowMs } = context;
  const { input, output } = terminal;
  let line = first;
  const screen = createInterface({
    input,
    output,
    prompt: "> ",
    terminal: true,
    historySize: limits.chatHistoryLines,
    removeHistoryDuplicates: true,
    completer: (typed: string) => [chatCommandNames.filter((name) => typed !== "" && name.startsWith(typed)), typed],
  });
  const left = Promise.withResolvers<undefined>();
  leaving.signal.addEventListener("abort", () => left.resolve(undefined));
  // Whoever leaves does not wait for a gateway that does not answer.
  const orLeft = <T>(work: Promise<T>): Promise<T | undefined> => Promise.race([work, left.promise]);
  handleInterrupts(screen, () => line, terminal.err, leaving);
  // From here on what is typed is kept until it is read.
  const typedLines = screen[Symbol.asyncIterator]();
  try {
    await orLeft(greet(terminal, line, options.history ?? limits.chatHistoryMessages));
    if (!leaving.signal.aborted) screen.prompt();
    for await (const typed of typedLines) {
      const text = typed.trim();
      if (text !== "" && text !== "/abort") {
        const step = await orLeft(tryStep(terminal, () => stepOf(line, text, nowMs())));
        if (step?.type === "leave") break;
        if (step?.type === "said") for (const told of step.lines) terminal.out(told);
        if (step?.type === "message") await orLeft(tryStep(terminal, () => showAnswer(context, line, step.text)));
        if (step?.type === "move")
          line = (await orLeft(tryStep(terminal, () => move(context, line, step.to, leaving.signal)))) ?? line;
      }
      if (leaving.signal.aborted) break;
      // What was typed meanwhile stays, with the cursor behind it.
      screen.prompt(true);
    }
  } finally {
    screen.close();
    await line.close();
  }
  return 0;
}

/** A mistake in one line is told, and the conversation goes on; a gateway that stays away ends it. */
async function tryStep<T>(terminal: Terminal, step: () => Promise<T>): Promise<T | undefined> {
  try {
    return await step();
  } catch (error) {
    if (!isCoded(error) || error.code === "CLOISTER_GATEWAY_UNREACHABLE") throw error;
    terminal.err(showableText(`(${error.message}${error.remedy === undefined ? "" : ` → ${error.remedy}`})`));
    return undefined;
  }
}

async function greet(terminal: Terminal, line: ChatLine, historyMax: number): Promise<void> {
  if (historyMax > 0) for (const told of formatHistory(await line.history(historyMax))) terminal.out(told);
  terminal.out(`${line.sessionKey} at ${line.url}: Ctrl-C stops an answer, /help lists commands, /quit leaves`);
}

/** The new line is there before the old one is given up. */
async function move(
  context: CliContext,
  from: ChatLine,
  to: (ChatStep & { type: "move" })["to"],
  signal: AbortSignal,
): Promise<ChatLine> {
  const line = await openChatLine(context, to, context.terminal.err, signal);
  await from.close();
  await greet(context.terminal, line, limits.chatHistoryMessages);
  return line;
}

async function ask(context: CliContext, line: ChatLine, text: string, onText: (text: string) => void): Promise<Answer> {
  const unwatch = watchApprovals(context, () => line.sessionKey);
  try {
    return await line.ask(text, onText);
  } finally {
    unwatch();
  }
}

async function showAnswer(context: CliContext, line: ChatLine, text: string): Promise<void> {
  const { terminal } = context;
  let shown = "";
  const answer = await ask(context, line, text, (fresh) => {
    shown += fresh;
    terminal.write(showableText(fresh));
  });
  if (answer.text.startsWith(shown)) terminal.write(showableText(answer.text.slice(shown.length)));
  // The agent took back what it had streamed: the final text stands.
  else terminal.write(`\n${showableText(answer.text)}`);
  terminal.write("\n");
  const remark = remarkOn(answer);
  if (remark !== undefined) terminal.err(remark);
}

/** The first Ctrl-C stops the running answer; another one before the next message leaves. */
function handleInterrupts(
  screen: Interface,
  line: () => ChatLine,
  say: (line: string) => void,
  leaving: AbortController,
): void {
  let isWarned = false;
  const abort = (otherwise: string): void => {
    line()
      .abort()
      .then(
        (wasRunning) => {
          if (!wasRunning) say(otherwise);
        },
        (error: unknown) => say(`\nthe answer could not be stopped: ${(error as Error).message}`),
      );
  };
  screen.on("line", (typed) => {
    isWarned = false;
    if (typed.trim() === "/abort") abort("no answer is running");
  });
  screen.on("SIGINT", () => {
    if (isWarned) {
      screen.close();
      leaving.abort();
      return;
    }
    isWarned = true;
    abort("\npress Ctrl-C again or write /quit to leave");
  });
}

function remarkOn({ status, text, error }: Answer): string | undefined {
  if (status === "aborted") return "(stopped)";
  if (status === "error") return `(failed: ${showableText(error ?? "the gateway gives no reason")})`;
  return text === "" ? "(the agent said nothing)" : undefined;
}
