/** Turns that nobody asked for: when a model is asked, what it is shown, and which answers are none. Source: behaviour §5.8, §6.1. */
import { describe, expect, it } from "vitest";
import { openAssistant } from "../../support/assistant.ts";

const files = {
  "AGENTS.md": "A rule.",
  "MEMORY.md": "A memory.",
  "HEARTBEAT.md": "Water the plants.",
  "BOOT.md": "Wave.",
};
const wake = (reason: "heartbeat" | "start", isLight = false) =>
  ({ type: "wake", reason, ackCharsMax: 30, isLight }) as const;
const turn = (signal: ReturnType<typeof wake> & { readonly model?: string }) => ({
  text: "Your regular check.",
  framed: "Your regular check.",
  signal,
});

describe("a heartbeat", () => {
  it("shows the model its file beside the others, in a frame that is no user's", async () => {
    const session = openAssistant({ files, model: () => ({ text: "Done." }) });
    expect(await session.say(turn(wake("heartbeat")))).toBe("Done.");
    const [request] = session.requests;
    for (const text of ["A rule.", "A memory.", "Water the plants."]) expect(request?.system).toContain(text);
    expect(request?.system).not.toContain("Wave.");
    expect(request?.messages[0]?.text).toMatch(/^\[Internal context: your regular check; nobody has written\]\n/);
    await session.say("hello");
    expect(session.requests.at(-1)?.system).not.toContain("Water the plants.");
  });

  it("that is light shows its file alone", async () => {
    const settings = { bootstrap: { fileCharsMax: 100, totalCharsMax: 1_000, injection: "never" as const } };
    const session = openAssistant({ files, settings, model: () => ({ text: "Done." }) });
    await session.say(turn(wake("heartbeat", true)));
    expect(session.requests[0]?.system).toContain("Water the plants.");
    for (const text of ["A rule.", "A memory."]) expect(session.requests[0]?.system).not.toContain(text);
  });

  it("asks the model that is named for it, in its turns alone", async () => {
    const session = openAssistant({ files, model: () => ({ text: "Done." }) });
    await session.say(turn({ ...wake("heartbeat"), model: "p/small" }));
    expect(session.requests[0]).toMatchObject({ model: "p/small", system: expect.stringContaining("p/small") });
    await session.say("hello");
    expect(session.requests[1]).not.toHaveProperty("model");
  });

  it.each([
    ["no file", undefined, 1],
    ["a list", "# Checks\n- [ ] the plants", 1],
    ["a blank file", " \n", 0],
    ["headings, empty items and remarks", "# Checks\n\n- [ ]\n* \n<!-- one item\na line -->\n## More", 0],
  ])("asks the model when there is something to do: %s", async (_what, text, asked) => {
    const world = { files: text === undefined ? {} : { "HEARTBEAT.md": text } };
    const session = openAssistant({ ...world, model: () => ({ text: "Done." }) });
    expect(await session.say(turn(wake("heartbeat")))).toBe(asked === 0 ? undefined : "Done.");
    expect(session.requests).toHaveLength(asked);
    expect(session.state.messages).toHaveLength(2 * asked);
  });

  it.each([
    ["HEARTBEAT_OK", undefined],
    ["HEARTBEAT_OK all is well", undefined],
    ["All is well. heartbeat_ok", undefined],
    ["NO_REPLY", undefined],
    [`HEARTBEAT_OK ${"x".repeat(30)}`, undefined],
    [`HEARTBEAT_OK ${"x".repeat(31)}`, "x".repeat(31)],
    ["All is well.", "All is well."],
  ])("says with %j %j", async (text, said) => {
    const session = openAssistant({ model: () => ({ text }) });
    expect(await session.say(turn(wake("heartbeat")))).toBe(said);
    // To a person it would be an answer.
    if (text.includes("well")) expect(await session.say("how are you?")).toMatch(/all is well/i);
  });
});

describe("a start", () => {
  it("has a turn with its file, and none without", async () => {
    const session = openAssistant({ files, model: () => ({ text: "Waved." }) });
    expect(await session.say(turn(wake("start")))).toBe("Waved.");
    expect(session.requests[0]?.system).toContain("Wave.");
    expect(session.requests[0]?.messages[0]?.text).toContain("the gateway has started");
    const without = openAssistant({ files: { "AGENTS.md": "A rule." }, model: () => ({ text: "Waved." }) });
    expect(await without.say(turn(wake("start")))).toBeUndefined();
    expect(without.requests).toEqual([]);
  });
});
