/** What becomes a dead letter because of its age, and how a dead letter becomes mail again. */
import { describe, expect, it } from "vitest";
import { limits } from "../../../runtime/kernel/limits.ts";
import { gate, type Script, scripted } from "../../support/fake-cell.ts";
import { type Driver, makeDriver, openPairings } from "../../support/kernel-driver.ts";
import { leaks } from "../../support/kernel-invariants.ts";

const main = "agent:main:main";
const raul = "agent:raul:main";
const hourMs = 3_600_000;
const blocked: Script = function* () {
  yield* gate("go on");
  return { reply: "done" };
};
const bodies = (driver: Driver): readonly string[] => driver.handled.map(({ body }) => body);
/** The id of the dead letter with this body. */
const letterOf = (driver: Driver, body: string): string => {
  const found = [...driver.journal.dead].find(([, row]) => row.envelope.body === body);
  if (found === undefined) throw new Error(`${body} is no dead letter`);
  return found[0];
};

describe("an envelope that waited longer than it may", () => {
  const wait = (waitMs: number): Driver => {
    const driver = makeDriver({ limits: { envelopeAgeMsMax: hourMs }, script: scripted({ busy: blocked }) });
    driver.tell(main, "busy");
    driver.settle();
    driver.tell(main, "late");
    driver.settle();
    driver.advance(waitMs);
    driver.open("go on");
    driver.finish();
    return driver;
  };

  it("is expired when its turn comes: a dead letter with both ages, and its sender hears the code", () => {
    const driver = wait(hourMs + 100);
    expect(bodies(driver)).toEqual(["busy"]);
    expect(driver.dead("late")).toMatchObject({
      fate: "expired",
      reason: "it waited for 1 h before its turn came; the bound is 1 h",
    });
    expect(driver.outcomes("late")).toEqual([
      { status: "error", code: "CLOISTER_MAILBOX_EXPIRED", message: expect.stringContaining("dead letter") },
    ]);
    expect(leaks(driver.kernel)).toEqual([]);
  });

  it("is handled up to the bound, and what runs already is never cut off by its age", () => {
    const driver = wait(hourMs);
    expect(bodies(driver)).toEqual(["busy", "late"]);
    expect(driver.outcomes("busy")).toEqual([{ status: "ok", text: "done" }]);
    expect(driver.journal.dead.size).toBe(0);
  });

  it("is expired also when it waited over a restart, and the session goes on behind it", () => {
    const driver = makeDriver({ script: scripted({ busy: blocked }) });
    driver.tell(main, "busy");
    driver.tell(main, "late");
    driver.settle();
    const [, late] = driver.journal.pending();
    if (late === undefined) throw new Error("the second message is not in the journal");
    const { envelope } = late;
    const old = makeDriver({ script: scripted({}) });
    const acceptedAtMs = old.nowMs - limits.envelopeAgeMsMax - 1;
    old.journal.append({
      type: "append",
      envelope: { ...envelope, header: { ...envelope.header, acceptedAtMs } },
      dedupe: undefined,
      ticket: { type: "ingress", ticket: 0, stops: 0 },
    });
    old.journal.flush("journal");
    old.restartProcess();
    old.tell(main, "next");
    old.finish();
    expect(old.journal.dead.get(envelope.header.id)).toMatchObject({
      fate: "expired",
      reason: "it waited for 7 days before its turn came; the bound is 7 days",
    });
    expect(bodies(old)).toEqual(["next"]);
  });
});

describe("a dead letter that is replayed", () => {
  /** One letter of fate `poison`, of a message that would be handled now. */
  const poisoned = (options: Partial<Parameters<typeof makeDriver>[0]> = {}): Driver => {
    let broken = true;
    const driver = makeDriver({
      agents: ["main", "raul"],
      script: scripted({
        bad: (turn) => {
          if (broken) turn.crash();
          return { reply: "handled after the repair" };
        },
        busy: blocked,
      }),
      ...options,
    });
    driver.tell(main, "bad", { runId: "run-1" });
    driver.finish();
    expect(driver.dead("bad")?.fate).toBe("poison");
    broken = false;
    return driver;
  };

  it("is a new envelope with no deliveries: it is handled, and the letter is gone", () => {
    const driver = poisoned();
    const letter = letterOf(driver, "bad");
    const ticket = driver.tell(main, "bad", { runId: "run-1", replaces: letter });
    driver.finish();
    expect(driver.accepted(ticket)).toMatchObject({ status: "stored", runId: "run-1" });
    expect(driver.accepted(ticket)).not.toMatchObject({ envelopeId: letter });
    expect(driver.handled.at(-1)).toMatchObject({ body: "bad", attempt: 1 });
    expect(driver.outcomes("bad").at(-1)).toEqual({ status: "ok", text: "handled after the repair" });
    expect(driver.journal.dead.size).toBe(0);
    expect(leaks(driver.kernel)).toEqual([]);
  });

  it("comes after what waits in its session already", () => {
    const driver = poisoned();
    driver.tell(main, "busy");
    driver.tell(main, "first");
    driver.tell(main, "bad", { replaces: letterOf(driver, "bad") });
    driver.settle();
    driver.open("go on");
    driver.finish();
    expect(bodies(driver).slice(-3)).toEqual(["busy", "first", "bad"]);
  });

  it("once: the second of two replays is refused and leaves no place taken", () => {
    const driver = poisoned();
    const letter = letterOf(driver, "bad");
    const tickets = [1, 2].map(() => driver.tell(main, "bad", { replaces: letter }));
    driver.finish();
    expect(tickets.map((ticket) => driver.accepted(ticket))).toMatchObject([
      { status: "stored" },
      { status: "refused", refusal: { code: "CLOISTER_DEADLETTER_UNKNOWN" } },
    ]);
    expect(driver.outcomes("bad")).toHaveLength(2);
    expect(leaks(driver.kernel)).toEqual([]);
  });

  it("is judged like any other message, and stays a letter when it is refused", () => {
    const full = poisoned({ limits: { sessionDepthMax: 1 } });
    full.tell(main, "busy");
    full.settle();
    const letter = letterOf(full, "bad");
    expect(full.accepted(full.tell(main, "bad", { replaces: letter }))).toMatchObject({
      status: "refused",
      refusal: { code: "CLOISTER_MAILBOX_FULL" },
    });
    full.open("go on");
    full.finish();
    expect(letterOf(full, "bad")).toBe(letter);
  });

  it("needs the right that its sender had: without it the replay is refused, with it the message is delivered", () => {
    const replayed = (held: boolean): Driver => {
      const driver = poisoned({ pairings: openPairings(["main", "raul"]) });
      if (!held) driver.kernel.revoke("raul>main", driver.nowMs);
      const ticket = driver.tell(main, "bad", {
        from: { type: "agent", agentId: "raul", sessionKey: raul },
        via: "raul>main",
        replaces: letterOf(driver, "bad"),
      });
      driver.finish();
      expect(driver.accepted(ticket)?.status).toBe(held ? "stored" : "refused");
      if (!held)
        expect(driver.accepted(ticket)).toMatchObject({
          refusal: { code: "CLOISTER_CAPABILITY_REVOKED", message: expect.stringContaining("raul>main") },
        });
      return driver;
    };
    expect(replayed(true).handled.at(-1)).toMatchObject({ body: "bad", attempt: 1 });
    expect(replayed(false).dead("bad")?.fate).toBe("poison");
  });
});
