import { describe, expect, it } from "vitest";
import { down } from "../../../runtime/kernel/frames.ts";
import { answerOf, scripted } from "../../support/fake-cell.ts";
import { makeDriver } from "../../support/kernel-driver.ts";

const main = "agent:main:main";
const refusalOf = (driver: ReturnType<typeof makeDriver>, ticket: number): unknown => {
  const result = driver.accepted(ticket);
  return result?.status === "refused" ? result.refusal : result;
};

describe("a message from outside", () => {
  it("is answered when the journal has it, and not before (W-05)", () => {
    const driver = makeDriver({ script: scripted({}) });
    const ticket = driver.tell(main, "hello");
    expect(driver.accepted(ticket)).toBeUndefined();
    driver.settle();
    expect(driver.accepted(ticket)).toMatchObject({ status: "stored" });
    expect(driver.outcomes("hello")).toEqual([{ status: "ok", text: "re: hello" }]);
  });

  it("is refused when the journal cannot take it, and leaves no place taken", () => {
    const driver = makeDriver({ script: scripted({}) });
    driver.journal.failAppends(1);
    const ticket = driver.tell(main, "hello");
    driver.settle();
    expect(refusalOf(driver, ticket)).toMatchObject({ code: "CLOISTER_STORE_FAILED" });
    expect(driver.kernel.state.agents.get("main")?.depth).toBe(0);
    expect(driver.handled).toEqual([]);
  });

  it("that repeats an idempotency key is told of the first one and handled once", () => {
    const driver = makeDriver({ script: scripted({}) });
    const first = driver.tell(main, "hello", { dedupeKey: "k", runId: "r1" });
    const second = driver.tell(main, "hello", { dedupeKey: "k", runId: "r2" });
    driver.settle();
    const stored = driver.accepted(first);
    expect(stored).toMatchObject({ status: "stored", runId: "r1" });
    expect(driver.accepted(second)).toEqual({ ...stored, status: "duplicate" });
    expect(driver.handled).toHaveLength(1);
    expect(driver.kernel.state.agents.get("main")?.depth).toBe(0);
  });

  it("names its run and its trace after itself unless it is told others", () => {
    const driver = makeDriver({ script: scripted({}) });
    driver.tell(main, "a");
    driver.tell(main, "b", { runId: "mine" });
    driver.settle();
    const a = driver.header("a");
    expect([a.runId, a.trace]).toEqual([a.id, a.id]);
    expect(driver.header("b").runId).toBe("mine");
  });

  it("shows the cell what its actor is told, and nothing of how it came or where its answer goes", () => {
    const driver = makeDriver({ script: scripted({}) });
    driver.tell(main, "hello");
    driver.settle();
    const [shown] = driver.ofType("post").flatMap(({ record: [op, , , , a] }) => (op === down.deliver ? [a] : []));
    const { id, agentId, sessionKey, chain, acceptedAtMs, provenance } = driver.header("hello");
    expect(JSON.parse(shown ?? "")).toEqual({ id, agentId, sessionKey, chain, acceptedAtMs, provenance });
  });

  it("is refused for an agent that nobody configured", () => {
    const driver = makeDriver({ script: scripted({}) });
    expect(refusalOf(driver, driver.tell("agent:ghost:main", "hello"))).toEqual({
      code: "CLOISTER_AGENT_UNKNOWN",
      message: "agent not found: ghost",
      remedy: "cloister agents list",
    });
  });

  it("is refused for a disabled agent, with its reason", () => {
    const driver = makeDriver({ script: scripted({}), spec: () => ({ disabled: "actor.ts: no default export" }) });
    expect(refusalOf(driver, driver.tell(main, "hello"))).toMatchObject({
      code: "CLOISTER_AGENT_DISABLED",
      message: "the agent main is disabled: actor.ts: no default export",
      remedy: "repair that, then `cloister agents restart main`",
    });
  });

  it("is refused while the gateway drains, and may come again", () => {
    const driver = makeDriver({ script: scripted({}) });
    driver.kernel.drain();
    expect(refusalOf(driver, driver.tell(main, "hello"))).toMatchObject({
      code: "CLOISTER_GATEWAY_DRAINING",
      retryAfterMs: 5_000,
    });
  });

  it("is refused beyond its length, with what was found and what is allowed", () => {
    const driver = makeDriver({ script: scripted({}), limits: { bodyCharsMax: 10 } });
    expect(refusalOf(driver, driver.tell(main, "x".repeat(11)))).toMatchObject({
      code: "CLOISTER_MESSAGE_TOO_LARGE",
      message: "a message may have 10 characters, found 11",
    });
    const fits = driver.tell(main, "x".repeat(10));
    driver.settle();
    expect(driver.accepted(fits)).toMatchObject({ status: "stored" });
  });

  it("is refused after too many hops", () => {
    const driver = makeDriver({ script: scripted({}), limits: { hopsMax: 2 } });
    expect(refusalOf(driver, driver.tell(main, "hello", { chain: ["a", "b", "c"] }))).toMatchObject({
      code: "CLOISTER_MAILBOX_HOPS",
    });
  });

  it("is refused as busy beyond the depth of the mailbox, also within one burst (W-05)", () => {
    const driver = makeDriver({ script: scripted({}), limits: { mailboxDepthMax: 3 } });
    const tickets = ["a", "b", "c", "d"].map((rest) => driver.tell(`agent:main:${rest}`, rest));
    expect(refusalOf(driver, tickets[3] ?? 0)).toMatchObject({ code: "CLOISTER_MAILBOX_FULL", retryAfterMs: 1_000 });
    driver.settle();
    expect(driver.accepted(tickets[2] ?? 0)).toMatchObject({ status: "stored" });
    const later = driver.tell(main, "later");
    driver.settle();
    expect(driver.accepted(later)).toMatchObject({ status: "stored" });
  });

  it("is refused as busy beyond the depth of its session, and other sessions are not", () => {
    const driver = makeDriver({ script: scripted({}), limits: { sessionDepthMax: 2 } });
    driver.tell(main, "a");
    driver.tell(main, "b");
    expect(refusalOf(driver, driver.tell(main, "c"))).toMatchObject({
      code: "CLOISTER_MAILBOX_FULL",
      message: expect.stringContaining("2 of 2 for the session"),
    });
    const other = driver.tell("agent:main:x", "d");
    driver.settle();
    expect(driver.accepted(other)).toMatchObject({ status: "stored" });
  });
});

