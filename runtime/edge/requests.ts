/**
 * Requests of an admitted client: method known → scope held → parameters of the right form → the kernel's side.
 *
 * `agent` answers twice with one id: what was accepted, and how the run ended. Nothing here throws for what a client sends.
 */
import { z } from "zod";
import { type Refusal, toRefusal } from "../kernel/errors.ts";
import type { EdgeBounds } from "./bounds.ts";
import { formatError, formatPayload, type RequestFrame } from "./frames.ts";
import { formatIssues } from "./issues.ts";
import { findMethod, type Method } from "./methods.ts";
import { findNodeMethod } from "./node-methods.ts";
import type { Client, DoorRefusal, KernelForEdge, RpcResult, RunResult } from "./port.ts";
import { holdsScope } from "../../auth/scopes.ts";
import { toWireError, type WireError } from "./wire-error.ts";

export interface RequestDeps {
  readonly kernel: Pick<KernelForEdge, "rpc" | "waitRun">;
  readonly bounds: EdgeBounds;
  readonly now: () => number;
  noteRefusal(refusal: DoorRefusal): void;
  /** Answers `system-presence`. */
  presence(): Promise<object>;
}

export async function answerFrame(
  client: Client,
  frame: RequestFrame,
  respond: (text: string) => void,
  deps: RequestDeps,
): Promise<void> {
  const { id, method } = frame;
  const row = findMethod(method);
  const nodeParams = client.role === "node" ? findNodeMethod(method) : undefined;
  const checked =
    nodeParams !== undefined
      ? checkParams(nodeParams, frame)
      : row === undefined
        ? { error: unknownMethod(method) }
        : checkRequest(client, row, frame);
  const refuse = (error: WireError): void => {
    if (error.code === "FORBIDDEN") deps.noteRefusal(deniedOf(client, method, error));
    respond(formatError(id, error));
  };
  if (checked.error !== undefined) return refuse(checked.error);

  const startedAtMs = deps.now();
  if (method === "system-presence") return respond(formatPayload(id, await deps.presence()));
  const result = await settled(() => deps.kernel.rpc(client, method, checked.params));
  if (!result.ok) {
    const { missingScope: scope } = result.refusal;
    // What was meant was known only there, such as a command in a message.
    if (scope !== undefined) return refuse(missingScope(client, scope));
    return respond(formatError(id, toWireError(result.refusal)));
  }
  respond(formatPayload(id, result.payload));

  const accepted = method === "agent" ? acceptedRun.safeParse(result.payload).data : undefined;
  if (accepted === undefined) return;
  const { runId, ...where } = accepted;
  const waitMs = waitOf(checked.params, deps.bounds);
  const run = await settledRun(runId, () => deps.kernel.waitRun(runId, waitMs));
  respond(formatRun(id, run, where, deps.now() - startedAtMs));
}

const acceptedRun = z.object({ runId: z.string(), agentId: z.string(), sessionKey: z.string() });

type RunPlace = Omit<z.infer<typeof acceptedRun>, "runId">;

function deniedOf({ clientId, connId }: Client, method: string, { message }: WireError): DoorRefusal {
  const detail = `conn=${connId} ${message}`;
  return { type: "access_denied", subject: `client:${clientId}`, object: method, code: "MISSING_SCOPE", detail };
}

function unknownMethod(method: string): WireError {
  return { code: "INVALID_REQUEST", message: `unknown method: ${method}` };
}

type Checked = { readonly error: WireError } | { readonly error?: undefined; readonly params: unknown };

function checkRequest(client: Client, { scope, params, needs }: Method, frame: RequestFrame): Checked {
  if (!holdsScope(client.scopes, scope)) return { error: missingScope(client, scope) };
  const checked = checkParams(params, frame);
  if (checked.error !== undefined) return checked;
  const further = needs?.(checked.params as never);
  if (further !== undefined && !holdsScope(client.scopes, further)) return { error: missingScope(client, further) };
  return checked;
}

function checkParams(params: Method["params"], frame: RequestFrame): Checked {
  const parsed = params.safeParse(frame.params ?? {}, { reportInput: true });
  if (parsed.success) return { params: parsed.data };
  const message = `the parameters of ${frame.method} are not valid: ${formatIssues(parsed.error)}`;
  return { error: { code: "INVALID_REQUEST", message, details: { code: "CLOISTER_REQUEST_INVALID" } } };
}

function missingScope({ upgradeRequestId }: Client, scope: string): WireError {
  const remedy =
    upgradeRequestId === undefined
      ? `Connect with a credential that may have ${scope}, and ask for it.`
      : `On the gateway's machine: cloister devices approve ${upgradeRequestId}`;
  const details = { code: "MISSING_SCOPE", missingScope: scope, requiredScopes: [scope], remedy };
  return { code: "FORBIDDEN", message: `missing scope: ${scope}`, details };
}

/** A call that failed (its thread ended, a fault) as a refusal like any other. */
async function settled(call: () => Promise<RpcResult>): Promise<RpcResult> {
  try {
    return await call();
  } catch (error) {
    return { ok: false, refusal: toRefusal(error) };
  }
}

async function settledRun(runId: string, call: () => Promise<RunResult>): Promise<RunResult> {
  try {
    return await call();
  } catch (error) {
    return { status: "error", runId, refusal: toRefusal(error) satisfies Refusal };
  }
}

/** `timeout` is in seconds; absent or 0 means the default. A timer takes at most 2^31 − 1 ms. */
function waitOf(params: unknown, { runWaitMsDefault }: EdgeBounds): number {
  const named = typeof params === "object" && params !== null && "timeout" in params ? params.timeout : 0;
  const seconds = typeof named === "number" ? named : 0;
  return seconds === 0 ? runWaitMsDefault : Math.min(seconds * 1000, 2 ** 31 - 1);
}

function formatRun(id: string, run: RunResult, where: RunPlace, durationMs: number): string {
  const { runId } = run;
  if (run.status === "error") return formatError(id, toWireError(run.refusal, { runId, status: "error" }));
  const summary = run.status === "ok" ? "completed" : "no answer in time; the run goes on";
  const reply = run.status === "ok" ? run.reply : null;
  const ended =
    run.status === "ok" ? { aborted: false, stopReason: "stop", finalAssistantVisibleText: reply ?? "" } : {};
  const payloads = reply === null ? [] : [{ text: reply, mediaUrl: null }];
  const meta = { durationMs, agentMeta: where, ...ended };
  return formatPayload(id, { runId, status: run.status, summary, result: { payloads, meta } });
}
