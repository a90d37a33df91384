/** What is chosen for one session, in both kinds of store: kept from turn to turn and over a restart, gone with the transcript. */
import { describe, expect, it } from "vitest";
import { beginOf, commitOf, envelope, runRow } from "./store-envelopes.ts";
import { eachStore, storeKinds } from "./store-kinds.ts";

const key = "agent:ann:main";

describe.each(storeKinds)("choices for a session in the store: %s", (kind) => {
  const kept = eachStore(kind);
  /** What the turn of a message hears of them. */
  const turn = async (id: string, session = "main") => {
    const mail = envelope(id, { session });
    await kept.store.append(mail);
    const begun = await kept.store.begin(beginOf(mail));
    await kept.store.commit(commitOf(mail));
    await kept.store.settle(id);
    return begun.status === "begun" ? begun.choices : begun.status;
  };
  const chosen = async () => (await kept.store.session(key))?.choices;

  it("count from the next turn on, each until it is taken back, and stay over a restart", async () => {
    expect(await turn("e1")).toBeUndefined();
    const row = await kept.store.setChoices(key, "ann", { model: "p/m", thinking: "high" }, 5);
    expect(row).toMatchObject({ key, messages: 2, choices: { model: "p/m", thinking: "high" } });
    expect(await turn("e2")).toEqual({ model: "p/m", thinking: "high" });
    await kept.reopen();
    expect(await turn("e3")).toEqual({ model: "p/m", thinking: "high" });
    await kept.store.setChoices(key, "ann", { model: null }, 6);
    expect(await turn("e4")).toEqual({ thinking: "high" });
    await kept.store.setChoices(key, "ann", { thinking: null }, 7);
    expect(await turn("e5")).toBeUndefined();
    expect(await kept.store.session(key)).not.toHaveProperty("choices");
  });

  it("may be made before the first message, and while the first turn runs", async () => {
    const { sessionId } = await kept.store.setChoices(key, "ann", { model: "p/early" }, 5);
    const mail = envelope("e1");
    await kept.store.append(mail);
    expect(await kept.store.begin(beginOf(mail))).toMatchObject({ sessionId, choices: { model: "p/early" } });
    await kept.store.setChoices(key, "ann", { model: "p/late" }, 6);
    await kept.store.commit(commitOf(mail));
    expect(await chosen()).toEqual({ model: "p/late" });
    expect(await turn("e2")).toEqual({ model: "p/late" });
  });

  it("end when the session begins anew or is deleted; its label stays beside them", async () => {
    await turn("e1");
    await kept.store.labelSession(key, "ann", "desk", 1);
    await kept.store.setChoices(key, "ann", { model: "p/m" }, 5);
    await kept.store.archiveSession(key, true, 6);
    expect(await chosen()).toEqual({ model: "p/m" });
    expect(await kept.store.resetSession(key, "ann", 7)).toMatchObject({ label: "desk" });
    expect([await chosen(), await turn("e2")]).toEqual([undefined, undefined]);
    await kept.store.setChoices(key, "ann", { model: "p/m" }, 8);
    await kept.store.deleteSession(key, "ann", 9);
    expect(await turn("e3")).toBeUndefined();
  });

  it("leave what was silenced silent when the session begins anew, and nothing else", async () => {
    await turn("e1");
    await kept.store.setChoices(key, "ann", { model: "p/m", sendPolicy: "deny" }, 5);
    await kept.store.resetSession(key, "ann", 6);
    expect(await chosen()).toEqual({ sendPolicy: "deny" });
    expect(await kept.store.chosenSending(key)).toBe("deny");
    await kept.reopen();
    expect(await turn("e2")).toEqual({ sendPolicy: "deny" });
    await kept.store.setChoices(key, "ann", { sendPolicy: null }, 7);
    expect(await chosen()).toBeUndefined();
    expect(await kept.store.chosenSending(key)).toBeUndefined();
    expect(await kept.store.chosenSending("agent:ann:nobody")).toBeUndefined();
  });

  it("of a sub-agent's run are those of its session from the start", async () => {
    await kept.store.append(envelope("turn-1"));
    const by = { turn: "turn-1", call: { key: 0, op: "tool", name: "sessions_spawn" } } as const;
    const task = envelope("task-1", { session: "subagent:r1" });
    await kept.store.spawn(runRow("r1", { choices: { model: "p/small" } }), task, by, {});
    await kept.reopen();
    expect(await kept.store.begin(beginOf(task))).toMatchObject({ choices: { model: "p/small" } });
    expect(await kept.store.run("r1")).toMatchObject({ choices: { model: "p/small" } });
  });
});
