/** What is said of two runs of one conversation that are not the same. */
import { describe, expect, test } from "vitest";
import type { KitSend, KitTimer, KitTurn } from "../../../runtime/testing/actor-port.ts";
import { compareRuns, type LineEnd, type Run } from "../../../runtime/testing/compare-runs.ts";

const id = (n: number): string => `0mjve7pc0-000${n}-80017dc8`;
const turn = (more: Partial<KitTurn> = {}): KitTurn => ({
  id: id(1),
  sessionKey: "agent:actor:main",
  from: "person",
  text: "x",
  status: "ok",
  reply: "done",
  deliveries: 1,
  state: undefined,
  sends: [],
  steps: [],
  ...more,
});
const line = (more: Partial<LineEnd> = {}): LineEnd => ({
  turns: [turn()],
  sends: [],
  endings: [],
  states: {},
  timers: [],
  files: {},
  refused: undefined,
  ...more,
});
const run = (lines: readonly LineEnd[], more: Partial<Run> = {}): Run => ({
  lines,
  points: [],
  diverged: 0,
  unknown: 0,
  isCrashed: true,
  ...more,
});
const point = { line: 1, what: "the end of the turn", at: "before" } as const;
const compare = (plain: LineEnd, crashed: LineEnd, more: Partial<Run> = {}) =>
  compareRuns(run([plain]), run([crashed], more), point);
const messages = (...args: Parameters<typeof compare>): readonly string[] =>
  compare(...args).faults.map(({ type, message }) => `${type}: ${message}`);

const send: KitSend = { to: "agent:raul:main", text: "hello", verb: "send" };
const timer: KitTimer = { name: "t", sessionKey: "agent:actor:main", dueAtMs: 1, body: "b", isTask: false };

describe("two runs that are the same", () => {
  test("but for their ids, deliveries, and when timers are due, have no fault", () => {
    const made = (n: number): LineEnd =>
      line({
        turns: [turn({ id: id(n), deliveries: n, reply: `see ${id(n)}` })],
        files: { a: `${id(n)}:0 ${id(n)}` },
        timers: [{ ...timer, dueAtMs: n }],
        states: { s: { key: id(n) } },
      });
    expect(compare(made(1), made(2))).toEqual({ ...point, result: "same", faults: [] });
  });

  test("but for which of their ids stands where, are not", () => {
    const made = (n: number): LineEnd => line({ turns: [turn({ reply: `${id(1)} ${id(2)} ${id(n)}` })] });
    expect(compare(made(1), made(2)).result).toBe("fault");
  });
});

describe("a fault", () => {
  test.each<[string, LineEnd, LineEnd, string]>([
    ["another answer", line(), line({ turns: [turn({ reply: "no" })] }), 'answer: it answered "no" instead of "done"'],
    [
      "no answer",
      line(),
      line({ turns: [turn({ status: "no_reply" })] }),
      'answer: it answered nothing instead of "done"',
    ],
    ["a turn that is missing", line(), line({ turns: [] }), 'answer: a turn is missing, which answered "done"'],
    [
      "a turn too much",
      line(),
      line({ turns: [turn(), turn({ status: "dead_letter", fate: "poison" })] }),
      "answer: there is one turn more, which answered with a dead letter (poison)",
    ],
    [
      "a failure",
      line(),
      line({ turns: [turn({ status: "failed", failure: { code: "CLOISTER_AGENT_FAILED", message: "boom" } })] }),
      'answer: it answered with a failure (boom) instead of "done"',
    ],
    [
      "what could not be said",
      line(),
      line({ refused: "CLOISTER_ASK_TIMEOUT: late" }),
      "answer: CLOISTER_ASK_TIMEOUT: late",
    ],
    [
      "a message twice",
      line({ sends: [send] }),
      line({ sends: [send, send] }),
      'effect: the message "hello" to agent:raul:main: 2 times instead of once',
    ],
    [
      "a message that was lost",
      line({ sends: [send] }),
      line(),
      'effect: the message "hello" to agent:raul:main: not at all instead of once',
    ],
    [
      "a timer twice",
      line({ timers: [timer] }),
      line({ timers: [timer, timer] }),
      'effect: the timer t with "b": 2 times instead of once',
    ],
    [
      "another file",
      line({ files: { a: "1" } }),
      line({ files: { a: "11" } }),
      'effect: the file a has "11" instead of "1"',
    ],
    ["a file that is not there", line({ files: { a: "1" } }), line(), 'effect: the file a has nothing instead of "1"'],
    [
      "another state",
      line({ states: { s: 1 } }),
      line({ states: { s: 2 } }),
      'state: the state of s is "2" instead of "1"',
    ],
  ])("is %s", (_name, plain, crashed, wanted) => {
    expect(messages(plain, crashed)).toEqual([wanted]);
  });

  test("is another call in the place of one on record, and a conversation that is another one each time", () => {
    expect(compare(line(), line(), { diverged: 1 }).faults).toMatchObject([{ type: "diverged", line: 1 }]);
    expect(messages(line(), line(), { isCrashed: false })).toEqual([
      "diverged: the conversation made other calls than the time before, without any crash",
    ]);
  });

  test("is told of the first line that has one, and of a later line with what a restart leaves", () => {
    const [good, bad] = [line(), line({ turns: [turn({ reply: "no" })] })];
    const { faults } = compareRuns(run([good, good, good]), run([good, bad, bad]), point);
    expect(faults).toMatchObject([{ line: 2, remedy: expect.stringContaining("no variables of the module") }]);
  });
});

describe("when nobody knows whether a step was done", () => {
  const failed = turn({ status: "failed", failure: { code: "CLOISTER_AGENT_FAILED", message: "unknown" } });

  test("a turn that fails, and an effect that happened or did not, are right", () => {
    const plain = line({ files: { a: "1" }, sends: [send] });
    for (const files of [{ a: "1" }, {}] as const)
      expect(compare(plain, line({ turns: [failed], files }), { unknown: 1 })).toMatchObject({
        result: "unknown",
        faults: [],
      });
  });

  test("what happened twice is not", () => {
    const plain = line({ files: { a: "1" }, sends: [send] });
    const twice = line({ turns: [failed], files: { a: "11" }, sends: [send, send] });
    expect(messages(plain, twice, { unknown: 1 })).toEqual([
      'effect: the message "hello" to agent:raul:main: 2 times instead of once',
      'effect: the file a has "11", and without the crash "1"',
    ]);
  });
});
