/** What a tool answers when it does not do what it was asked. */
import type { ToolErrorCode } from "../kernel/tool-results.ts";

export interface Refused extends Error {
  readonly result: { readonly status: string; readonly code: ToolErrorCode; readonly error: string };
}

export function refused(code: ToolErrorCode, error: string, operatorHint?: string): Refused {
  const status = code === "forbidden" ? "forbidden" : "error";
  const result = { status, code, error, ...(operatorHint === undefined ? {} : { operatorHint }) };
  return Object.assign(new Error(error), { result });
}

export function isRefused(error: unknown): error is Refused {
  return error instanceof Error && "result" in error;
}
