/** What a model is told of the sandbox of its session. Source: behaviour §6.2, §7.1. */
import { describe, expect, it } from "vitest";
import type { SandboxSettings } from "../../../runtime/thread/agent-settings.ts";
import { openAssistant } from "../../support/assistant.ts";

const files = {
  "AGENTS.md": "A rule.",
  "skills/invoices/SKILL.md": "---\nname: invoices\ndescription: Writes invoices.\n---\nHow.\n",
};
const promptOf = async (sandbox: Partial<SandboxSettings> | undefined, sessionKey: string): Promise<string> => {
  const told = { covers: "non-main", access: "none", backend: "bubblewrap", hasNetwork: false, ...sandbox } as const;
  const session = openAssistant({
    files,
    sessionKey,
    tools: ["read", "write"],
    settings: sandbox === undefined ? {} : { sandbox: told },
    model: () => ({ text: "Done." }),
  });
  await session.say("hello");
  return session.requests[0]?.system ?? "";
};
const main = "agent:main:main";
const other = "agent:main:irc:direct:ana";

describe("a sandboxed session", () => {
  it("is told the folder that its tools have, and that its workspace is another one", async () => {
    const text = await promptOf({}, other);
    expect(text).toContain("Your tools have the folder /workspace of a sandbox");
    expect(text).toContain("They have no network.");
    expect(text).toContain("A rule.");
    // Notes that it would keep there are nobody's memory.
    expect(text).not.toContain("## Memory");
    expect(text).toMatch(/- invoices: Writes invoices\. \(\/.+\/skills\/invoices\/SKILL\.md\)/);
  });

  it.each([
    ["ro", "Your files are in /agent"],
    ["rw", "Your files are in /workspace"],
  ] as const)("that sees its workspace (%s) is told what that is called there", async (access, words) => {
    const text = await promptOf({ access, hasNetwork: true }, other);
    expect(text).toContain(words);
    expect(text).not.toContain("They have no network.");
    expect(text).toContain("(skills/invoices/SKILL.md)");
  });

  it("is every one, or every one but the main session", async () => {
    expect(await promptOf({}, main)).not.toContain("sandbox");
    expect(await promptOf({ covers: "all" }, main)).toContain("run in a sandbox (bubblewrap)");
    expect(await promptOf(undefined, other)).not.toContain("sandbox");
  });
});
