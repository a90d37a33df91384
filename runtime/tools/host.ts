/** Runs the tools of this thread: checks the parameters, and makes a result of whatever comes of it. */
import { readParams, toResult } from "./answer.ts";
import { makeFileTools } from "./files.ts";
import { hostParams, type HostTool, webFetchParams } from "./params.ts";
import type { HostCall, ToolsForKernel } from "./port.ts";
import { refused } from "./results.ts";
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
