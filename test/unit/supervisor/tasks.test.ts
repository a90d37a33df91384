/** What an operator hears who cancels a task. That its session is told: `test/contract/tasks.test.ts`. */
import { expect, test } from "vitest";
import { makeTaskMethods } from "../../../runtime/supervisor/tasks.ts";
import type { CommandEnding } from "../../../runtime/supervisor/tools/host-tools.ts";

const client = { clientId: "cli", connId: "c", mode: "cli", scopes: [] };

const away = { why: "its server is away", remedy: "cancel it again" };
const atServer = { ended: { isEnded: true }, running: { isEnded: false, ...away }, over: "over" } as const;

async function cancel(id: string, became: CommandEnding, ended?: "done") {
  const noted: string[] = [];
  const row = { id, agentId: "kim", sessionKey: "agent:kim:main", name: "exec make", task: { ended } };
  const methods = makeTaskMethods({
    signals: () => ({
      timers: async () => ({ rows: [row as never], total: 1 }),
      endTask: async () => became === "ended",
    }),
    endCommand: async () => became,
    cancelAtServer: async () => atServer[became],
    denyCommand: async () => became === "ended",
    targets: {} as never,
    note: ({ detail = "" }) => void noted.push(detail),
    nowMs: () => 0,
  });
  const answer = (await methods["tasks.cancel"]({ id }, client)) as Readonly<Record<string, unknown>>;
  const { cancelled, stillRunning, why, remedy } = answer;
  return { cancelled, stillRunning, ...(why === undefined ? {} : { why, remedy }), noted };
}

test.each(["c-1", "a-1", "s-1", "t-1"])(
  "one that ends by it is cancelled, and one that had ended is not: %s",
  async (id) => {
    expect(await cancel(id, "ended")).toEqual({
      cancelled: true,
      stillRunning: false,
      noted: [`${id} of kim: exec make`],
    });
    for (const over of [await cancel(id, "over"), await cancel(id, "ended", "done")])
      expect(over).toEqual({ cancelled: false, stillRunning: false, noted: [] });
  },
);

test.each([
  ["c-1", {}, "it was told to end"],
  ["s-1", away, "its server is away"],
])(
  "one that does not end when it is told to is told as such, with what is known of why, and the audit trail has the attempt: %s",
  async (id, known, why) => {
    expect(await cancel(id, "running")).toEqual({
      cancelled: false,
      stillRunning: true,
      ...known,
      noted: [`${id} of kim: exec make; ${why}, and it is still running`],
    });
  },
);
