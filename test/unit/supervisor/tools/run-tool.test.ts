/** A tool that ran: the kernel has its result and the audit trail what was refused, whatever a cell wrote as parameters. */
import { expect, test } from "vitest";
import { z } from "zod";
import { forbidden, runTool, type Tool, type ToolCall } from "../../../../runtime/supervisor/tools/table.ts";

const refusal = forbidden("the path leaves the workspace", "use another path");
const read: Tool = { repeat: "reads", parameters: z.object({}), run: () => Promise.resolve(refusal) };

test.each([
  ["", "read"],
  ["{", "read"],
  ["null", "read"],
  ["7", "read"],
  ["[]", "read"],
  ['{"sessionKey":7}', "read"],
  ['{"sessionKey":"agent:ana:main"}', "agent:ana:main"],
  ['{"agentId":"ana"}', "agent:ana"],
])("a refusal is answered and recorded with parameters %j", async (params, object) => {
  const header = { sessionKey: "agent:main:main" } as ToolCall["header"];
  const call = { tool: "read", params, body: "{}", header } as ToolCall;
  const audited: unknown[] = [];
  const result = await new Promise<string>((resolve) => {
    const kernel = { callResult: (_: ToolCall, text: string) => resolve(text) };
    runTool({ read }, kernel, call, (effect) => void audited.push(effect));
  });
  expect(JSON.parse(result)).toEqual(refusal);
  expect(audited).toMatchObject([{ event: "refused", subject: "agent:main:main", object, verb: "tool:read" }]);
});
