/** Answers that are heard before they are on record: what waits for them, what takes them along, and what becomes of them (ADR 0077). */
import { describe, expect, it } from "vitest";
import { z } from "zod";
import { up } from "../../../runtime/kernel/frames.ts";
import { limits } from "../../../runtime/kernel/limits.ts";
import type { Effect } from "../../../runtime/kernel/state.ts";
import { type Answer, answerOf, gate, type Script, scripted, stepOf, storedOf } from "../../support/fake-cell.ts";
import { openPairings, spawningPairing } from "../../support/driver-port.ts";
import { type DriverOptions, makeDriver } from "../../support/kernel-driver.ts";
import { leaks } from "../../support/kernel-invariants.ts";

const main = "agent:main:main";
const raul = "agent:raul:main";
const tool = (repeat: "reads" | "acts") => ({
  repeat,
  parameters: z.object({}),
  run: async () => ({ status: "ok" }),
});

/** Tools answer in their own time. */
async function untilDone(driver: ReturnType<typeof makeDriver>): Promise<void> {
  for (driver.settle(); driver.ofType("commit").length === 0; driver.settle())
    await new Promise((resolve) => setImmediate(resolve));
}

function open(go: Script, options: Partial<DriverOptions> = {}) {
  let asked = 0;
  const driver = makeDriver({
    agents: ["main", "raul"],
    pairings: [...openPairings(["main", "raul"]), spawningPairing(["tool:look", "tool:pay"])],
    tools: { look: tool("reads"), pay: tool("acts") },
    script: scripted({ go, hello: () => ({ reply: "hi" }), more: () => ({ reply: "more" }) }),
    models: () => ({ ok: true, json: `"answer ${++asked}"`, used: { input: 1, output: 1 }, model: "p/m" }),
    describeTools: () => `["tool ${++asked}"]`,
    ...options,
  });
  driver.tell(main, "go");
  return driver;
}

/** What the kernel asked of the store and of others, in order, of the turn's calls. */
function traced(driver: ReturnType<typeof makeDriver>): readonly string[] {
  const wanted: Effect["type"][] = ["record", "append", "call", "model", "signal-call", "take", "commit"];
  return driver.effects.flatMap((effect) => {
    if (!wanted.includes(effect.type)) return [];
    if (effect.type === "record") {
      const rows = [...effect.late, ...(effect.row === undefined ? [] : [effect.row])];
      return [`record ${rows.map(({ op, result }) => `${op}${result === undefined ? " begun" : ""}`).join(" + ")}`];
    }
    if (effect.type === "append") return [`append ${effect.envelope.body}`];
    return [effect.type === "call" ? `call ${effect.tool}` : effect.type];
  });
}

const textOf = (answer: Answer): string =>
  answer.type === "refused" ? answer.refusal.code : answer.type === "result" ? answer.text : answer.type;

