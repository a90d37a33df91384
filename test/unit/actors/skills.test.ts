import { describe, expect, it } from "vitest";
import { limits } from "../../../runtime/kernel/limits.ts";
import { makeSkillsOf, skillsBlock, skillsThere } from "../../../actors/assistant/skills.ts";
import { parseSkill } from "../../../runtime/kernel/skills.ts";
import { memoryWorkspace, openAssistant } from "../../support/assistant.ts";

const skill = (name: string, description = `Does ${name}.`): string =>
  `---\nname: ${name}\ndescription: ${description}\n---\nHow.\n`;
const namesOf = async (files: Record<string, string>, allowed?: readonly string[]): Promise<readonly string[]> =>
  (await makeSkillsOf()(memoryWorkspace(files), allowed === undefined ? {} : { skills: allowed }, 0)).map(
    ({ name, location }) => `${name} ${location}`,
  );

describe("skills in a group that names some", () => {
  it.each([
    ["those that it names, of an agent that may use all", undefined, ["a"], ["a"]],
    ["those that both name", ["a", "b"], ["b", "c"], ["b"]],
    ["none of an agent that has none", [], ["a"], []],
    ["none where it names none", ["a"], [], []],
    ["those of the agent where it says nothing", ["a"], undefined, ["a"]],
  ])("are %s", (_what, skills, there, left) => {
    const settings = skills === undefined ? {} : { skills };
    const room = there === undefined ? {} : { skills: there };
    expect({ ...settings, ...skillsThere(settings, room) }).toEqual({ skills: left });
    expect(skillsThere(settings, undefined)).toEqual({});
  });
});

describe("skills of a workspace", () => {
  it("are found in folders, and below a SKILL.md nobody looks", async () => {
    expect(
      await namesOf({
        "skills/b/SKILL.md": skill("beta"),
        "skills/b/inner/SKILL.md": skill("hidden"),
        "skills/group/deep/a/SKILL.md": skill("alpha"),
        "skills/.git/x/SKILL.md": skill("dotted"),
        "other/SKILL.md": skill("elsewhere"),
      }),
    ).toEqual(["alpha skills/group/deep/a/SKILL.md", "beta skills/b/SKILL.md"]);
  });

  it("are found six levels down, and not seven", async () => {
    expect(
      await namesOf({ "skills/1/2/3/4/5/6/SKILL.md": skill("six"), "skills/1/2/3/4/5/x/7/SKILL.md": skill("seven") }),
    ).toEqual(["six skills/1/2/3/4/5/6/SKILL.md"]);
  });

  it("go by the name in the file; the workspace's own folder wins", async () => {
    expect(
      await namesOf({ "skills/x/SKILL.md": skill("invoices"), ".agents/skills/y/SKILL.md": skill("invoices") }),
    ).toEqual(["invoices skills/x/SKILL.md"]);
  });

  it.each([
    ["absent: all", undefined, ["a", "b"]],
    ["empty: none", [], []],
    ["a list: those", ["b", "unknown"], ["b"]],
  ])("an allowlist that is %s", async (_what, allowed, names) => {
    const files = { "skills/a/SKILL.md": skill("a"), "skills/b/SKILL.md": skill("b") };
    expect(
      (await makeSkillsOf()(memoryWorkspace(files), allowed === undefined ? {} : { skills: allowed }, 0)).map(
        ({ name }) => name,
      ),
    ).toEqual(names);
  });

  it("that lead out of the workspace are left out", async () => {
    expect(await namesOf({ "skills/a/SKILL.md": "->/etc/passwd", "skills/b/SKILL.md": skill("b") })).toEqual([
      "b skills/b/SKILL.md",
    ]);
  });
});

it("skills are the same list for as long as nothing has changed", async () => {
  const head = (name: string): string => `---\nname: ${name}\ndescription: d\n---\n`;
  const files: Record<string, string> = { "skills/a/SKILL.md": head("a") };
  const skillsOf = makeSkillsOf();
  const shared = { name: "s", description: "d", location: "/s/SKILL.md" };
  const beside = { found: [shared], off: [], platform: "linux" };
  const nowMs = limits.fileSettledMs + 1;
  const look = (settings: Parameters<typeof skillsOf>[1], root?: string) =>
    skillsOf(memoryWorkspace(files), settings, nowMs, root);
  const [plain, again] = [await look({}), await look({})];
  expect(again).toBe(plain);
  expect((await look({ beside })).map(({ name }) => name)).toEqual(["a", "s"]);
  const allowed = { skills: ["s"] };
  expect((await look({ beside, ...allowed })).map(({ name }) => name)).toEqual(["s"]);
  expect((await look({}, "/w")).map(({ location }) => location)).toEqual(["/w/skills/a/SKILL.md"]);
  files["skills/b/SKILL.md"] = head("b");
  expect((await look({})).map(({ name }) => name)).toEqual(["a", "b"]);
  files["skills/a/SKILL.md"] = head("c");
  expect((await look({})).map(({ name }) => name)).toEqual(["b", "c"]);
  for (const name of Object.keys(files)) delete files[name];
  expect(await look({})).toEqual([]);
});

