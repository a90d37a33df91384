/** Runs the tools of this thread: checks the parameters, and makes a result of whatever comes of it. */
import { toRefusal } from "../kernel/errors.ts";
import { toolErrorCode } from "../kernel/tool-results.ts";
import { makeFileTools } from "./files.ts";
import { hostParams, type HostTool } from "./params.ts";
import type { HostCall, ToolsForKernel } from "./port.ts";
import { isRefused, refused } from "./results.ts";

export function makeToolHost(): ToolsForKernel {
  const files = makeFileTools();
  const run = async ({ tool, params, root }: HostCall): Promise<object> => {
    if (!Object.hasOwn(hostParams, tool)) throw refused("not_found", `no tool is called ${tool}`);
    const name = tool as HostTool;
    const parsed = hostParams[name].safeParse(readJson(params));
    if (!parsed.success) {
      const [issue] = parsed.error.issues;
      throw refused("invalid", `${tool}: ${issue?.path.join(".") || "parameters"}: ${issue?.message ?? "not valid"}`);
    }
    return files[name](root, parsed.data as never);
  };
  return {
    run: async (call) => {
      try {
        return await run(call);
      } catch (error) {
        if (isRefused(error)) return error.result;
        const { code, message } = toRefusal(error);
        // The system's own words hold the gateway's paths, which are not the agent's to know.
        const why = systemCode(error) ?? message;
        return { status: "error", code: toolErrorCode(code), error: `${call.tool} failed: ${why}` };
      }
    },
  };
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
