/** What becomes of a command's end when something else happens in the same moment. With real commands: `test/contract/command-news.test.ts`. */
import { expect, test } from "vitest";
import { type CommandGoesOn, makeCommandNews } from "../../../../runtime/supervisor/tools/command-news.ts";
import type { TimerRow } from "../../../../runtime/store/port.ts";
import type { ToolCall } from "../../../../runtime/supervisor/tools/table.ts";

const call = {
  agentId: "kim",
  turn: 1,
  header: { agentId: "kim", sessionKey: "agent:kim:main", replyRoute: { type: "none" } },
} as Pick<ToolCall, "agentId" | "turn" | "header">;
const goesOn = (processId: string): CommandGoesOn => ({ processId, command: "sleep 9", timeoutMs: 1, news: "usual" });
const quiet = { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined };

function open(kept: TimerRow[] = []) {
  const told: string[] = [];
  const keep = { begin: async (): Promise<void> => undefined };
  let made = 0;
  const news = makeCommandNews({
    store: { unschedule: () => Promise.reject(new Error("nothing is forgotten")) },
    signals: () => ({
      async setTask(task) {
        await keep.begin();
        kept.push(task);
        return task.id;
      },
      async endTask(task, status, body) {
        told.push(`${task.id} ${status}: ${body}`);
        return true;
      },
      timers: async () => ({ rows: kept, total: kept.length }),
    }),
    newId: () => String(made++),
    nowMs: () => 0,
    log: quiet,
  });
  return { news, told, kept, keep };
}

test("a command that began before those of the last process were told of is none of them", async () => {
  const last = open();
  await last.news.expect(call, goesOn("p-last"));
  const now = open(last.kept.map((task) => ({ ...task, id: "c-last" })));
  await now.news.expect(call, goesOn("p-now"));
  expect(now.kept).toHaveLength(2);
  await now.news.start();
  expect(now.told).toEqual([expect.stringMatching(/^c-last failed: the gateway was stopped or died/)]);
});

test("the session is told when the thread is lost while the task is kept", async () => {
  const { news, told, keep } = open();
  keep.begin = async () => news.lost();
  expect(await news.expect(call, goesOn("p-1"))).toBe("c-0");
  expect(told).toEqual([expect.stringMatching(/^c-0 failed: p-1 ended with the thread that ran it/)]);
});
