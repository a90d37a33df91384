/**
 * The table of the tools that the supervisor runs for agents. Each tool says what a second run of the same call does, because
 * a turn that is handled again may find a call that was started and whose result was not kept.
 */
import type { z } from "zod";
import { isNamed, mcpTools } from "../../../auth/tool-names.ts";
import { type Refusal, toRefusal } from "../../kernel/errors.ts";
import type { Kernel } from "../../kernel/kernel.ts";
import type { AuditEffect, Effect } from "../../kernel/state.ts";
import { refusalResult, type ToolErrorCode, toolErrorCode } from "../../kernel/tool-results.ts";
import type { AgentBudgets } from "../agent-budgets.ts";

export type ToolCall = Extract<Effect, { type: "call" }>;

export interface Tool {
  /**
   * What a second run of one call does. `reads`: nothing but another look. `by-call`: nothing, the call is recognised by its
   * number. `same`: what one run leaves. `acts`: its effect again; its start is recorded before it runs, and a call that was started and has no result is
   * answered with `outcome_unknown` instead of being run.
   */
  readonly repeat: "reads" | "by-call" | "same" | "acts";
  /** What the call's parameters have to be, before the body is taken out of them. */
  readonly parameters: z.ZodType;
  /** The result object; `undefined` when the kernel answers the call itself. */
  readonly run: (call: ToolCall) => Promise<object | undefined>;
}

export type ToolTable = Readonly<Record<string, Tool>>;

/** The result objects of refusals. */
export interface ToolRefusal {
  readonly status: "error" | "forbidden";
  readonly code: ToolErrorCode;
  readonly error: string;
  readonly operatorHint?: string;
  /** The operator was asked for the right; `kept`: the message goes out if that is approved. */
  readonly request?: { readonly id: string; readonly kept: boolean };
}

/** Tools of MCP servers are one entry: nobody knows their names before they are asked. */
function toolOf(tools: ToolTable, name: string): Tool | undefined {
  return tools[isNamed([mcpTools], name) ? mcpTools : name];
}

/** A tool that the table does not have is repeatable: there is none the second time either. */
export function isRepeatable(tools: ToolTable, name: string): boolean {
  return toolOf(tools, name)?.repeat !== "acts";
}

/**
 * Runs the tool of a call whose right is checked, and gives the kernel its result, also when it throws. `budgets`: of the agent's day; absent for
 * a call that was taken before.
 */
export function runTool(
  tools: ToolTable,
  kernel: Pick<Kernel, "callResult" | "awaitsCall">,
  call: ToolCall,
  noteAudit: (effect: AuditEffect) => void,
  budgets?: Pick<AgentBudgets, "takeCall">,
): void {
  const answer = (result: object): void => {
    if ("status" in result && result.status === "forbidden") noteAudit(refusalOf(call, result as ToolRefusal));
    kernel.callResult(call, JSON.stringify(result));
  };
  const tool = toolOf(tools, call.tool);
  if (tool === undefined) {
    answer(fault("not_found", `no tool is called ${call.tool}`));
    return;
  }
  const run = (): void =>
    void tool.run(call).then(
      (result) => {
        if (result !== undefined) answer(result);
      },
      (error: unknown) => answer(resultOf(toRefusal(error))),
    );
  const spent = call.wasMade
    ? undefined
    : budgets?.takeCall({ agentId: call.header.agentId, sinceMs: call.sinceMs })?.catch(toRefusal);
  if (spent === undefined) run();
  else
    void spent.then((refusal) => {
      // No matter of policy, so that the audit trail has nothing of it.
      if (refusal !== undefined) kernel.callResult(call, JSON.stringify(resultOf(refusal)));
      // The turn may have been stopped meanwhile: then nothing begins.
      else if (kernel.awaitsCall(call)) run();
    });
}

const resultOf = (refusal: Refusal): object =>
  refusalResult(refusal) ?? fault(toolErrorCode(refusal.code), refusal.message);

/** The policy said no to what the call names. */
function refusalOf({ header, tool, params }: ToolCall, { error }: ToolRefusal): AuditEffect {
  return {
    type: "audit",
    event: "refused",
    subject: header.sessionKey,
    object: targetOf(params) ?? tool,
    verb: `tool:${tool}`,
    decision: "refused",
    code: "CLOISTER_CAPABILITY_DENIED",
    trace: header.trace,
    detail: error,
  };
}

/** As the caller spelled it. Those of a tool that runs elsewhere nobody has read: they may be anything that a cell can write. */
function targetOf(params: string): string | undefined {
  const { sessionKey, agentId, label } = (readJson(params) ?? {}) as Readonly<Record<string, unknown>>;
  if (typeof sessionKey === "string") return sessionKey;
  return typeof agentId === "string" ? `agent:${agentId}` : typeof label === "string" ? `label:${label}` : undefined;
}

/** A tool whose parameters are checked before it runs: what does not fit is answered with the first thing that is wrong. */
export function defineTool<T extends z.ZodType>(
  repeat: Tool["repeat"],
  schema: T,
  run: (params: z.infer<T>, call: ToolCall) => Promise<object | undefined>,
): Tool {
  return {
    repeat,
    parameters: schema,
    run: async (call) => {
      const read = readParams(schema, call);
      return "refusal" in read ? read.refusal : run(read.params, call);
    },
  };
}

function readParams<T extends z.ZodType>(
  schema: T,
  call: ToolCall,
): { readonly params: z.infer<T> } | { readonly refusal: ToolRefusal } {
  const found = readJson(call.params);
  if (found === undefined) return { refusal: fault("invalid", `the parameters of ${call.tool} are not JSON`) };
  const parsed = schema.safeParse(found);
  if (parsed.success) return { params: parsed.data };
  const issue = parsed.error.issues[0];
  const where = issue?.path.join(".") || "parameters";
  return { refusal: fault("invalid", `${call.tool}: ${where}: ${issue?.message ?? "not valid"}`) };
}

/** Undefined: it is no JSON. */
function readJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

export function forbidden(error: string, operatorHint: string): ToolRefusal {
  return { status: "forbidden", code: "forbidden", error, operatorHint };
}

export function fault(code: ToolErrorCode, error: string, operatorHint?: string): ToolRefusal {
  return { status: "error", code, error, ...(operatorHint === undefined ? {} : { operatorHint }) };
}
