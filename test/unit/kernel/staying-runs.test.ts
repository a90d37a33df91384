/** Runs that stay for what is said in their sessions, as those do that have a thread of a channel. */
import { expect, it } from "vitest";
import { answerOf, scripted } from "../../support/fake-cell.ts";
import { type Driver, makeDriver, openPairings, spawningPairing } from "../../support/kernel-driver.ts";
import { leaks } from "../../support/kernel-invariants.ts";

const main = "agent:main:main";
const child = "agent:main:subagent:r1";

const spawning = spawningPairing();

/** main starts one that stays, whose task is this word. */
function open(task: string): Driver {
  const driver = makeDriver({
    pairings: [...openPairings(["main"]), spawning],
    script: scripted({
      spawn: function* (turn) {
        yield* answerOf(turn.call("sessions_spawn", { stays: true }, task));
        return {};
      },
      say: () => ({ reply: "said" }),
      more: () => ({ reply: "more" }),
      nothing: () => ({}),
      fail: () => ({ error: "it failed" }),
    }),
  });
  driver.tell(main, "spawn");
  driver.settle();
  return driver;
}

const endOf = (driver: Driver) => driver.runs.rows.get("r1")?.end;

it("wait without a place when they have done their task, and go on with what is said", () => {
  const driver = open("say");
  expect(endOf(driver)).toBeUndefined();
  expect(driver.kernel.lanes().find(({ lane }) => lane === "subagent")).toMatchObject({ running: 0 });
  expect(driver.kernel.runTakesMail(child)).toBe(true);
  driver.tell(child, "more");
  driver.settle();
  expect(driver.outcomes("more")).toEqual([{ status: "ok", text: "more" }]);
  expect(endOf(driver)).toBeUndefined();

  driver.kernel.letRunEnd(child, driver.nowMs);
  driver.finish();
  expect(endOf(driver)).toMatchObject({ outcome: "succeeded", result: "more", delivery: "delivered" });
  expect(driver.runs.ends.get("r1")).toEqual(["succeeded"]);
  expect(driver.kernel.runTakesMail(child)).toBe(false);
  expect(leaks(driver.kernel)).toEqual([]);
});

it("finish what waits in their session before they are let go", () => {
  const driver = open("say");
  driver.tell(child, "more");
  driver.kernel.letRunEnd(child, driver.nowMs);
  driver.finish();
  expect(driver.outcomes("more")).toEqual([{ status: "ok", text: "more" }]);
  expect(endOf(driver)).toMatchObject({ outcome: "succeeded", result: "more" });
});

it("end with a task that fails, and not with a later turn that does", () => {
  const failed = open("fail");
  failed.finish();
  expect(endOf(failed)).toMatchObject({ outcome: "failed" });
  const driver = open("say");
  driver.tell(child, "fail");
  driver.settle();
  expect(endOf(driver)).toBeUndefined();
  expect(driver.kernel.runTakesMail(child)).toBe(true);
});

it("end as failed when they are let go of without any answer", () => {
  const driver = open("nothing");
  driver.kernel.letRunEnd(child, driver.nowMs);
  driver.finish();
  expect(endOf(driver)).toMatchObject({ outcome: "failed", code: "no_result" });
});

it("end at once with a stop of their requester", () => {
  const driver = open("say");
  driver.kernel.stop({ type: "session", sessionKey: main }, "test", driver.nowMs);
  driver.finish();
  expect(endOf(driver)).toMatchObject({ outcome: "cancelled" });
  expect(leaks(driver.kernel)).toEqual([]);
});
