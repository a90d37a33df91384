import { expect, test } from "vitest";
import type { ReplyRoute } from "../../../../runtime/kernel/envelope.ts";
import type { AddedBy, AddedJob } from "../../../../runtime/supervisor/cron-desk.ts";
import { makeWhyNoSending } from "../../../../runtime/supervisor/send-policy.ts";
import { type CronToolDeps, makeCronTool } from "../../../../runtime/supervisor/tools/cron.ts";
import type { ToolCall } from "../../../../runtime/supervisor/tools/table.ts";
import type { SessionRow } from "../../../../runtime/store/port.ts";
import { sessionSettings } from "../../../support/session-settings.ts";

const route: ReplyRoute = { type: "channel", channel: "webhook", accountId: "biz", peerKind: "direct", peerId: "ana" };

const main = "agent:main:main";
const group = "agent:main:webhook:group:team";

function open(sendPolicy?: "deny", sessionKey = main) {
  const added: AddedBy[] = [];
  const row = sendPolicy === undefined ? undefined : ({ choices: { sendPolicy } } as SessionRow);
  const store = { session: async () => row, timers: async () => ({ rows: [], total: 0 }) };
  const desk = {
    add: async (_job: AddedJob, by: AddedBy) => {
      added.push(by);
      return {};
    },
  } as unknown as CronToolDeps["desk"];
  const whyNoSending = makeWhyNoSending({ config: { session: sessionSettings }, store });
  const tool = makeCronTool({
    desk,
    store,
    mainOf: () => main,
    isGroup: (key) => key === group,
    whyNoSending,
    nowMs: () => 0,
  });
  const header = { id: "e1", agentId: "main", sessionKey, trace: "e1", replyRoute: route };
  const add = (more: object) => {
    const params = { action: "add", name: "tea", text: "tea", inMinutes: 5, session: "isolated", ...more };
    return tool.run({ tool: "cron", header, key: 1, body: JSON.stringify(params) } as unknown as ToolCall);
  };
  return { add, added };
}

test("a job of a session whose answers do not leave has none that leaves, in whatever session it runs", async () => {
  const silenced = open("deny");
  expect(await silenced.add({})).toMatchObject({
    status: "forbidden",
    error: expect.stringContaining("/send in the session"),
  });
  expect(silenced.added).toEqual([]);
  expect(await silenced.add({ deliver: false })).toMatchObject({ status: "ok" });
  expect(silenced.added).toEqual([{ by: "agent:main:main", setIn: "agent:main:main" }]);
  const heard = open();
  expect(await heard.add({})).toMatchObject({ status: "ok" });
  expect(heard.added).toMatchObject([{ delivery: route }]);
});

test("a job that is set in a group happens in its session, where the group's bounds hold", async () => {
  const { add, added } = open(undefined, group);
  for (const session of ["isolated", "main"])
    expect(await add({ session })).toMatchObject({ status: "forbidden", error: expect.stringContaining("current") });
  expect(added).toEqual([]);
  expect(await add({ session: "current" })).toMatchObject({ status: "ok" });
});
