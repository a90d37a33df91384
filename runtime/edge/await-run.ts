/** Answers of runs over HTTP: what was stored, and, when the sender waits, what came of it. */
import type { Exchange } from "./route.ts";
import { refusalBody, sendJson, sendRefusal } from "./answer.ts";
import type { InboundResult, KernelForEdge } from "./port.ts";
import { httpStatus } from "./wire-error.ts";

type Stored = Extract<InboundResult, { status: "accepted" | "duplicate" }>;

/**
 * - stored, nobody waits: 200 with `fields`
 * - the run ended: 200 with `fields` and `reply` (null when the agent chose to stay silent)
 * - the run failed: the status of its code, with `fields` and `error`
 * - not handled by an agent: 200 with the status (`dropped`, `pending`) and why
 * - no answer in time: 202 with `fields` and `status:"timeout"`; the run goes on and the answer is in its session
 */
export async function answerRun(
  exchange: Exchange,
  kernel: Pick<KernelForEdge, "waitRun">,
  result: InboundResult,
  waitMs: number | undefined,
  fieldsOf: (stored: Stored) => Readonly<Record<string, unknown>>,
): Promise<void> {
  const { response } = exchange;
  if (result.status === "refused") return sendRefusal(response, result.refusal);
  if (!("runId" in result)) return sendJson(response, 200, { ok: true, ...result });
  const fields = { ok: true, status: result.status, ...fieldsOf(result) };
  if (waitMs === undefined) return sendJson(response, 200, fields);
  const run = await kernel.waitRun(result.runId, waitMs);
  if (run.status === "ok") return sendJson(response, 200, { ...fields, reply: run.reply });
  if (run.status === "timeout") return sendJson(response, 202, { ...fields, status: "timeout" });
  sendJson(response, httpStatus(run.refusal.code), { ...fields, status: "error", ...refusalBody(run.refusal) });
}
