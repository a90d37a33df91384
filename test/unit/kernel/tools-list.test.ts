/** `ctx.tools.list`: which tools a turn is told of, and that a repeated turn is told the same. */
import { describe, expect, it } from "vitest";
import { z } from "zod";
import { down, up } from "../../../runtime/kernel/frames.ts";
import type { DeliveredHeader } from "../../../runtime/kernel/session-choices.ts";
import { answerOf, gate, scripted } from "../../support/fake-cell.ts";
import { makeDriver, openPairings } from "../../support/kernel-driver.ts";
import { leaks } from "../../support/kernel-invariants.ts";

const main = "agent:main:main";
const right = (id: string, object: string, verbs: readonly `tool:${string}`[]) =>
  ({ id, subject: "agent:main", object, verbs, origin: "config" }) as const;

/** A turn that asks, and ends with what it heard; its first delivery ends without an answer when `crashes`. */
function ask(describeTools?: (held: readonly string[]) => string, crashes = false) {
  const heard: string[] = [];
  const driver = makeDriver({
    agents: ["main"],
    pairings: [
      right("one", "gateway", ["tool:look", "tool:charge"]),
      right("two", "gateway", ["tool:look"]),
      right("other", "agent:raul", ["tool:foreign"]),
      ...openPairings([]),
    ],
    ...(describeTools === undefined ? {} : { describeTools: (_header, held) => describeTools(held) }),
    script: scripted({
      go: function* (turn) {
        const answer = yield* answerOf(turn.tools());
        heard.push(answer.type === "result" ? answer.text : answer.type);
        if (crashes && turn.attempt === 1) turn.crash();
        return { reply: "done" };
      },
    }),
  });
  driver.tell(main, "go");
  driver.finish();
  return { driver, heard };
}

describe("the tools of a turn", () => {
  it("are those that its agent holds a right to, each once, in order", () => {
    const { driver, heard } = ask();
    expect(heard).toEqual(['["charge","look"]']);
    expect(leaks(driver.kernel)).toEqual([]);
  });

  it("are what the policy leaves of them", () => {
    const { heard } = ask((held) => JSON.stringify(held.filter((name) => name !== "charge")));
    expect(heard).toEqual(['["look"]']);
  });

  it("are the same to a repeated turn, though the policy has changed", () => {
    let asked = 0;
    const { heard } = ask(() => `["${++asked}"]`, true);
    expect(heard).toEqual(['["1"]', '["1"]']);
    expect(asked).toBe(1);
  });

  it("are judged by the model that was chosen for the session, and its cell hears what was chosen", () => {
    const judged: (string | undefined)[] = [];
    const driver = makeDriver({
      agents: ["main"],
      pairings: [right("one", "gateway", ["tool:look"]), ...openPairings([])],
      describeTools: ({ model }, held) => `${judged.push(model)}${held.length}`,
      whyNotTool: ({ model }) => void judged.push(model),
      tools: { look: { repeat: "reads", parameters: z.object({}), run: async () => ({ status: "ok" }) } },
      choicesOf: (key) =>
        key === main ? { model: "p/m", authProfile: "ada@example.org", thinking: "high" } : undefined,
      script: scripted({
        go: function* (turn) {
          yield* answerOf(turn.tools());
          yield* answerOf(turn.call("look", {}));
          return { reply: "done" };
        },
      }),
    });
    driver.tell(main, "go");
    driver.tell("agent:main:other", "go");
    driver.settle();
    expect(judged.map(String).toSorted((a, b) => a.localeCompare(b))).toEqual(["p/m", "p/m", "undefined", "undefined"]);
    const headers = driver
      .ofType("post")
      .filter(({ record: [op] }) => op === down.deliver)
      .map(({ record }) => JSON.parse(record[4]) as DeliveredHeader);
    expect(Object.fromEntries(headers.map(({ sessionKey, choices }) => [sessionKey, choices]))).toEqual({
      [main]: { model: "p/m", thinking: "high" },
      "agent:main:other": undefined,
    });
  });

  it("are what all messages leave that the turn handles, also those that it takes while it runs", () => {
    const heard: string[] = [];
    const driver = makeDriver({
      agents: ["main"],
      pairings: [right("one", "gateway", ["tool:look"]), ...openPairings(["main"])],
      describeTools: ({ messages }) => JSON.stringify(messages.map(({ id }) => id)),
      script: scripted({
        go: function* (turn) {
          for (const round of [1, 2]) {
            const answer = yield* answerOf(turn.tools());
            heard.push(answer.type === "result" ? answer.text : answer.type);
            if (round === 2) break;
            yield* gate("go on");
            yield* answerOf(turn.take());
          }
          return { reply: "done" };
        },
      }),
    });
    driver.tell(main, "go");
    driver.settle();
    const first = driver.header("go").id;
    driver.tell(main, "and more");
    driver.settle();
    driver.open("go on");
    driver.finish();
    expect(heard.map((text) => JSON.parse(text) as unknown)).toEqual([[first], [first, expect.any(String)]]);
    // It was done with that turn, and had none of its own.
    expect(driver.handled.map(({ body }) => body)).toEqual(["go"]);
    expect(leaks(driver.kernel)).toEqual([]);
  });

  it("are told when other programs have told theirs: once, for what the turn handles and may call by then", () => {
    const asked: [held: readonly string[], isLast: boolean][] = [];
    const heard: string[] = [];
    const driver = makeDriver({
      agents: ["main"],
      pairings: [right("one", "gateway", ["tool:look", "tool:far__*"]), ...openPairings([])],
      describeTools: (_turn, held, isLast) => {
        asked.push([held, isLast]);
        return isLast ? '["look","far__away"]' : undefined;
      },
      script: scripted({
        go: function* (turn) {
          const answer = yield* answerOf(turn.tools());
          heard.push(answer.type === "result" ? answer.text : answer.type);
          if (turn.attempt === 1) turn.crash();
          return { reply: "done" };
        },
      }),
    });
    driver.tell(main, "go");
    driver.finish();
    expect(asked).toEqual([
      [["far__*", "look"], false],
      [["far__*", "look"], true],
    ]);
    expect(heard).toEqual(['["look","far__away"]', '["look","far__away"]']);
    expect(driver.ofType("list-tools")).toHaveLength(1);
    expect(leaks(driver.kernel)).toEqual([]);
  });

  it("are wanted by nobody any more when the cell ends that asked", () => {
    const driver = makeDriver({
      agents: ["main"],
      pairings: [right("one", "gateway", ["tool:look"]), ...openPairings([])],
      describeTools: (_turn, _held, isLast) => (isLast ? '["look"]' : undefined),
      script: scripted({
        go: function* (turn) {
          if (turn.attempt === 1) {
            turn.tools();
            turn.crash();
          }
          yield* answerOf(turn.tools());
          return { reply: "done" };
        },
      }),
    });
    driver.tell(main, "go");
    driver.finish();
    expect(driver.ofType("commit")).toHaveLength(1);
    expect(leaks(driver.kernel)).toEqual([]);
  });

  it("are not in the transcript, and take nothing of a budget of tool calls", () => {
    const { driver } = ask();
    expect(driver.ofType("commit")[0]?.rows.map(({ role }) => role)).toEqual(["assistant"]);
    expect(driver.ofType("call")).toEqual([]);
  });
});

