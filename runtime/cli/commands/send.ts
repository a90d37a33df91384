/** `cloister send`: one message, one answer. */
import { randomUUID } from "node:crypto";
import { failure } from "../../kernel/errors.ts";
import { limits } from "../../kernel/limits.ts";
import { watchApprovals } from "../approval-watch.ts";
import { type CliContext, commandPrefix, type ExitCode } from "../context.ts";
import { parseAccepted, parseFinalAnswer } from "../gateway-rows.ts";
import { withScopeAsNeeded } from "../open-client.ts";
import { showableText, signalExitCodes } from "../terminal.ts";
import { formatJson } from "../views/table.ts";

export interface SendOptions {
  readonly agent?: string;
  readonly session?: string;
  /** Seconds. */
  readonly timeout?: number;
  readonly json?: boolean;
}

/** Ctrl-C stops the run, since its answer has no reader any more. */
export function runSend(context: CliContext, words: readonly string[], options: SendOptions): Promise<ExitCode> {
  const { terminal } = context;
  return withScopeAsNeeded(context, ["operator.write"], async (client) => {
    let run: ReturnType<typeof parseAccepted> | undefined;
    let interrupted: ExitCode | undefined;
    const stop = (): void => {
      if (run === undefined) return;
      const { runId, sessionKey = options.session } = run;
      // When the gateway cannot stop it, the answer itself ends the wait.
      client
        .request("chat.abort", { runId, ...(sessionKey === undefined ? {} : { sessionKey }) })
        .catch(() => undefined);
    };
    const unwatch = watchApprovals(context, () => run?.sessionKey ?? options.session);
    const release = terminal.onSignal((signal) => {
      if (interrupted !== undefined) terminal.exitNow(signalExitCodes[signal]);
      interrupted = signalExitCodes[signal];
      stop();
    });
    try {
      const waitMs = options.timeout === undefined ? limits.runWaitMsDefault : options.timeout * 1_000;
      const params = {
        message: words.join(" "),
        deliver: false,
        idempotencyKey: randomUUID(),
        ...(options.agent === undefined ? {} : { agentId: options.agent }),
        ...(options.session === undefined ? {} : { sessionKey: options.session }),
        ...(options.timeout === undefined ? {} : { timeout: options.timeout }),
      };
      const payload = await client.request("agent", params, {
        // The gateway tells of its own timeout first.
        timeoutMs: waitMs + limits.clientRequestMs,
        onAccepted: (first) => {
          run = parseAccepted(first);
          if (interrupted !== undefined) stop();
        },
      });
      return interrupted ?? show(context, payload, options, waitMs);
    } catch (error) {
      if (interrupted !== undefined) return interrupted;
      throw error;
    } finally {
      unwatch();
      release();
    }
  });
}

function show(context: CliContext, payload: unknown, options: SendOptions, waitMs: number): ExitCode {
  const { terminal } = context;
  const answer = parseFinalAnswer(payload);
  if (answer.status === "timeout") {
    throw failure(
      "CLOISTER_ASK_TIMEOUT",
      `Waiting for the answer: run ${answer.runId} was not done within ${waitMs / 1_000} s and goes on.`,
      `Its answer will be in \`${commandPrefix(context)} history\`; to wait longer, give --timeout.`,
    );
  }
  if (options.json === true) terminal.out(formatJson(payload));
  else if (answer.text !== "") terminal.out(showableText(answer.text));
  else if (answer.status === "ok") terminal.err("(the agent said nothing)");
  if (answer.status === "ok") return 0;
  terminal.err(
    `the run ended as ${answer.status}${answer.summary === undefined ? "" : `: ${showableText(answer.summary)}`}`,
  );
  return 1;
}