describe("the head of a SKILL.md", () => {
  it.each([
    ["plain", "---\nname: a\ndescription: Does it.\n---\n", "Does it."],
    ["quoted", "---\nname: \"a\"\ndescription: 'Does: it.'\n---\n", "Does: it."],
    ["folded", "---\nname: a\ndescription: >\n  Does\n  it.\nlicense: MIT\n---\n", "Does it."],
    ["with line ends of Windows", "---\r\nname: a\r\ndescription: Does it.\r\n---\r\nHow", "Does it."],
    ["with a mark of its encoding", "\ufeff---\nname: a\ndescription: Does it. # yes\n---", "Does it."],
  ])("%s", (_what, text, description) => {
    expect(parseSkill(text, "x")).toMatchObject({ name: "a", description, location: "x" });
  });

  it.each([
    ["in one line", '{"openclaw":{"requires":{"bins":["op"]},"os":["linux"]}}'],
    [
      "over several lines, with commas at the ends",
      '\n  {\n    "openclaw":\n      {\n        "emoji": "🔐,}",\n        "requires": { "bins": ["op",], },\n        "os": ["linux"],\n      },\n  }',
    ],
  ])("says what the skill needs, %s", (_what, metadata) => {
    const text = `---\nname: a\ndescription: Does it.\nmetadata: ${metadata}\nlicense: MIT\n---\n`;
    expect(parseSkill(text, "x")).toMatchObject({ name: "a", gates: { bins: ["op"], os: ["linux"], env: [] } });
  });

  it.each([
    ["no head", "# A skill"],
    ["no name", "---\ndescription: x\n---\n"],
    ["no description", "---\nname: a\n---\n"],
    ["a name with a line's end", '---\nname: "a`b\\n"\ndescription: x\n---\n'],
    ["a head that does not end", "---\nname: a\ndescription: x\n"],
  ])("%s: it is none", (_what, text) => {
    expect(parseSkill(text, "x")).toEqual({ location: "x", why: expect.stringMatching(/^it/) });
  });
});

describe("skills of a workspace beside those that agents share", () => {
  const shared = (name: string) => ({ name, description: `Shared ${name}.`, location: `/shared/${name}/SKILL.md` });
  const gated = (name: string, gates: object): string =>
    `---\nname: ${name}\ndescription: Own ${name}.\nmetadata: ${JSON.stringify({ openclaw: gates })}\n---\n`;
  const files = {
    "skills/b/SKILL.md": skill("b", "Own b."),
    "skills/off/SKILL.md": skill("off"),
    "skills/mac/SKILL.md": gated("mac", { os: ["darwin"] }),
    "skills/pdf/SKILL.md": gated("pdf", { os: ["linux"], requires: { bins: ["pdftk"], env: ["TAX_ID"] } }),
  };
  const beside = { platform: "linux", off: ["off"], found: [shared("a"), shared("b")] };

  it("go before them, and are left out when they are off or of another system", async () => {
    const found = await makeSkillsOf()(memoryWorkspace(files), { beside }, 0);
    expect(found.map(({ name, description }) => `${name}: ${description}`)).toEqual([
      "a: Shared a.",
      "b: Own b.",
      "pdf: Own pdf.",
    ]);
    expect(skillsBlock(found, 5_000)).toContain(
      "- pdf: Own pdf. (skills/pdf/SKILL.md; needs programs pdftk; variables TAX_ID)",
    );
    expect(await makeSkillsOf()(memoryWorkspace(files), { beside, skills: ["a"] }, 0)).toEqual([shared("a")]);
  });
});

describe("the list in the prompt", () => {
  const many = Array.from({ length: 500 }, (_, index) => ({
    name: `skill-${String(index).padStart(3, "0")}`,
    description: "d".repeat(100),
    location: `skills/${index}/SKILL.md`,
  }));

  it("stays within its bound, and counts what is not listed", () => {
    const text = skillsBlock(many, limits.skillsPromptCharsMax) ?? "";
    expect(text.length).toBeLessThanOrEqual(limits.skillsPromptCharsMax);
    const listed = text.match(/^- skill-/gm)?.length ?? 0;
    expect(listed).toBeGreaterThan(100);
    expect(text).toContain(`and ${500 - listed} more`);
  });

  it("is not there without skills", () => {
    expect(skillsBlock([], limits.skillsPromptCharsMax)).toBeUndefined();
  });
});

it("the list of the prompt has the length that the configuration says", async () => {
  const names = Array.from({ length: 40 }, (_, at) => `skill-${at}`);
  const files = Object.fromEntries(names.map((name) => [`skills/${name}/SKILL.md`, skill(name, "x".repeat(100))]));
  const listed = async (skillsCharsMax: number): Promise<number> => {
    const session = openAssistant({ files, settings: { skillsCharsMax }, model: () => ({ text: "Done." }) });
    await session.say("hello");
    return names.filter((name) => session.requests[0]?.system?.includes(`- ${name}: `)).length;
  };
  expect(await listed(20_000)).toBe(40);
  expect(await listed(1_000)).toBeLessThan(8);
});
