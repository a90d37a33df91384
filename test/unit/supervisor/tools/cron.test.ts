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

const setAtMs = Date.parse("2026-03-01T07:00:00Z");

function open(sendPolicy?: "deny", sessionKey = main) {
  const added: AddedBy[] = [];
  let row = sendPolicy === undefined ? undefined : ({ choices: { sendPolicy } } as SessionRow);
  const store = {
    session: async (key: string) => (key === sessionKey ? row : undefined),
    chosenSending: async (key: string) => (key === sessionKey ? row?.choices?.sendPolicy : undefined),
    timers: async () => ({ rows: [], total: 0 }),
  };
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
    nowMs: () => setAtMs,
  });
  const header = { id: "e1", agentId: "main", sessionKey, trace: "e1", replyRoute: route };
  const add = (more: object) => {
    const params = { action: "add", name: "tea", text: "tea", inMinutes: 5, session: "isolated", ...more };
    return tool.run({ tool: "cron", header, key: 1, body: JSON.stringify(params) } as unknown as ToolCall);
  };
  const silence = () => {
    row = { choices: { sendPolicy: "deny" } } as SessionRow;
  };
  return { add, added, whyNoSending, silence };
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
  expect(heard.added).toMatchObject([{ delivery: { ...route, onBehalfOf: main } }]);
});

test("a job that was set before its session was silenced is silent as well, and no other way to that place is", async () => {
  const { add, added, whyNoSending, silence } = open();
  await add({});
  const [delivery] = added.flatMap((by) => (by.delivery?.type === "channel" ? [by.delivery] : []));
  expect(delivery).toBeDefined();
  const run = "agent:main:cron:j-1:run:r1";
  expect(await whyNoSending(run, delivery)).toBeUndefined();
  silence();
  expect(await whyNoSending(run, delivery)).toMatchObject({
    code: "CLOISTER_CAPABILITY_DENIED",
    message: expect.stringContaining(`denies it for ${main}`),
  });
  expect(await whyNoSending(run, route)).toBeUndefined();
});

test.each([
  ["inMinutes", { inMinutes: 0.9 }],
  ["at", { inMinutes: undefined, at: "2026-03-01T07:00:59Z" }],
])("what happens once is a minute ahead at least, since a job may set the next: %s", async (_name, time) => {
  const { add, added } = open();
  expect(await add(time)).toMatchObject({ status: "error" });
  expect(added).toEqual([]);
  expect(await add({ inMinutes: 1 })).toMatchObject({ status: "ok" });
  expect(await add({ inMinutes: undefined, at: "2026-03-01T07:01:00Z" })).toMatchObject({ status: "ok" });
});

test("a job that is set in a group happens in its session, where the group's bounds hold", async () => {
  const { add, added } = open(undefined, group);
  for (const session of ["isolated", "main"])
    expect(await add({ session })).toMatchObject({ status: "forbidden", error: expect.stringContaining("current") });
  expect(added).toEqual([]);
  expect(await add({ session: "current" })).toMatchObject({ status: "ok" });
});