describe("a list that comes with the delivery", () => {
  /** Each text is a turn of its own: `first` asks before all else, `late` and `none` do not. */
  function open(describeTools: () => string | undefined = () => '["look"]') {
    const heard: string[] = [];
    let crashes = 0;
    const driver = makeDriver({
      agents: ["main"],
      pairings: [right("one", "gateway", ["tool:look"]), ...openPairings(["main"])],
      describeTools: (_turn, _held, isLast) => describeTools() ?? (isLast ? "[]" : undefined),
      script: scripted({
        first: function* (turn) {
          const answer = yield* answerOf(turn.tools());
          heard.push(answer.type === "result" ? answer.text : answer.type);
          if (crashes-- > 0) turn.crash();
          yield* answerOf(turn.model("x", { tools: "=" }));
          return { reply: "done" };
        },
        none: () => ({ reply: "done" }),
      }),
    });
    const say = (text: string): void => {
      driver.tell(main, text);
      driver.finish();
    };
    const crashNext = (times: number): void => void (crashes = times);
    const posted = (op: number) => driver.ofType("post").filter(({ record }) => record[0] === op);
    return { driver, heard, say, crashNext, posted };
  }

  it("comes to an agent whose turn before asked for one first, and with its text only when that is another", () => {
    let text = '["look"]';
    const { driver, heard, say, posted } = open(() => text);
    for (const _ of [1, 2, 3]) say("first");
    text = '["other"]';
    say("first");
    expect(heard).toEqual(['["look"]', '["look"]', '["look"]', '["other"]']);
    expect(posted(down.tools).map(({ record: [, , , num, a] }) => [num, a])).toEqual([
      [0, '["look"]'],
      [1, ""],
      [0, '["other"]'],
    ]);
    // The model is asked with the list of its turn.
    expect(driver.ofType("model").map(({ tools }) => tools)).toEqual(heard);
    expect(leaks(driver.kernel)).toEqual([]);
  });

  it("comes no more after a turn that did not take it, until one asks again", () => {
    const { say, posted } = open();
    for (const text of ["first", "none", "first", "first"]) say(text);
    expect(posted(down.tools)).toHaveLength(2);
  });

  it("does not come where other programs have to be asked", () => {
    const { heard, say, posted } = open(() => undefined);
    for (const _ of [1, 2]) say("first");
    expect(heard).toEqual(["[]", "[]"]);
    expect(posted(down.tools)).toEqual([]);
  });

  it("is the same to a repeated turn, whether its cell had said that it took it or not", () => {
    let asked = 0;
    const { heard, say, crashNext, driver } = open(() => `["${++asked}"]`);
    say("first");
    crashNext(1);
    say("first");
    expect(heard).toEqual(['["1"]', '["2"]', '["2"]']);
    expect(driver.ofType("commit")).toHaveLength(2);
    expect(leaks(driver.kernel)).toEqual([]);
  });

  it("is recorded as a list that was asked for", () => {
    const { driver, say } = open();
    say("first");
    const { agents } = driver.kernel.state;
    driver.tell(main, "first");
    driver.stepUntil(() => driver.ofType("model").length === 2);
    const [turn] = agents.get("main")?.turns.values() ?? [];
    expect(turn?.late).toMatchObject([{ key: 0, op: "tools", name: "list", result: [1, "ok", '["look"]'] }]);
    driver.finish();
  });

  it("is taken once, as the answer of the first call, and by nobody who was offered none", () => {
    const driver = makeDriver({
      agents: ["main"],
      script: scripted({
        go: function* (turn) {
          turn.raw(up.tools, 0, 0, 0);
          turn.raw(up.model, 900, 1, 1, "", " =", "x");
          yield* gate("never");
          return {};
        },
      }),
    });
    driver.tell(main, "go");
    driver.settle();
    expect(driver.audits("forged-record")).toMatchObject([{ detail: expect.stringContaining("was offered none") }]);
    expect(driver.ofType("model")).toEqual([]);
  });
});
