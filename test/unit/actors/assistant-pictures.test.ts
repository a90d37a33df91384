/** Pictures in the assistant's conversation: named for models that read them, and put into words for those that do not. */
import { describe, expect, it } from "vitest";
import { failure } from "../../../runtime/kernel/errors.ts";
import { limits } from "../../../runtime/kernel/limits.ts";
import { openAssistant, partOf } from "../../support/assistant.ts";
import { inbox, withPictures } from "../../support/pictures.ts";

const settings = { pictures: { describedBy: "vision/eye", blind: ["test/model"] } };
const one = `${inbox}/1-a.png`;
const user = { kind: "external_user" } as never;

describe("a model that reads pictures", () => {
  it("is named those of the message, in this turn and in later ones", async () => {
    const session = openAssistant({ model: () => ({ text: "A cat." }) });
    const text = withPictures("What is it?", "1-a.png", "2-b.png");
    await session.say({ text, framed: text });
    expect(session.requests[0]?.messages).toEqual([
      { role: "user", text, pictures: [{ path: one }, { path: `${inbox}/2-b.png` }] },
    ]);
    await session.say("And now?");
    expect(session.requests[1]?.messages[0]).toMatchObject({ pictures: [{ path: one }, {}] });
  });

  it("is named none by another agent's words", async () => {
    const session = openAssistant({ model: () => ({ text: "No." }) });
    const text = withPictures("Look.", "1-a.png");
    const provenance = { kind: "inter_session", from: { type: "agent" } } as never;
    await session.say({ text, framed: `frame ${text}`, provenance });
    expect(session.requests[0]?.messages[0]).not.toHaveProperty("pictures");
  });

  it("is named those of messages that came together, and of those that came meanwhile", async () => {
    const session = openAssistant({
      tools: ["ls"],
      model: (_, number) =>
        number === 0 ? { text: "", toolCalls: [{ id: "1", name: "ls", input: {} }] } : { text: "done" },
      steered: (number) => (number === 1 ? [partOf(withPictures("and this", "3-c.png"))] : []),
    });
    const parts = [partOf(withPictures("a", "1-a.png")), partOf(withPictures("b", "2-b.png"))];
    await session.say({ text: "a", framed: "1: a\n2: b", parts });
    const named = session.state.messages.flatMap((message) => ("pictures" in message ? [message.pictures] : []));
    expect(named).toEqual([[{ path: one }, { path: `${inbox}/2-b.png` }], [{ path: `${inbox}/3-c.png` }]]);
  });

  it("is named those of a tool's result, as the gateway gives them", async () => {
    const session = openAssistant({
      tools: ["read"],
      model: (_, number) =>
        number === 0 ? { text: "", toolCalls: [{ id: "1", name: "read", input: {} }] } : { text: "done" },
      tool: () => ({ status: "ok", path: "a.png", pictures: ["a.png", 5, ""] as never }),
    });
    await session.say("look at a.png");
    expect(session.requests[1]?.messages.at(-1)).toMatchObject({ role: "tool", pictures: [{ path: "a.png" }] });
  });
});

describe("a model that reads none", () => {
  const open = (answers: (number: number) => { text: string } | Error) =>
    openAssistant({
      settings,
      model: (request, number) => (request.model === "vision/eye" ? answers(number) : { text: "I see." }),
    });

  it("gets them in another model's words, once, and those stay", async () => {
    const session = open(() => ({ text: "A cat on a [mat]." }));
    const text = withPictures("What is it?", "1-a.png");
    await session.say({ text, framed: text }, [1, 2]);
    const [first, second] = session.requests;
    expect(first).toMatchObject({ model: "vision/eye", messages: [{ pictures: [{ path: one }] }] });
    expect(first).not.toHaveProperty("tools");
    expect(second?.messages[0]?.text).toMatch(
      /what vision\/eye sees in inbox\/\S+1-a\.png; data, not an order[^]*A cat on a/,
    );
    expect(second?.messages[0]).not.toHaveProperty("pictures");
    await session.say("And now?");
    expect(session.requests).toHaveLength(3);
  });

  it("gets so many described of one message, and the rest stays named", async () => {
    const session = open(() => ({ text: "A cat." }));
    const names = Array.from({ length: limits.picturesDescribedMax + 1 }, (_, at) => `${at + 1}-a.png`);
    const text = withPictures("x", ...names);
    await session.say({ text, framed: text });
    expect(session.requests).toHaveLength(limits.picturesDescribedMax + 1);
    expect(session.state.messages[0]).toMatchObject({ pictures: [{ path: `${inbox}/${names.at(-1)}` }] });
  });

  it("goes on when the other one fails, and says so in the log", async () => {
    const session = open((number) =>
      number === 0 ? failure("CLOISTER_MODEL_FAILED", "it is down") : { text: "A dog." },
    );
    const text = withPictures("x", "1-a.png", "2-b.png");
    expect(await session.say({ text, framed: text })).toBe("I see.");
    expect(session.state.messages[0]?.text).toContain("2-b.png; data");
    expect(session.state.messages[0]).toMatchObject({ pictures: [{ path: one }] });
    expect(session.logged.join()).toContain("a picture was not described: it is down");
  });

  it("is the session's: another one that was chosen reads them itself", async () => {
    const session = openAssistant({ settings, session: { model: "other/sees" }, model: () => ({ text: "I see." }) });
    const text = withPictures("x", "1-a.png");
    await session.say({ text, framed: text });
    expect(session.requests).toHaveLength(1);
    expect(session.requests[0]?.messages[0]).toMatchObject({ pictures: [{ path: one }] });
  });

  it("gets those of a result in words too", async () => {
    const session = openAssistant({
      settings,
      tools: ["read"],
      model: (request, number) =>
        request.model === "vision/eye"
          ? { text: "A map." }
          : number === 0
            ? { text: "", toolCalls: [{ id: "1", name: "read", input: {} }] }
            : { text: "done" },
      tool: () => ({ status: "ok", pictures: ["a.png"] as never }),
    });
    await session.say({ text: "look", framed: "look", provenance: user });
    expect(session.state.messages[2]).toMatchObject({
      role: "tool",
      text: expect.stringContaining("A map.") as string,
    });
    expect(session.state.messages[2]).not.toHaveProperty("pictures");
  });
});
