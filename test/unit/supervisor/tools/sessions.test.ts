import { expect, test } from "vitest";
import type {
  FoundSession,
  SessionFinder,
  SessionToolsDeps,
} from "../../../../runtime/supervisor/tools/find-session.ts";
import { makeSessions } from "../../../../runtime/supervisor/tools/sessions.ts";
import type { ToolCall } from "../../../../runtime/supervisor/tools/table.ts";

test("an agent does not end a session whose answers do not leave it, since the next one would know nothing of that", async () => {
  const sessionKey = "agent:main:webhook:direct:ana";
  const deleted: string[] = [];
  const care = {
    delete: async (key: string) => {
      deleted.push(key);
      return { sessionId: "s" };
    },
  };
  const remove = (choices: object) => {
    const found = { key: sessionKey, agentId: "main", row: { key: sessionKey, choices } } as unknown as FoundSession;
    const find = {
      requesterOf: () => ({ agentId: "main", sessionKey }),
      byKey: async () => found,
      judgeControl: () => ({ allowed: true }),
      whyMissing: () => undefined,
    } as unknown as SessionFinder;
    const tool = makeSessions({ care } as unknown as SessionToolsDeps, find);
    return tool.run({
      tool: "sessions",
      params: JSON.stringify({ action: "delete", sessionKey }),
    } as unknown as ToolCall);
  };
  expect(await remove({ sendPolicy: "deny" })).toMatchObject({ status: "forbidden" });
  expect(deleted).toEqual([]);
  expect(await remove({ model: "a/b" })).toMatchObject({ status: "ok" });
  expect(deleted).toEqual([sessionKey]);
});
