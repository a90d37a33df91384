/**
 * While somebody at a terminal waits for an answer: tells which commands of the session wait for an operator, and how to decide. Whoever began
 * the turn is mostly that operator, and would see nothing until the turn gives up.
 */
import { limits } from "../kernel/limits.ts";
import { commandPrefix, type CliContext } from "./context.ts";
import { findGateway } from "./find-gateway.ts";
import { connectGateway } from "./gateway-client.ts";
import { parseApprovals } from "./gateway-rows.ts";
import { showableText } from "./terminal.ts";

/**
 * Looks once the answer has not come for a moment, over a connection of its own: the one that asks may not see what waits. It is a service and no
 * part of the conversation: when it fails, nothing is told. Gives what ends it.
 */
export function watchApprovals(context: CliContext, sessionKey: () => string | undefined): () => void {
  const sinceMs = context.nowMs();
  const stop = new AbortController();
  const timer = setTimeout(
    () => void look(context, sessionKey, sinceMs, stop.signal).catch(() => undefined),
    limits.approvalLookMs,
  );
  return () => {
    clearTimeout(timer);
    stop.abort();
  };
}

async function look(
  context: CliContext,
  sessionKey: () => string | undefined,
  sinceMs: number,
  signal: AbortSignal,
): Promise<void> {
  const { version, platform, terminal } = context;
  const target = await findGateway(context);
  // A device of another machine would ask for a right that somebody has to approve.
  if (signal.aborted || target.device !== undefined) return;
  const client = await connectGateway(target, { version, platform, scopes: ["operator.approvals"] }, { signal });
  const close = (): void => void client.close().catch(() => undefined);
  signal.addEventListener("abort", close);
  if (signal.aborted) return close();
  const told = new Set<string>();
  const events = client.events();
  const tell = async (): Promise<void> => {
    for (const request of parseApprovals(await client.request("exec.approval.list", {}))) {
      // What an earlier turn asked for holds this one up no longer.
      const isOurs = request.sessionKey === sessionKey() && request.createdAtMs >= sinceMs;
      if (request.allowed || !isOurs || told.has(request.id) || signal.aborted) continue;
      told.add(request.id);
      const decide = `${commandPrefix(context)} approvals allow ${request.id}`;
      terminal.err(
        showableText(
          `(${request.agentId} wants to run ${request.shown.words} and waits for you, in another terminal: ${decide})`,
        ),
      );
    }
  };
  await tell();
  for await (const { event } of events) if (event === "exec.approvals") await tell();
}
