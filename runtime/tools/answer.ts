/** Parameters as a cell wrote them are checked here, and whatever comes of a call becomes its result object. */
import type { z } from "zod";
import { toRefusal } from "../kernel/errors.ts";
import { toolErrorCode } from "../kernel/tool-results.ts";
import { isRefused, refused } from "./results.ts";

/** @throws a refusal that names what is wrong. */
export function readParams<T extends z.ZodType>(schema: T, tool: string, params: string): z.output<T> {
  const parsed = schema.safeParse(readJson(params));
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  throw refused("invalid", `${tool}: ${issue?.path.join(".") || "parameters"}: ${issue?.message ?? "not valid"}`);
}

/** Never rejects. */
export async function toResult(tool: string, work: () => Promise<object>): Promise<object> {
  try {
    return await work();
  } catch (error) {
    return resultOf(tool, error);
  }
}

export function resultOf(tool: string, error: unknown): object {
  if (isRefused(error)) return error.result;
  const { code, message } = toRefusal(error);
  // The system's own words hold the gateway's paths, which are not the agent's to know.
  const why = systemCode(error) ?? message;
  return { status: "error", code: toolErrorCode(code), error: `${tool} failed: ${why}` };
}

function systemCode(error: unknown): string | undefined {
  return error instanceof Error && "syscall" in error && "code" in error ? String(error.code) : undefined;
}

function readJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