describe("a message between agents", () => {
  it("is stamped by the kernel: sender, way, trace, origin", () => {
    const driver = makeDriver({
      agents: ["main", "raul", "ana"],
      script: scripted({
        go: function* (turn) {
          yield* answerOf(turn.send("agent:raul:main", "on", { timeoutMs: 1_000 }));
          return {};
        },
        on: function* (turn) {
          yield* answerOf(turn.send("agent:ana:main", "end", { timeoutMs: 500 }));
          return {};
        },
      }),
    });
    driver.tell(main, "go");
    driver.settle();
    const go = driver.header("go");
    expect(driver.header("end")).toMatchObject({
      from: { type: "agent", agentId: "raul", sessionKey: "agent:raul:main" },
      verb: "request",
      via: "raul>ana",
      chain: [main, "agent:raul:main"],
      trace: go.id,
      provenance: {
        kind: "inter_session",
        sourceSessionKey: "agent:raul:main",
        sourceChannel: "internal",
        sourceTool: "request",
      },
      replyRoute: { type: "none" },
    });
  });

  it("that runs in a circle ends at the bound on hops", () => {
    const refusals: string[] = [];
    const driver = makeDriver({
      agents: ["main", "raul"],
      limits: { hopsMax: 5 },
      script: function* (turn) {
        const to = turn.header.agentId === "main" ? "agent:raul:main" : main;
        const answer = yield { until: "stored", ref: turn.send(to, "round") };
        if (answer.type === "refused") refusals.push(answer.refusal.code);
        return {};
      },
    });
    driver.tell(main, "round");
    driver.finish();
    expect(refusals).toEqual(["CLOISTER_MAILBOX_HOPS"]);
    expect(driver.handled).toHaveLength(6);
  });

  it("is audited with ids only (W-12), also in memory, where no store tells of it", () => {
    const driver = makeDriver({
      agents: ["main", "raul"],
      script: scripted({
        go: function* (turn) {
          turn.send("agent:raul:main", "nothing", { timeoutMs: 1_000 });
          yield* answerOf(turn.send("agent:raul:main", "my secret ü", { inMemory: true, timeoutMs: 1_000 }));
          return {};
        },
      }),
    });
    driver.tell("agent:raul:main", "be live");
    driver.tell(main, "go");
    driver.settle();
    const rows = driver.ofType("asked");
    expect(rows).toMatchObject([
      { facts: { subject: main, object: "agent:raul:main", verb: "request", decision: "allowed" }, bytes: 12 },
    ]);
    expect(rows[0]?.facts.via).toMatch(/./);
    expect(JSON.stringify([...driver.ofType("audit"), ...rows])).not.toContain("secret");
  });
});
