/** Operators' grants between the store and a real kernel. */
import { describe, expect, test } from "vitest";
import type { GrantRow } from "../../../runtime/kernel/envelope.ts";
import { limits } from "../../../runtime/kernel/limits.ts";
import { makeGrants } from "../../../runtime/supervisor/grants.ts";
import { gate, type Script, storedOf } from "../../support/fake-cell.ts";
import { makeDriver } from "../../support/kernel-driver.ts";

/** `send`: a message to main's session now, and one more when the gate opens. */
const sender: Script = function* (turn) {
  if (turn.body !== "send") {
    yield* gate("main goes on");
    return { reply: "done" };
  }
  yield* storedOf(turn.send("agent:main:main", "before"));
  yield* gate("raul goes on");
  yield* storedOf(turn.send("agent:main:main", "after"));
  return {};
};

test("P5: a grant that is taken back while its agent leaves has no effect from the next delivery on", async () => {
  const driver = makeDriver({ agents: ["main", "raul"], script: sender, pairings: [] });
  const agents = new Map([
    ["main", {}],
    ["raul", {}],
  ]);
  const grants = makeGrants({
    kept: [],
    agents,
    store: {
      keepGrant: () => Promise.resolve(),
      dropGrant: () => Promise.resolve(),
      audit: () => Promise.resolve(),
    },
    kernel: () => driver.kernel,
    newId: () => "g1",
    nowMs: () => driver.nowMs,
    log: { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined },
  });
  await grants.add({ from: "raul", to: "main", verbs: ["send"] }, "operator");
  driver.tell("agent:main:main", "busy");
  driver.tell("agent:raul:main", "send");
  driver.settle();
  // As the configuration removes it: it is no agent of the map, and its turn may still end.
  agents.delete("raul");
  driver.kernel.removeAgent("raul", driver.nowMs);
  driver.settle();
  await grants.revoke("g1", "operator");
  // It has not gone yet when what it sent would be delivered, nor when it sends again.
  driver.open("main goes on");
  expect(driver.outcomes("before")).toMatchObject([{ status: "error", code: "CLOISTER_CAPABILITY_REVOKED" }]);
  driver.open("raul goes on");
  driver.finish();
  expect(driver.handled.filter(({ agentId }) => agentId === "main").map(({ body }) => body)).toEqual(["busy"]);
});

const rowOf = (id: string, changes: Partial<GrantRow> = {}): GrantRow => ({
  id,
  from: "raul",
  to: "main",
  verbs: ["send"],
  createdAtMs: 0,
  by: "operator",
  ...changes,
});

/** At time 1,000; what it did, in order. */
function openDesk(kept: readonly GrantRow[] = []) {
  const did: string[] = [];
  let ids = 0;
  const note = (what: string) => Promise.resolve().then(() => void did.push(what));
  const grants = makeGrants({
    kept,
    agents: new Map(["main", "raul"].map((id) => [id, {}])),
    store: {
      keepGrant: ({ id }) => note(`keep ${id}`),
      dropGrant: (id) => note(`drop ${id}`),
      audit: () => Promise.resolve(),
    },
    kernel: () => ({
      grant: ({ id }) => void did.push(`grant ${id}`),
      revoke: (id) => [id],
      views: () => [],
    }),
    newId: () => `g${++ids}`,
    nowMs: () => 1_000,
    log: { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined },
  });
  return { did, grants };
}

const codeOf = async (work: Promise<unknown>): Promise<unknown> => {
  const error: unknown = await work.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  return (error as { readonly code?: unknown } | undefined)?.code;
};

describe("an operator's grant", () => {
  test("is kept before it is obeyed, with its verbs in their order, and once however often it is put", async () => {
    const { did, grants } = openDesk();
    const row = await grants.add({ from: "raul", to: "main", verbs: ["list", "send"] }, "cli");
    expect(row.verbs).toEqual(["send", "list"]);
    await grants.put(row);
    expect(did).toEqual(["keep g1", "grant operator:g1:raul"]);
    expect(grants.live()).toEqual([row]);
  });

  test("is between two agents, and has a time that is still to come", async () => {
    const { did, grants } = openDesk();
    const asked = { from: "raul", to: "main", verbs: ["send"] } as const;
    expect(await codeOf(grants.add({ ...asked, to: "raul" }, "cli"))).toBe("CLOISTER_REQUEST_INVALID");
    expect(await codeOf(grants.add({ ...asked, untilMs: 1_000 }, "cli"))).toBe("CLOISTER_REQUEST_INVALID");
    expect(did).toEqual([]);
    await grants.add({ ...asked, untilMs: 1_001 }, "cli");
    // A pattern may mean several agents, also as both ends.
    await grants.add({ ...asked, from: "*", to: "*" }, "cli");
    expect(grants.live()).toHaveLength(2);
  });

  test("that is over is in force no more: it is in no list, takes no place and leaves the disk with the next one", async () => {
    const { did, grants } = openDesk([rowOf("over", { untilMs: 1_000 }), rowOf("now", { untilMs: 1_001 })]);
    expect(grants.live().map(({ id }) => id)).toEqual(["now"]);
    expect(await codeOf(grants.revoke("over", "cli"))).toBe("CLOISTER_GRANT_UNKNOWN");
    expect(did).toEqual([]);
    await grants.make({ from: "raul", to: "main", verbs: ["send"] }, "cli");
    expect(did).toEqual(["drop over"]);
  });

  test("that was taken back is gone, and cannot be taken back again", async () => {
    const { grants } = openDesk([rowOf("g")]);
    await grants.revoke("g", "cli");
    expect(grants.live()).toEqual([]);
    expect(await codeOf(grants.revoke("g", "cli"))).toBe("CLOISTER_GRANT_UNKNOWN");
  });

  test("is one of so many at the most; those that are over are not counted", async () => {
    const asked = { from: "raul", to: "main", verbs: ["send"] } as const;
    const kept = Array.from({ length: limits.operatorGrantsMax - 1 }, (_, index) => rowOf(`k${index}`));
    const { grants } = openDesk([...kept, rowOf("over", { untilMs: 1 })]);
    await grants.add(asked, "cli");
    expect(await codeOf(grants.add(asked, "cli"))).toBe("CLOISTER_BUSY");
    expect(grants.live()).toHaveLength(limits.operatorGrantsMax);
  });
});
