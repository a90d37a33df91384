/** Commands that go on in the background, and how their session hears of their end, on a gateway with real cells and real commands. */
import { expect, test } from "vitest";
import { actor } from "../support/actors.ts";
import { eventually } from "../support/eventually.ts";
import { execSettings } from "../support/exec-settings.ts";
import { openGateway, type TestGateway } from "../support/gateway.ts";

const exec = execSettings({ tools: { exec: { security: "full", ask: "off" } } });
const worker = { id: "worker", ...actor("commander"), exec };
const channel = {
  webhook: { accounts: { default: { token: "t", outboundUrl: "http://127.0.0.1:1/" } }, defaultAccount: "default" },
  bindings: [{ index: 0, agentId: "worker", match: { channel: "webhook" } }],
};

interface Told {
  readonly status: string;
  readonly processId: string;
  readonly taskId?: string;
}

/** A person asks over the channel for calls of tools, one after the other; gives what the last one gave. */
async function ask(gateway: TestGateway, ...calls: readonly { name: string; params: object }[]): Promise<Told> {
  const before = gateway.sent.length;
  const event = { channel: "webhook", accountId: "default", peer: { kind: "direct" as const, id: "p" } };
  await gateway.doors.inbound({ ...event, sender: { id: "p" }, text: JSON.stringify({ calls }), tsMs: 1 });
  await gateway.until(() => gateway.sent.length > before);
  return JSON.parse(gateway.sent[before]?.text ?? "") as Told;
}

const behind = (command: string) => ({ name: "exec", params: { command, background: true } });
const tasks = async (gateway: TestGateway): Promise<number> => (await gateway.store.timers({ limit: 10 })).total;

test("AC-19.1: the end of a command is one turn of its session and one channel message, when its own turn is over", async () => {
  const gateway = await openGateway([worker], channel);
  const told = await ask(gateway, behind("read line; echo got $line; exit 3"));
  expect(told).toMatchObject({ status: "running", taskId: expect.any(String) });
  await ask(gateway, { name: "process", params: { action: "write", processId: told.processId, data: "it\n" } });
  await gateway.until(() => gateway.sent.length === 3);
  expect(gateway.sent[2]).toMatchObject({
    peer: { id: "p" },
    sessionKey: "agent:worker:main",
    text: expect.stringMatching(/^exec read line.* failed: .* ended after \d+ s with exit code 3\.\ngot it\n$/),
  });
  expect(await tasks(gateway)).toBe(0);
});

test("AC-19.1: a command that ended with the gateway is told of at the next start, once", async () => {
  const first = await openGateway([worker], channel);
  expect(await ask(first, behind("sleep 4711"))).toMatchObject({ status: "running" });
  expect(await first.drain(5_000)).toBe(true);
  expect(await tasks(first)).toBe(1);
  const second = await openGateway([], {}, { store: first.store, config: first.config });
  await second.until(() => second.sent.length === 1);
  expect(second.sent[0]?.text).toBe(
    "exec sleep 4711 failed: the gateway was stopped or died, and the command ended with it",
  );
  expect(await tasks(second)).toBe(0);
  expect(await second.drain(5_000)).toBe(true);
  const third = await openGateway([], {}, { store: first.store, config: first.config });
  expect(await third.reply("worker", '{"calls":[]}')).toBe("{}");
  expect(third.sent).toEqual([]);
});

test("the end that the session has seen by itself, of what succeeded without a word, and what it is not to hear of, is not told", async () => {
  const gateway = await openGateway([worker, { ...worker, id: "quiet", exec: { ...exec, news: "none" } }], channel);
  const seen = await ask(gateway, behind("sleep 4711"), { name: "process", params: { action: "kill" } });
  expect(seen).toMatchObject({ status: "exited" });
  const ended = await ask(gateway, behind("true"));
  const quiet = JSON.parse(await gateway.reply("quiet", JSON.stringify({ calls: [behind("sleep 4711")] }))) as Told;
  expect(quiet).toMatchObject({ status: "running" });
  expect(quiet.taskId).toBeUndefined();
  expect(ended.taskId).toBeDefined();
  await eventually(async () => expect(await tasks(gateway)).toBe(0));
  expect(gateway.sent).toHaveLength(2);
});
