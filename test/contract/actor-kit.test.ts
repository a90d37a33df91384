/** The kit for authors of actors: a gateway on a clock that stands still, and crashes at every point. */
import { fileURLToPath, pathToFileURL } from "node:url";
import { describe, expect, onTestFinished, test } from "vitest";
import type {
  ActorKit,
  ActorKitOptions,
  CheckOptions,
  CheckReport,
  Sibling,
} from "../../runtime/testing/actor-port.ts";
import { checkActor, formatReport, openActorKit } from "../../runtime/testing/index.ts";

const fixture = (name: string): string => fileURLToPath(new URL(`../fixtures/kit/${name}.ts`, import.meta.url));

async function open(name: string, options: ActorKitOptions = {}): Promise<ActorKit> {
  const kit = await openActorKit(fixture(name), options);
  onTestFinished(() => kit.close());
  return kit;
}

describe("A15.1: an actor in the kit", () => {
  test("is told what its configuration and its workspace hold, and keeps its state by session", async () => {
    const kit = await open("teller", { id: "clerk", options: { shop: "corner" }, files: { "notes/a.md": "milk" } });
    expect((await kit.say("options")).reply).toBe('["clerk",{"shop":"corner"},"none"]');
    expect((await kit.say("read notes/a.md")).reply).toBe("milk");
    expect((await kit.say("from", { session: "agent:clerk:other" })).reply).toBe("external_user 1");
    expect([kit.state(), kit.state("agent:clerk:other")]).toEqual([{ told: 2 }, { told: 1 }]);
    expect(await kit.files()).toEqual({ "notes/a.md": "milk" });
    await kit.say("print hello");
    expect(kit.logged).toContainEqual({ level: "warn", text: "hello" });
  });

  test("hears agents beside it: a text, a function, one that fails, and a module of its own", async () => {
    const heard: string[] = [];
    const agents: Readonly<Record<string, Sibling>> = {
      fixed: "always this",
      made: (text) => (heard.push(text), text === "nothing" ? undefined : text.toUpperCase()),
      broken: () => {
        throw new Error("closed on Mondays");
      },
      other: { module: pathToFileURL(fixture("teller")), options: { of: "other" } },
    };
    const kit = await open("teller", { agents });
    const ask = async (to: string): Promise<string | undefined> => (await kit.say(`ask ${to}`)).reply;
    expect([await ask("fixed hello"), await ask("made hello"), await ask("made nothing")]).toEqual([
      "always this",
      "HELLO",
      undefined,
    ]);
    expect(await ask("other options")).toBe('["other",{"of":"other"},"none"]');
    expect((await kit.say("ask broken hello")).failure?.message).toContain("closed on Mondays");
    expect(heard).toEqual(["hello", "nothing"]);
    expect(kit.sends.map(({ to, verb }) => `${verb} ${to}`)).toEqual([
      "request agent:fixed:main",
      "request agent:made:main",
      "request agent:made:main",
      "request agent:other:main",
      "request agent:broken:main",
    ]);
    expect((await kit.say("ask nobody hello")).failure?.message).toMatch(/nobody/);
  });

  test("asks a scripted model, whose failures have their codes", async () => {
    const kit = await open("teller", {
      model: ["first", { text: "second" }, { fail: "CLOISTER_MODEL_RATE_LIMITED", message: "slow down" }],
    });
    expect((await kit.say("model one")).reply).toBe("first");
    expect((await kit.say("model two")).reply).toBe("second");
    expect((await kit.say("model three")).failure).toMatchObject({ code: "CLOISTER_MODEL_RATE_LIMITED" });
    expect((await kit.say("model four")).failure?.message).toContain("asked a 4. time");
    expect(kit.asked.map(({ messages }) => messages[0]?.text)).toEqual(["one", "two", "three", "four"]);
    const other = await open("teller", { model: ({ messages }, index) => `${index}: ${messages[0]?.text}` });
    expect((await other.say("model x")).reply).toBe("0: x");
  });

  test("lives on a clock that moves when it is told to, and hears its timers at their times", async () => {
    const kit = await open("teller", { startMs: Date.UTC(2030, 0, 1) });
    await kit.say("every 60000");
    expect(await kit.advance(59_999)).toEqual([]);
    const [first, ...more] = await kit.advance(120_001);
    expect(first).toMatchObject({ from: "timer", reply: "timer at 2030-01-01T00:01:00.000Z" });
    expect(more.map(({ reply }) => reply)).toEqual([
      "timer at 2030-01-01T00:02:00.000Z",
      "timer at 2030-01-01T00:03:00.000Z",
    ]);
    expect(kit.nowMs).toBe(Date.UTC(2030, 0, 1, 0, 3));
    expect(await kit.timers()).toMatchObject([{ name: "tick", everyMs: 60_000, dueAtMs: kit.nowMs + 60_000 }]);
    await kit.crash();
    expect((await kit.advance(60_000)).map(({ reply }) => reply)).toEqual(["timer at 2030-01-01T00:04:00.000Z"]);
  });

  test("is told of a task that nobody completes, and has days pass in which its cell ends", async () => {
    const kit = await open("teller");
    await kit.say("defer 86400000");
    expect(await kit.advance(86_400_000)).toMatchObject([{ from: "task", reply: "task at 2026-01-02T12:00:00.000Z" }]);
    expect(kit.state()).toEqual({ told: 2 });
  });

  test("keeps what was committed over a crash, and nothing else", async () => {
    const kit = await open("variable");
    expect([(await kit.say("x")).reply, (await kit.say("x")).reply]).toEqual(["1", "2"]);
    await kit.crash();
    expect((await kit.say("x")).reply).toBe("1");
    const teller = await open("teller");
    await teller.say("from");
    await teller.crash();
    await teller.crash();
    await teller.say("from");
    expect(teller.state()).toEqual({ told: 2 });
  });

  test("says how a turn ended that failed, was not handled, or ended its cell", async () => {
    const kit = await open("throws");
    expect(await kit.say("boom")).toMatchObject({ status: "failed", failure: { message: "no such thing" } });
    const teller = await open("teller");
    expect(await teller.say("unhandled not mine")).toMatchObject({
      status: "dead_letter",
      fate: "unhandled",
      failure: { message: expect.stringContaining("not mine") },
    });
    const leaving = await open("leaves");
    expect(await leaving.say("x")).toMatchObject({ status: "dead_letter", fate: "poison", deliveries: 3 });
  });

  test("has the same chances each time", async () => {
    const [one, two] = [await open("teller"), await open("teller")];
    const { reply } = await one.say("dice");
    expect(reply).toMatch(/^0\.\d+ 0\.\d+$/);
    expect([(await one.say("dice")).reply, (await two.say("dice")).reply]).toEqual([reply, reply]);
  });

  test("is refused with what an option may be", async () => {
    for (const wrong of [{ id: "not an id" }, { agents: { "Not an id": "x" } }, { agents: { actor: "x" } }])
      await expect(openActorKit(fixture("teller"), wrong)).rejects.toMatchObject({ code: "CLOISTER_REQUEST_INVALID" });
    await expect(openActorKit(fixture("teller"), { files: { "../x": "" } })).rejects.toMatchObject({
      code: "CLOISTER_REQUEST_INVALID",
      message: expect.stringContaining("../x"),
    });
    const kit = await open("teller");
    await expect(kit.advance(-1)).rejects.toMatchObject({ code: "CLOISTER_REQUEST_INVALID" });
    await kit.close();
    await expect(kit.say("x")).rejects.toMatchObject({ message: "the kit is closed" });
  });
});

