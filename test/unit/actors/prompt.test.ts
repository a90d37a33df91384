import path from "node:path";
import { describe, expect, it } from "vitest";
import { makeSystemPrompt, type PromptFacts } from "../../../actors/assistant/prompt.ts";

const systemPrompt = (told: PromptFacts): string => makeSystemPrompt()(told);
const golden = (name: string): string => path.join(import.meta.dirname, "golden", `${name}.txt`);
const tools = ["edit", "exec", "read", "sessions_send", "sessions_spawn", "write"].map((name) => ({ name }));

const facts: PromptFacts = {
  mode: "full",
  agent: { id: "raul", name: "Raúl", emoji: "🦊", theme: "calm and exact" },
  session: { key: "agent:raul:main", kind: "main" },
  tools,
  skills: [{ name: "invoices", description: "Writes invoices.", location: "skills/invoices/SKILL.md" }],
  skillsCharsMax: 18_000,
  workspace: "/workspace",
  files: [
    { name: "AGENTS.md", status: "shown", text: "Be brief." },
    { name: "SOUL.md", status: "missing", text: "" },
    { name: "TOOLS.md", status: "cut", text: "a\n[… 9 characters of TOOLS.md are left out …]\nb" },
    { name: "MEMORY.md", status: "outside", text: "" },
  ],
  timezone: "Europe/Berlin",
  date: "2026-11-21",
  machine: "lab (linux x64)",
  model: "anthropic/claude-sonnet-4-6",
  thinking: "low",
  children: [],
};

describe("the system prompt", () => {
  it.each<[string, Partial<PromptFacts>]>([
    ["full", {}],
    ["group", { session: { key: "agent:raul:irc:group:x", kind: "group" }, files: [] }],
    [
      "minimal",
      {
        mode: "minimal",
        session: { key: "agent:raul:subagent:1", kind: "subagent" },
        files: [{ name: "AGENTS.md", status: "shown", text: "Be brief." }],
      },
    ],
    ["none", { mode: "none" }],
    ["sandboxed", { sandbox: { covers: "all", access: "none", backend: "bubblewrap", hasNetwork: false } }],
    ["bare", { agent: { id: "main", name: "main" }, tools: [], skills: [], files: [], thinking: "off" }],
  ])("%s", async (name, changes) => {
    await expect(`${systemPrompt({ ...facts, ...changes })}\n`).toMatchFileSnapshot(golden(name));
  });

  it.each(["full", "minimal", "none"] as const)("%s: has no character beyond Latin-1 of its own", (mode) => {
    const text = systemPrompt({
      ...facts,
      mode,
      agent: { id: "raul", name: "Raul" },
      files: [{ name: "AGENTS.md", status: "missing", text: "" }],
      sandbox: { covers: "all", access: "none", backend: "bubblewrap", hasNetwork: false },
      handsOn: true,
    });
    expect(text).not.toMatch(/[^\0-\xff]/);
  });

  it("begins the same from turn to turn: what changes by the day stands after everything else", () => {
    const today = systemPrompt(facts);
    const tomorrow = systemPrompt({ ...facts, date: "2026-11-22", model: "other/model" });
    const same = Array.from({ length: today.length }).findIndex((_, index) => today[index] !== tomorrow[index]);
    expect(today.slice(0, same)).toContain("## Files of the workspace");
    expect(today.length - same).toBeLessThan(200);
  });

  it("of a sub-agent says nothing of silence, memory and persona", () => {
    const text = systemPrompt({
      ...facts,
      mode: "minimal",
      session: { key: "agent:raul:subagent:1", kind: "subagent" },
    });
    for (const word of ["NO_REPLY", "HEARTBEAT_OK", "## Memory", "## Skills", "calm and exact"])
      expect(text).not.toContain(word);
    expect(text).toContain("## You are a sub-agent");
  });

  it("wants all but quick answers handed on where that is preferred, unless nobody speaks with it or it cannot", () => {
    const preferred = { ...facts, handsOn: true };
    expect(systemPrompt(preferred)).toContain("Stay free for who speaks with you");
    expect(systemPrompt(preferred)).not.toContain("Work that takes long");
    for (const changes of [{ handsOn: false }, { mode: "minimal" as const }, { tools: [] }])
      expect(systemPrompt({ ...preferred, ...changes })).not.toContain("Stay free");
  });

  it("says of a group what the configuration says of it", () => {
    const session = { key: "agent:raul:irc:group:x", kind: "group" } as const;
    const text = systemPrompt({ ...facts, session, groupPrompt: "Only about tea." });
    expect(text).toContain("## You are in a group");
    expect(text).toContain("## About this group\nWritten by whoever runs you.\n\nOnly about tea.");
    expect(systemPrompt({ ...facts, session })).not.toContain("## About this group");
  });

  it.each<[keyof PromptFacts, Partial<PromptFacts>]>([
    ["mode", { mode: "minimal" }],
    ["agent", { agent: { ...facts.agent, id: "rolf" } }],
    ["agent", { agent: { ...facts.agent, name: "Rolf" } }],
    ["agent", { agent: { ...facts.agent, emoji: "🐢" } }],
    ["agent", { agent: { ...facts.agent, theme: "brisk" } }],
    ["session", { session: { key: "agent:raul:other", kind: "main" } }],
    ["session", { session: { key: "agent:raul:main", kind: "group" } }],
    ["tools", { tools: [{ name: "read" }] }],
    ["skills", { skills: [] }],
    ["skillsCharsMax", { skillsCharsMax: 10 }],
    ["workspace", { workspace: "/elsewhere" }],
    ["sandbox", { sandbox: { covers: "all", access: "none", backend: "bubblewrap", hasNetwork: false } }],
    ["files", { files: [] }],
    ["timezone", { timezone: "Europe/Rome" }],
    ["date", { date: "2026-11-22" }],
    ["machine", { machine: "attic (linux x64)" }],
    ["model", { model: "other/model" }],
    ["thinking", { thinking: "high" }],
    ["handsOn", { handsOn: true }],
    ["groupPrompt", { groupPrompt: "Only about tea." }],
    ["children", { children: [{ taskId: "t1", agentId: "ada", status: "running", about: "looks" }] }],
  ])("of one turn after another says so when %s has changed", (_name, changes) => {
    const next = makeSystemPrompt();
    const before = next(facts);
    expect(next({ ...facts })).toBe(before);
    expect(next({ ...facts, ...changes })).toBe(systemPrompt({ ...facts, ...changes }));
    expect(next({ ...facts, ...changes })).not.toBe(before);
    expect(next(facts)).toBe(before);
  });

  it("names the tools of the turn and no others", () => {
    expect(systemPrompt({ ...facts, tools: [{ name: "read" }] })).toContain("no others: read.");
    expect(systemPrompt({ ...facts, tools: [{ name: "read" }] })).not.toContain("sessions_spawn");
  });
});
