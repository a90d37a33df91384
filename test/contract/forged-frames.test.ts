/**
 * A cell that was taken over and speaks the mailbox protocol by hand, in a real worker: whatever it claims, it sends only as
 * itself and only what it may. Criteria: P4, AC-06.3, needs A9.2.
 */
import { readFileSync } from "node:fs";
import { beforeAll, describe, expect, test } from "vitest";
import { type CellAssets, loadCellAssets } from "../../runtime/thread/cell-assets.ts";
import { openGatewayAt, type TestGateway } from "../support/gateway.ts";
import { levels } from "../support/levels.ts";

/** Slots of main's table, by what they are for: the fixture looks them up in the table that the cell was started with. */
const raulSlot = "$slot agent:raul send";
const ownSlot = "$slot agent:main send";
const toolSlot = "$slot gateway tool:sessions_list";
const up = { send: 1, sendVolatile: 2, call: 3, stream: 4, done: 5, log: 6, stepStart: 7, stepEnd: 8 };
describe.each(levels)("at level %s", (level) => {
  const openAt = openGatewayAt(level);
  let assets: CellAssets;

  beforeAll(async () => {
    const source = readFileSync(new URL("../fixtures/hostile-cell.cjs", import.meta.url), "utf8");
    assets = {
      ...(await loadCellAssets()),
      bootstrap: { source: `(function (require) {${source}\n})`, cachedData: undefined },
    };
  });

  const open = (): Promise<TestGateway> =>
    openAt(
      [{ id: "main" }, { id: "raul" }, { id: "eve" }],
      { visibility: "all", agentToAgent: { enabled: true, allow: ["main", "raul"] } },
      { assets },
    );

  interface Answer {
    readonly num: number;
    readonly a: string;
    readonly b: string;
  }

  /** Lets the agent post these frames; gives what the kernel answered and what it wrote into the audit trail. */
  async function attack(
    gateway: TestGateway,
    agentId: string,
    frames: readonly unknown[],
  ): Promise<{
    readonly answers: readonly Answer[];
    readonly audits: readonly {
      readonly type: string;
      readonly subject: string;
      readonly decision: string;
      readonly code?: string;
    }[];
  }> {
    const answers = JSON.parse(await gateway.reply(agentId, JSON.stringify(frames))) as Answer[];
    const audits = (await gateway.store.audits(100)).toReversed();
    return { answers, audits };
  }

  /** Messages that reached raul or eve. */
  async function reached(gateway: TestGateway): Promise<readonly string[]> {
    const pages = await Promise.all(["raul", "eve"].map((id) => gateway.store.history(id, `agent:${id}:main`, 100, 0)));
    return pages.flatMap(({ rows }) => rows.map(({ text }) => text));
  }

  test("the same frame by the rules goes through: what follows is refused for what it is", async () => {
    const gateway = await open();
    const { answers } = await attack(gateway, "main", [
      ["$inc", "$seq", up.send, 1, "$turn", raulSlot, 0, "agent:raul:main", "0", "by the rules"],
    ]);
    await gateway.until(
      () =>
        gateway.agents()[1]?.activeRuns === 0 &&
        gateway.events.some(
          ({ event, payload }) => event === "chat" && payload.agentId === "raul" && payload.state === "final",
        ),
    );
    expect(answers).toEqual([]);
    const page = await gateway.store.history("raul", "agent:raul:main", 10, 0);
    expect(page.rows[0]).toMatchObject({
      text: "by the rules",
      isUser: false,
      provenance: { kind: "inter_session", sourceSessionKey: "agent:main:main" },
    });
  });

  describe("refused, audited, and without effect", () => {
    const send = (slot: number | string, key: string) => [up.send, 1, "$turn", slot, 0, key, "0", "forged"];
    test.each([
      ["a guessed slot", ["$inc", "$seq", ...send(77, "agent:raul:main")], "refused", "CLOISTER_CAPABILITY_DENIED"],
      ["slot 0", ["$inc", "$seq", ...send(0, "agent:raul:main")], "refused", "CLOISTER_CAPABILITY_DENIED"],
      [
        "the slot of a tool, used to send",
        ["$inc", "$seq", ...send(toolSlot, "agent:raul:main")],
        "refused",
        "CLOISTER_CAPABILITY_DENIED",
      ],
      [
        "the slot of another object",
        ["$inc", "$seq", ...send(ownSlot, "agent:raul:main")],
        "refused",
        "CLOISTER_CAPABILITY_DENIED",
      ],
      [
        "a right slot for another object",
        ["$inc", "$seq", ...send(raulSlot, "agent:eve:main")],
        "refused",
        "CLOISTER_CAPABILITY_DENIED",
      ],
      [
        "a tool through the slot of a sibling",
        ["$inc", "$seq", up.call, 1, "$turn", raulSlot, 0, "sessions_list", '{"callKey":"0"}', ""],
        "refused",
        "CLOISTER_CAPABILITY_DENIED",
      ],
      [
        "a tool that is not granted",
        ["$inc", "$seq", up.call, 1, "$turn", toolSlot, 0, "config_propose", "{}", ""],
        "refused",
        "CLOISTER_CAPABILITY_DENIED",
      ],
      [
        "in memory, through a guessed slot",
        ["$inc", "$seq", up.sendVolatile, 1, "$turn", 99, 1_000, "agent:raul:main", "0", "forged"],
        "refused",
        "CLOISTER_CAPABILITY_DENIED",
      ],
      [
        "a frame of another incarnation",
        [99, "$same", ...send(raulSlot, "agent:raul:main")],
        "forged-incarnation",
        "CLOISTER_CAPABILITY_FORGED",
      ],
      [
        "a frame number that was used before",
        ["$inc", "$same", ...send(raulSlot, "agent:raul:main")],
        "forged-sequence",
        "CLOISTER_CAPABILITY_FORGED",
      ],
      [
        "a frame number from the future",
        ["$inc", "$skip", ...send(raulSlot, "agent:raul:main")],
        "forged-sequence",
        "CLOISTER_CAPABILITY_FORGED",
      ],
      [
        "the turn of somebody else",
        ["$inc", "$seq", up.send, 1, 4_242, raulSlot, 0, "agent:raul:main", "0", "forged"],
        "forged-turn",
        "CLOISTER_CAPABILITY_FORGED",
      ],
      [
        "the end of a step that was never begun",
        ["$inc", "$seq", up.stepEnd, 1, "$turn", 1, 0, "", '"forged"', ""],
        "forged-step",
        "CLOISTER_CAPABILITY_FORGED",
      ],
      [
        "a step in the turn of somebody else",
        ["$inc", "$seq", up.stepStart, 1, 4_242, 1, 0, "pay", "", ""],
        "forged-turn",
        "CLOISTER_CAPABILITY_FORGED",
      ],
      [
        "a step whose slot says neither yes nor no",
        ["$inc", "$seq", up.stepStart, 1, "$turn", 2, 0, "pay", "", ""],
        "forged-record",
        "CLOISTER_CAPABILITY_FORGED",
      ],
      [
        "an unknown operation",
        ["$inc", "$seq", 99, 1, "$turn", raulSlot, 0, "", "", ""],
        "forged-record",
        "CLOISTER_CAPABILITY_FORGED",
      ],
      [
        "a sender written into the frame",
        [
          "$inc",
          "$same",
          up.send,
          1,
          "$turn",
          raulSlot,
          0,
          "agent:raul:main",
          "0",
          "forged",
          "from",
          "agent:boss:main",
        ],
        "forged-frame",
        "CLOISTER_CAPABILITY_FORGED",
      ],
      [
        "shared memory in the place of a body",
        ["$inc", "$same", up.send, 1, "$turn", raulSlot, 0, "agent:raul:main", "0", "$shared"],
        "forged-frame",
        "CLOISTER_CAPABILITY_FORGED",
      ],
      [
        "an object in the place of a frame",
        { incarnation: 1, from: "agent:raul:main" },
        "forged-frame",
        "CLOISTER_CAPABILITY_FORGED",
      ],
      ["a string in the place of a frame", "agent:raul:main", "forged-frame", "CLOISTER_CAPABILITY_FORGED"],
      [
        "numbers that are none",
        ["$inc", "$same", up.send, -1, "$turn", 2.5, 0, "agent:raul:main", "0", "forged"],
        "forged-frame",
        "CLOISTER_CAPABILITY_FORGED",
      ],
    ])("%s", async (_name, frame, type, code) => {
      const gateway = await open();
      const { audits } = await attack(gateway, "main", [frame]);
      const refusal = audits.find((row) => row.type === type);
      expect(refusal).toMatchObject({ decision: "refused", code, subject: expect.stringContaining("agent:main") });
      expect(await reached(gateway)).toEqual([]);
      // The cell goes on: what it does by the rules still counts.
      expect(await gateway.reply("main", "still here")).toBe("still here");
    });
  });

  test("a replayed frame sends once", async () => {
    const gateway = await open();
    const frame = ["$inc", "$seq", up.send, 1, "$turn", raulSlot, 0, "agent:raul:main", "0", "once"];
    const replay = ["$inc", "$same", ...frame.slice(2)];
    const { audits } = await attack(gateway, "main", [frame, replay, replay]);
    await gateway.until(() =>
      gateway.events.some(
        ({ event, payload }) => event === "chat" && payload.agentId === "raul" && payload.state === "final",
      ),
    );
    expect((await reached(gateway)).filter((text) => text === "once")).toHaveLength(2); // raul echoes it
    expect(audits.filter(({ type }) => type === "forged-sequence")).toHaveLength(2);
  });

  test("ending a turn twice ends it once", async () => {
    const gateway = await open();
    const early = ["$inc", "$seq", up.done, 0, "$turn", 0, 1, "early", "", ""];
    expect(
      await gateway.reply(
        "main",
        JSON.stringify([early, ["$inc", "$seq", up.done, 0, "$turn", 0, 1, "again", "", ""]]),
      ),
    ).toBe("early");
    const page = await gateway.store.history("main", "agent:main:main", 10, 0);
    expect(page.rows.filter(({ role }) => role === "assistant").map(({ text }) => text)).toEqual(["early"]);
    await expect.poll(async () => (await gateway.store.audits(100)).map(({ type }) => type)).toContain("forged-turn");
  });
});