const check = (
  name: string,
  conversation: CheckOptions["conversation"],
  more: ActorKitOptions = {},
): Promise<CheckReport> =>
  checkActor(fixture(name), { conversation, agents: { raul: "yes", shop: (text) => `${text.length} coins` }, ...more });

/** The kinds of faults at each point that has any, in words of the report. */
const found = ({ faults, points }: CheckReport): readonly string[] => [
  ...faults.map(({ type, line }) => `line ${line}: ${type}`),
  ...points.flatMap(({ line, at, what, faults: own }) => own.map(({ type }) => `line ${line}, ${at} ${what}: ${type}`)),
];

describe("A15.1: a crash at every point of a conversation", () => {
  test("changes nothing for an actor whose effects are recorded, with each point once before and once after", async () => {
    const report = await check("all-calls", ["milk", { advanceMs: 60_000 }], { model: ["No. 0"] });
    expect(formatReport(report).join("\n")).toContain("passed");
    expect([report.ok, found(report), report.left]).toEqual([true, [], 0]);
    expect(report.turns.map(({ reply }) => reply)).toEqual(["No. 0: 1", undefined]);
    const first = report.points.filter(({ line }) => line === 1);
    expect(first.map(({ at, what }) => `${at} ${what}`)).toEqual(
      [
        'the start of step "id"',
        'the result of step "id"',
        "the message to agent:shop:main",
        "the result of the model",
        "the message to agent:raul:main",
        'the timer "report"',
        'the timer "wait"',
        "the end of the turn",
      ].flatMap((what) => [`before ${what}`, `after ${what}`]),
    );
    expect(report.points.filter(({ line }) => line === 2).map(({ what }) => what)).toEqual([
      "the message to agent:raul:main",
      "the message to agent:raul:main",
      "the end of the turn",
      "the end of the turn",
    ]);
  });

  test("finds an effect outside of a step, and one that says that it may happen twice", async () => {
    const outside = await check("effect-outside", ["milk"]);
    expect(found(outside)).toEqual(["line 1, before the end of the turn: effect"]);
    expect(outside.points[0]?.faults[0]?.message).toBe(
      String.raw`the file orders.txt has "milk\nmilk\n" instead of "milk\n"`,
    );
    expect(found(await check("effect-twice", ["milk"]))).toEqual(['line 1, before the result of step "order": effect']);
  });

  test("finds calls that depend on chance, whatever the actor makes of being told so", async () => {
    const report = await check("chance", ["throw"]);
    expect(found(report)).toEqual([
      "line 1, before the message to agent:raul:main: effect",
      "line 1, after the message to agent:raul:main: diverged",
      "line 1, before the end of the turn: diverged",
    ]);
  });

  test("finds an answer and a state that depend on the time", async () => {
    expect(found(await check("clock", ["x"]))).toEqual([
      "line 1, before the end of the turn: answer",
      "line 1, before the end of the turn: state",
    ]);
  });

  test.each(["not-json", "variable"])("finds what a restart does not leave: %s", async (name) => {
    const report = await check(name, ["a", "b"]);
    expect(found(report)).toContain("line 1, after the end of the turn: answer");
    const [fault] = report.points.find(({ at, line }) => at === "after" && line === 1)?.faults ?? [];
    expect(fault).toMatchObject({
      line: 2,
      remedy: expect.stringMatching(/no variables of the module.*what JSON keeps/),
    });
  });

  test.each([
    ["throws", "boom", "failed", /CLOISTER_AGENT_FAILED: no such thing/],
    ["big-state", "x", "failed", /BigInt/],
    ["holds", "x", "ended", /hung: its loop did not turn for 1000 ms/],
    ["leaves", "x", "ended", /crash: nobody awaits this/],
  ])("is not tried with what fails by itself: %s", async (name, text, type, message) => {
    const report = await check(name, [text]);
    expect(report).toMatchObject({
      ok: false,
      points: [],
      faults: [{ type, line: 1, message: expect.stringMatching(message) }],
    });
    expect(formatReport(report).at(-1)).toContain("nothing was crashed");
  });

  test("takes a failure that is right for one", async () => {
    const report = await check("throws", [{ say: "boom", mayFail: true }, "x"]);
    expect([report.ok, found(report)]).toEqual([true, []]);
  });

  test("in the middle of a step that may not run twice is told to the actor, and is no fault", async () => {
    const report = await check("careful", ["milk"]);
    expect([report.ok, found(report)]).toEqual([true, []]);
    expect(report.points.map(({ result }) => result)).toEqual(["same", "unknown", "unknown", "same", "same", "same"]);
    expect(formatReport(report).at(-1)).toContain("CLOISTER_OUTCOME_UNKNOWN");
  });

  test("gives the same report each time", async () => {
    const [one, two] = [await check("chance", ["a"]), await check("chance", ["a"])];
    expect(one).toEqual(two);
  });
});
