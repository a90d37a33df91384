/** Tools whose parameters are in the body of the call: all but the session tools. */
import { fault, type Tool } from "./table.ts";

/** Not read beyond `charsMax`: the main thread parses no long text. */
export function readsBody(tool: Tool, charsMax: number): Tool {
  return {
    ...tool,
    run: async (call) =>
      call.body.length > charsMax
        ? fault("invalid", `${call.tool}: found ${call.body.length} characters, wanted at most ${charsMax}`)
        : tool.run({ ...call, params: call.body }),
  };
}
