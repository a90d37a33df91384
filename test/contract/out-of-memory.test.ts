/** What a full heap of one agent's cell costs the others: nothing (W-03). */
import { describe, expect, test } from "vitest";
import { actor } from "../support/actors.ts";
import { openGatewayAt } from "../support/gateway.ts";
import { levels } from "../support/levels.ts";

describe.each(levels)("at level %s", (level) => {
  test("W-03: a heap limit hit in A kills only A: B goes on in the same cell, and A's message is handled by its next one", async () => {
    const gateway = await openGatewayAt(level)([
      { id: "a", ...actor("filler") },
      { id: "b", ...actor("crasher") },
    ]);
    expect(await gateway.reply("b", "one")).toBe("handled 1: one");
    const before = gateway.driver.kernel.view("b");
    const slow = gateway.say("b", "slow");
    expect(await gateway.reply("a", "fill it")).toBe("recovered at attempt 2");
    const ends = gateway.logged.filter(({ message }) => message === "a cell ended").map(({ fields }) => fields);
    expect(ends).toEqual([expect.objectContaining({ agent: "a", reason: "out_of_memory" })]);
    // What B had in hand was not touched, nor what it remembers.
    expect(await slow).toMatchObject({ status: "ok", reply: "handled 2: slow" });
    expect(gateway.driver.kernel.view("b")).toMatchObject({ incarnation: before?.incarnation, restarts: 0 });
  });
});
