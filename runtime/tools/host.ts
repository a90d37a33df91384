/** Runs the tools of this thread: checks the parameters, and makes a result of whatever comes of it. */
import type { z } from "zod";
import { toRefusal } from "../kernel/errors.ts";
import { toolErrorCode } from "../kernel/tool-results.ts";
import { makeFileTools } from "./files.ts";
import { hostParams, type HostTool, webFetchParams } from "./params.ts";
import type { HostCall, ToolsForKernel } from "./port.ts";
import { isRefused, refused } from "./results.ts";
import { makeWebFetch } from "./web/fetch-page.ts";

export function makeToolHost(): ToolsForKernel {
  const files = makeFileTools();
  const web = makeWebFetch();
  const runFile = async ({ tool, params, root }: HostCall): Promise<object> => {
    if (!Object.hasOwn(hostParams, tool)) throw refused("not_found", `no tool is called ${tool}`);
    const name = tool as HostTool;
    return files[name](root, readParams(hostParams[name], tool, params) as never);
  };
  return {
    run: (call) => toResult(call.tool, () => runFile(call)),
    fetchPage: (call) =>
      toResult("web_fetch", () => web.run(readParams(webFetchParams, "web_fetch", call.params), call)),
  };
}

function readParams<T extends z.ZodType>(schema: T, tool: string, params: string): z.output<T> {
  const parsed = schema.safeParse(readJson(params));
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  throw refused("invalid", `${tool}: ${issue?.path.join(".") || "parameters"}: ${issue?.message ?? "not valid"}`);
}

async function toResult(tool: string, work: () => Promise<object>): Promise<object> {
  try {
    return await work();
  } catch (error) {
    if (isRefused(error)) return error.result;
    const { code, message } = toRefusal(error);
    // The system's own words hold the gateway's paths, which are not the agent's to know.
    const why = systemCode(error) ?? message;
    return { status: "error", code: toolErrorCode(code), error: `${tool} failed: ${why}` };
  }
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
