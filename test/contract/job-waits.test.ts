/** Jobs that wait for their agent's heartbeat, through the whole gateway: real cells, a clock that the tests set, restarts. */
import { describe, expect, test } from "vitest";
import type { HeartbeatRule } from "../../runtime/config/resolved.ts";
import { neverMs } from "../../runtime/store/job-rows.ts";
import { actor } from "../support/actors.ts";
import { makeConfig, type TestGateway } from "../support/gateway.ts";
import { call, ended, minutes, row, rule, startMs, told, world } from "../support/heartbeats.ts";

describe("a job that waits for the heartbeat", () => {
  const agents = (more: Partial<HeartbeatRule> = {}) => [{ id: "main", module: "echo", heartbeat: rule(more) }];
  const at = (afterMs: number) => ({ kind: "at", at: new Date(startMs + afterMs).toISOString() });
  const wait = (text: string, schedule: object) => ({
    name: text,
    schedule,
    payload: { kind: "systemEvent", text },
    wakeMode: "next-heartbeat",
  });
  const count = async (gateway: TestGateway, text: string) =>
    (await told(gateway)).filter((one) => one.text === text).length;

  test("is told with it, once, over restarts, and its log says so; what happens once is gone then", async () => {
    const { first, at: restart } = await world(agents());
    const tea = await call(first, "cron.add", wait("tea", at(5 * minutes)));
    expect(tea).toMatchObject({
      wakeMode: "next-heartbeat",
      sessionTarget: "main",
      nextRunAtMs: startMs + 5 * minutes,
    });
    const kept = await call(first, "cron.add", { ...wait("kept", at(5 * minutes)), deleteAfterRun: false });
    const held = { dueAtMs: startMs + 30 * minutes, job: { held: { dueAtMs: startMs + 5 * minutes } } };
    for (const [afterMs, id] of [
      [5 * minutes, tea.id],
      [20 * minutes, kept.id],
    ]) {
      const gateway = await restart(afterMs);
      await expect.poll(() => row(gateway, id)).toMatchObject(held);
      expect(await told(gateway)).toEqual([]);
      expect((await call(gateway, "cron.list")).jobs).toContainEqual(
        expect.objectContaining({
          id,
          state: { nextRunAtMs: startMs + 30 * minutes, waitsSinceMs: startMs + 5 * minutes },
        }),
      );
    }
    // The gateway is down when the heartbeat is due: what waits is told with the one that comes for it.
    const late = await restart(50 * minutes);
    await ended(late);
    await expect
      .poll(async () => (await call(late, "cron.runs", { id: kept.id })).entries)
      .toMatchObject([{ status: "ok", summary: "kept" }]);
    // Of two that waited for the same moment either may come first.
    await expect
      .poll(async () => (await told(late)).filter(({ text }) => text === "tea"))
      .toMatchObject([{ provenance: { kind: "internal_system", sourceTool: "schedule" } }]);
    expect([await row(late, tea.id), (await row(late, kept.id))?.dueAtMs]).toEqual([undefined, neverMs]);
    const later = await restart(90 * minutes);
    await expect.poll(async () => (await row(later))?.dueAtMs).toBe(startMs + 120 * minutes);
    expect([await count(later, "tea"), await count(later, "kept")]).toEqual([1, 1]);
  });

  test("and comes more often than it is told once for all times that passed, and goes on by its rhythm", async () => {
    const { first, at: restart } = await world(agents());
    const often = { kind: "every", everyMs: 10 * minutes };
    const { id } = await call(first, "cron.add", wait("mail", often));
    const waiting = await restart(10 * minutes);
    await expect.poll(async () => (await row(waiting, id))?.dueAtMs).toBe(startMs + 30 * minutes);
    // The gateway is down when the heartbeat is due: it was the job's time that was kept, so that it is not left out.
    const gateway = await restart(35 * minutes);
    await expect.poll(async () => (await call(gateway, "cron.runs", { id })).entries).toMatchObject([{ status: "ok" }]);
    expect(await row(gateway, id)).toMatchObject({ dueAtMs: startMs + 40 * minutes });
    const next = await restart(40 * minutes);
    await expect.poll(async () => (await row(next, id))?.dueAtMs).toBe(startMs + 60 * minutes);
    expect(await count(next, "mail")).toBe(1);
    // By hand it waits for nothing.
    await call(next, "cron.run", { id });
    await expect.poll(() => count(next, "mail")).toBe(2);
    await expect.poll(async () => (await row(next, id))?.dueAtMs).toBe(startMs + 50 * minutes);
  });

  test("is told at once when it is to wait no more, and with its new words", async () => {
    const { first, at: restart } = await world(agents());
    const { id } = await call(first, "cron.add", wait("old words", at(5 * minutes)));
    const gateway = await restart(5 * minutes);
    await expect.poll(async () => (await row(gateway, id))?.dueAtMs).toBe(startMs + 30 * minutes);
    await call(gateway, "cron.update", { id, patch: { payload: { kind: "systemEvent", text: "new words" } } });
    expect(await told(gateway)).toEqual([]);
    const spoken = { payload: { kind: "agentTurn", message: "x" }, sessionTarget: "isolated" };
    await expect(call(gateway, "cron.update", { id, patch: spoken })).rejects.toMatchObject({
      message: expect.stringMatching(/^wakeMode: .*agentTurn/),
    });
    await call(gateway, "cron.update", { id, patch: { wakeMode: "now" } });
    await expect.poll(async () => (await told(gateway)).map(({ text }) => text)).toEqual(["new words"]);
  });

  test("is refused where there is none, and by name of the key", async () => {
    const { first } = await world([...agents(), { id: "raul", module: "echo" }]);
    const forRaul = { ...wait("x", at(minutes)), agentId: "raul" };
    const refusal = {
      code: "CLOISTER_REQUEST_INVALID",
      message: expect.stringMatching(/^wakeMode: the agent raul has no heartbeat/),
      remedy: 'use "now", or set agents.defaults.heartbeat',
    };
    await expect(call(first, "cron.add", forRaul)).rejects.toMatchObject(refusal);
    const { id } = await call(first, "cron.add", { ...forRaul, wakeMode: "now" });
    await expect(call(first, "cron.update", { id, patch: { wakeMode: "next-heartbeat" } })).rejects.toMatchObject(
      refusal,
    );
    expect((await call(first, "cron.list", { agentId: "raul" })).jobs).toMatchObject([{ id, wakeMode: "now" }]);
  });

  test("of an agent that has none any more says so in its log: what recurs goes on, what happens once waits for one", async () => {
    const { config, first, at: restart } = await world(agents());
    const once = await call(first, "cron.add", wait("once", at(5 * minutes)));
    const again = await call(first, "cron.add", wait("again", { kind: "every", everyMs: 5 * minutes }));
    const without = { ...config, agents: makeConfig([{ id: "main", module: "echo" }]).agents };
    const entries = async (gateway: TestGateway, { id }: { readonly id: string }) =>
      (await call(gateway, "cron.runs", { id })).entries;
    const skipped = { status: "skipped", error: expect.stringMatching(/^wakeMode: .* no heartbeat/) };
    const quiet = await restart(5 * minutes, without);
    await expect.poll(() => entries(quiet, once)).toMatchObject([skipped]);
    await expect.poll(() => entries(quiet, again)).toMatchObject([skipped]);
    expect(await row(quiet, again.id)).toMatchObject({ dueAtMs: startMs + 10 * minutes });
    const still = await restart(8 * minutes, without);
    await expect.poll(async () => (await still.store.due(0, 10)).nextMs).toBe(startMs + 9 * minutes);
    expect(await entries(still, once)).toHaveLength(1);
    const back = await restart(9 * minutes);
    await expect.poll(async () => (await row(back, once.id))?.job?.held?.dueAtMs).toBe(startMs + 5 * minutes);
    expect(await told(back)).toEqual([]);
    const untilMs = (await row(back, once.id))?.dueAtMs ?? 0;
    const gateway = await restart(untilMs - startMs);
    await expect.poll(() => count(gateway, "once")).toBe(1);
  });

  test("may be an agent's own, for its main session", async () => {
    const { first, at: restart } = await world([{ id: "main", ...actor("tool-user"), heartbeat: rule() }]);
    const use = async (params: object) =>
      JSON.parse(await first.reply("main", JSON.stringify({ tool: "call", params: { name: "cron", params } })));
    const tea = {
      action: "add",
      name: "tea",
      text: "the tea",
      inMinutes: 5,
      deliver: false,
      wakeMode: "next-heartbeat",
    };
    expect(await use(tea)).toMatchObject({ status: "error", error: expect.stringMatching(/wakeMode: .*agentTurn/) });
    const { job } = await use({ ...tea, session: "main" });
    expect(job).toMatchObject({ wakeMode: "next-heartbeat", sessionTarget: "main" });
    expect((await use({ action: "update", id: job.id, wakeMode: "now" })).job).toMatchObject({ wakeMode: "now" });
    await use({ action: "update", id: job.id, wakeMode: "next-heartbeat" });
    const gateway = await restart(5 * minutes);
    await expect.poll(async () => (await row(gateway, job.id))?.dueAtMs).toBe(startMs + 30 * minutes);
    expect(await count(gateway, "the tea")).toBe(0);
    const late = await restart(30 * minutes);
    await expect.poll(() => count(late, "the tea")).toBe(1);
  });
});