describe("an answer of a model, and the list of tools", () => {
  it("are in no record when the turn ends with them", () => {
    const driver = open(function* (turn) {
      yield* answerOf(turn.tools());
      yield* answerOf(turn.model("x"));
      return { reply: "done" };
    });
    driver.settle();
    expect(traced(driver)).toEqual(["append go", "model", "commit"]);
    expect(leaks(driver.kernel)).toEqual([]);
  });

  it("are recorded with the start of the tool that follows, and before one that may be called again", async () => {
    const driver = open(function* (turn) {
      yield* answerOf(turn.tools());
      yield* answerOf(turn.model("x"));
      yield* answerOf(turn.call("pay", {}));
      yield* answerOf(turn.model("y"));
      yield* answerOf(turn.call("look", {}));
      return { reply: "done" };
    });
    await untilDone(driver);
    expect(traced(driver)).toEqual([
      "append go",
      "model",
      "record tools + model + tool begun",
      "call pay",
      "record tool",
      "model",
      "record model",
      "call look",
      "record tool",
      "commit",
    ]);
  });

  it("are recorded with the start of a step, and with the answer of a call that is recorded itself", () => {
    const driver = open(function* (turn) {
      yield* answerOf(turn.model("x"));
      yield* stepOf(turn, "pay", () => "1");
      const listed = turn.raw.bind(turn);
      yield* answerOf(turn.model("y"));
      listed(up.timers, 900, 0, 3);
      yield* answerOf(900);
      return {};
    });
    driver.settle();
    expect(traced(driver)).toEqual([
      "append go",
      "model",
      "record model + step begun",
      "record step",
      "model",
      "record model + signal",
      "commit",
    ]);
  });

  it("are recorded before a message leaves, a timer is set, another agent is watched and before the next answer of a model", () => {
    const driver = open(function* (turn) {
      yield* answerOf(turn.model("1"));
      yield* storedOf(turn.send(raul, "hello"));
      yield* answerOf(turn.model("2"));
      yield* answerOf(turn.send(raul, "hello", { timeoutMs: 1_000, inMemory: true }));
      yield* answerOf(turn.model("3"));
      yield* answerOf(turn.schedule({ inMs: 1_000 }, "more"));
      yield* answerOf(turn.model("4"));
      yield* answerOf(turn.monitor(raul));
      yield* answerOf(turn.model("5"));
      yield* answerOf(turn.model("6"));
      return {};
    });
    driver.settle();
    expect(traced(driver).filter((each) => each !== "model" && each !== "commit")).toEqual([
      "append go",
      "record model",
      "append hello",
      "record model",
      "record model",
      "signal-call",
      "record model",
      "signal-call",
      "record model",
    ]);
    expect(driver.outcomes("go")).toEqual([{ status: "no_reply" }]);
  });

  it("hold up nothing of what leaves nothing behind: pieces of the answer, tokens, words for the log", () => {
    const driver = open(function* (turn) {
      yield* answerOf(turn.model("x"));
      turn.stream("a");
      turn.raw(up.usage, 0, 0, 3, "4");
      turn.raw(up.log, 0, 0, 30, "a line");
      turn.take();
      yield* gate("open");
      return {};
    });
    driver.settle();
    expect(driver.ofType("record")).toEqual([]);
    expect(driver.ofType("streamed")).toHaveLength(1);
    expect(driver.ofType("cell-log")).toHaveLength(1);
  });

  it("are recorded before the turn takes what came meanwhile", () => {
    const driver = open(
      function* (turn) {
        yield* answerOf(turn.model("x"));
        yield* gate("open");
        yield* answerOf(turn.take());
        return {};
      },
      { queueOf: () => ({ mode: "steer", debounceMs: 0, cap: 20, drop: "old" }) },
    );
    driver.settle();
    driver.tell(main, "more");
    driver.settle();
    driver.open("open");
    driver.settle();
    expect(traced(driver)).toEqual(["append go", "model", "append more", "record model", "take", "commit"]);
  });

  it("keep the order of what the cell says while they go to the disk, its end included", () => {
    const driver = open(function* (turn) {
      yield* answerOf(turn.model("x"));
      turn.send(raul, "hello");
      turn.send(raul, "more");
      turn.model("unheard");
      return { reply: "done" };
    });
    driver.settle();
    expect(traced(driver).filter((each) => !each.startsWith("commit"))).toEqual([
      "append go",
      "model",
      "record model",
      "append hello",
      "append more",
      "model",
    ]);
    expect(driver.outcomes("go")).toEqual([{ status: "ok", text: "done" }]);
    expect(driver.handled.map(({ body }) => body).toSorted()).toEqual(["go", "hello", "more"]);
    expect(leaks(driver.kernel)).toEqual([]);
  });

  it("let nothing pass that the cell begins while their record is on its way, whatever began that", () => {
    const calls = (order: readonly string[]) => {
      const driver = open(function* (turn) {
        yield* answerOf(turn.model("x"));
        for (const each of order)
          if (each === "look" || each === "pay") turn.call(each, {});
          else if (each === "step") turn.step("later");
          else turn.send(raul, "hello");
        yield* gate("never");
        return {};
      });
      driver.stepUntil(() => driver.ofType("record").length === 1);
      driver.journal.failNext("main", 1);
      driver.settle();
      return traced(driver);
    };
    // Nothing is begun when it is refused, and nothing was begun before.
    for (const order of [
      ["look", "hello"],
      ["look", "pay"],
      ["pay", "look", "hello"],
      ["pay", "step"],
      ["step", "hello"],
    ])
      expect(calls(order).slice(3), order.join(", ")).toEqual([]);
  });

  it("let nothing pass that is begun while they are recorded for their age", () => {
    const driver = open(function* (turn) {
      yield* answerOf(turn.model("x"));
      yield* gate("open");
      yield* storedOf(turn.send(raul, "hello"));
      return {};
    });
    driver.settle();
    driver.stallStore("main", limits.recordLateMs + 2_000);
    driver.advance(limits.recordLateMs + 200);
    expect(traced(driver)).toEqual(["append go", "model", "record model"]);
    driver.open("open");
    driver.advance(500);
    expect(traced(driver)).toEqual(["append go", "model", "record model"]);
    driver.advance(3_000);
    expect(traced(driver).slice(3)).toEqual(["append hello", "commit", "commit"]);
  });

  it("that the disk refuses let nothing begin, and go with the next record", async () => {
    const heard: string[] = [];
    const driver = open(function* (turn) {
      yield* answerOf(turn.model("x"));
      driver.journal.failNext("main", 1);
      heard.push(textOf(yield* answerOf(turn.send(raul, "hello", { timeoutMs: 1_000 }))));
      heard.push(textOf(yield* answerOf(turn.call("look", {}))));
      return { reply: "done" };
    });
    await untilDone(driver);
    expect(heard).toEqual(["CLOISTER_STORE_FAILED", '{"status":"ok"}']);
    expect(traced(driver)).toEqual([
      "append go",
      "model",
      "record model",
      "record model",
      "call look",
      "record tool",
      "commit",
    ]);
  });

  it("that the disk refuses before a tool are recorded before the next one, and the first is not called", async () => {
    const heard: string[] = [];
    const driver = open(function* (turn) {
      yield* answerOf(turn.model("x"));
      driver.journal.failNext("main", 1);
      heard.push(textOf(yield* answerOf(turn.call("look", {}))));
      heard.push(textOf(yield* answerOf(turn.call("pay", {}))));
      return {};
    });
    await untilDone(driver);
    expect(heard).toEqual(["CLOISTER_STORE_FAILED", '{"status":"ok"}']);
    expect(traced(driver)).toEqual([
      "append go",
      "model",
      "record model",
      "record model + tool begun",
      "call pay",
      "record tool",
      "commit",
    ]);
  });

  it("are the same after the end of the cell, and are asked for again after the end of the process", () => {
    for (const end of ["cell", "process"] as const) {
      const heard: string[] = [];
      const driver = open(function* (turn) {
        heard.push(textOf(yield* answerOf(turn.tools())), textOf(yield* answerOf(turn.model("x"))));
        if (turn.attempt === 1 && end === "cell") turn.crash();
        if (turn.attempt === 1) yield* gate("never");
        return { reply: "done" };
      });
      driver.settle();
      if (end === "process") driver.restartProcess();
      driver.finish();
      const first = ['["tool 1"]', '"answer 2"'];
      expect(heard).toEqual([...first, ...(end === "cell" ? first : ['["tool 3"]', '"answer 4"'])]);
      expect(driver.outcomes("go").at(-1)).toEqual({ status: "ok", text: "done" });
    }
  });

  it("are the same after the end of the process once something that the turn did after them was begun", () => {
    const heard: string[] = [];
    const driver = open(function* (turn) {
      heard.push(textOf(yield* answerOf(turn.model("x"))));
      yield* storedOf(turn.send(raul, "hello"));
      if (turn.attempt === 1) yield* gate("never");
      return { reply: "done" };
    });
    driver.settle();
    driver.restartProcess();
    driver.finish();
    expect(heard).toEqual(['"answer 1"', '"answer 1"']);
    expect(driver.handled.filter(({ body }) => body === "hello")).toHaveLength(1);
  });

  it("go to the disk after a while when the turn goes on without a step, once", () => {
    const driver = open(function* (turn) {
      yield* answerOf(turn.tools());
      yield* gate("open");
      return {};
    });
    driver.settle();
    expect(driver.ofType("record")).toEqual([]);
    // The first tick comes after 100 ms.
    driver.advance(limits.recordLateMs);
    expect(driver.ofType("record")).toEqual([]);
    driver.advance(100);
    driver.advance(limits.recordLateMs);
    expect(driver.ofType("record").map(({ late }) => late.map(({ op }) => op))).toEqual([["tools"]]);
    driver.restartProcess();
    driver.settle();
    expect(driver.ofType("list-tools")).toEqual([]);
  });

  it("let a turn that was stopped begin nothing more", () => {
    const heard: string[] = [];
    const driver = open(function* (turn) {
      yield* answerOf(turn.model("x"));
      const sent = turn.send(raul, "hello", { timeoutMs: 1_000 });
      heard.push(textOf(yield* answerOf(sent)));
      return {};
    });
    driver.stepUntil(() => driver.ofType("record").length === 1);
    driver.kernel.stop({ type: "session", sessionKey: main }, "test", driver.nowMs);
    driver.finish();
    expect(heard).toEqual(["CLOISTER_ASK_ABORTED"]);
    expect(driver.handled.map(({ body }) => body)).toEqual(["go"]);
    expect(leaks(driver.kernel)).toEqual([]);
  });

  it("hold up so many words of a cell and no more, and always its end", () => {
    const heard: string[] = [];
    const driver = open(
      function* (turn) {
        yield* answerOf(turn.model("x"));
        const calls = [1, 2, 3].map((each) => turn.send(raul, "hello", { timeoutMs: 1_000 + each }));
        heard.push(textOf(yield* answerOf(calls[2] ?? 0)));
        return { reply: "done" };
      },
      { limits: { heldRecordsMax: 2 } },
    );
    driver.settle();
    expect(heard).toEqual(["CLOISTER_MAILBOX_FULL"]);
    expect(driver.handled.filter(({ body }) => body === "hello")).toHaveLength(2);
    expect(driver.outcomes("go")).toEqual([{ status: "ok", text: "done" }]);
  });

  it("lose nothing of what a cell only says meanwhile", () => {
    const driver = open(
      function* (turn) {
        yield* answerOf(turn.model("x"));
        turn.send(raul, "hello");
        turn.raw(up.usage, 0, 0, 30, "4");
        turn.stream("a");
        return { reply: "done" };
      },
      { limits: { heldRecordsMax: 1 } },
    );
    driver.settle();
    const [own] = driver.ofType("commit").filter(({ agentId }) => agentId === "main");
    expect(own).toMatchObject({ tokens: { input: 31, output: 5 } });
    expect(driver.ofType("streamed").map(({ text }) => text)).toEqual(["a"]);
  });

  it("hold up no more characters than the bound", () => {
    const heard: string[] = [];
    const driver = open(
      function* (turn) {
        yield* answerOf(turn.model("x"));
        turn.send(raul, "hello");
        heard.push(textOf(yield* answerOf(turn.call("look", {}, "x".repeat(100)))));
        return {};
      },
      { limits: { heldRecordsCharsMax: 100 } },
    );
    driver.settle();
    expect(heard).toEqual(["CLOISTER_MAILBOX_FULL"]);
    expect(driver.handled.map(({ body }) => body).toSorted()).toEqual(["go", "hello"]);
  });

  it("let a cell say nothing more behind the end of its turn", () => {
    const driver = open(function* (turn) {
      yield* answerOf(turn.model("x"));
      turn.send(raul, "hello");
      turn.raw(up.done, 0, 0, 0);
      turn.send(raul, "more");
      return {};
    });
    driver.settle();
    expect(driver.handled.map(({ body }) => body).toSorted()).toEqual(["go", "hello"]);
    const forged = driver.ofType("audit").filter(({ event }) => event === "forged-turn");
    expect(forged.length).toBeGreaterThan(0);
  });

  it("of a turn that is repeated are recorded before a step runs again that an earlier delivery began", () => {
    const kept: boolean[] = [];
    const driver = open(function* (turn) {
      if (turn.attempt === 2) {
        turn.raw(up.tools, 901, 0, 7);
        yield* answerOf(901);
      }
      const first = turn.step("pay", true);
      yield* answerOf(first.ref);
      kept.push(driver.journal.recorded(turn.header.id, 7) !== undefined);
      if (turn.attempt === 1) turn.crash();
      yield* answerOf(turn.endStep(first.number, "1"));
      return {};
    });
    driver.finish();
    expect(kept).toEqual([false, true]);
    expect(driver.outcomes("go").at(-1)).toEqual({ status: "no_reply" });
  });
});
