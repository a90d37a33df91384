/** `cloister chat`: a conversation in the terminal, or one line after the other from a pipe. */
import { createInterface, type Interface } from "node:readline";
import type { CliContext, ExitCode } from "../context.ts";
import { type Answer, type Conversation, openConversation } from "../conversation.ts";
import { chooseSession } from "../choose-session.ts";
import { withGateway } from "../open-client.ts";
import { showableText } from "../terminal.ts";

export interface ChatOptions {
  readonly agent?: string;
  readonly session?: string;
}

export function runChat(context: CliContext, options: ChatOptions): Promise<ExitCode> {
  return withGateway(context, ["operator.read", "operator.write"], async (client) => {
    const sessionKey = await chooseSession(client, options);
    await client.request("sessions.subscribe", {});
    const conversation = openConversation(client, sessionKey);
    return context.terminal.input.isTTY === true
      ? talk(context, conversation, sessionKey)
      : answerLines(context, conversation);
  });
}

/** Each line is sent and its answer printed before the next; the exit code tells whether all were answered. */
async function answerLines({ terminal }: CliContext, conversation: Conversation): Promise<ExitCode> {
  let failures = 0;
  for await (const line of createInterface({ input: terminal.input, crlfDelay: Infinity })) {
    if (line.trim() === "") continue;
    const answer = await conversation.ask(line, () => undefined);
    if (answer.text !== "") terminal.out(showableText(answer.text));
    const remark = remarkOn(answer);
    if (remark !== undefined) terminal.err(remark);
    if (answer.status !== "final") failures += 1;
  }
  return failures === 0 ? 0 : 1;
}

async function talk({ terminal }: CliContext, conversation: Conversation, sessionKey: string): Promise<ExitCode> {
  const { input, output } = terminal;
  const lines = createInterface({ input, output, prompt: "> ", terminal: true });
  handleInterrupts(lines, conversation, terminal.err);
  terminal.out(`${sessionKey}: write a message; Ctrl-C stops an answer, /quit leaves`);
  lines.prompt();
  for await (const line of lines) {
    const text = line.trim();
    if (text === "/quit" || text === "/exit") break;
    if (text !== "") await showAnswer(terminal, conversation, text);
    lines.prompt();
  }
  lines.close();
  return 0;
}

async function showAnswer(terminal: CliContext["terminal"], conversation: Conversation, text: string): Promise<void> {
  let shown = "";
  const answer = await conversation.ask(text, (fresh) => {
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
function handleInterrupts(lines: Interface, conversation: Conversation, say: (line: string) => void): void {
  let isWarned = false;
  lines.on("line", () => {
    isWarned = false;
  });
  lines.on("SIGINT", () => {
    if (isWarned) {
      lines.close();
      return;
    }
    isWarned = true;
    conversation.abort().then(
      (wasRunning) => {
        if (!wasRunning) say("\npress Ctrl-C again or write /quit to leave");
      },
      (error: unknown) => say(`\nthe answer could not be stopped: ${(error as Error).message}`),
    );
  });
}

function remarkOn({ status, text, error }: Answer): string | undefined {
  if (status === "aborted") return "(stopped)";
  if (status === "error") return `(failed: ${showableText(error ?? "the gateway gives no reason")})`;
  return text === "" ? "(the agent chose not to answer)" : undefined;
}
