/** Skills that agents share: where they are found, what they need, and what is read again. */
import { execFileSync } from "node:child_process";
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import os from "node:os";
import path from "node:path";
import { afterAll, beforeEach, describe, expect, it } from "vitest";
import type { ResolvedConfig } from "../../../runtime/config/resolved.ts";
import { limits } from "../../../runtime/kernel/limits.ts";
import { makeSkillFinder, type SkillFolder } from "../../../runtime/kernel/skills.ts";
import { makeSkillShelf } from "../../../runtime/supervisor/skills.ts";
import { toolTexts } from "../../../runtime/supervisor/tools/specs.ts";
import { bundledSkillsFolder } from "../../../runtime/thread/entries.ts";

const base = mkdtempSync(path.join(os.tmpdir(), "cloister-skills-"));
afterAll(() => rmSync(base, { recursive: true }));

let home = "";
let made = 0;
let settings: ResolvedConfig["skills"];
beforeEach(() => {
  home = path.join(base, String(made++));
  for (const name of ["one", "two", "bin"]) mkdirSync(path.join(home, name), { recursive: true });
  settings = {
    roots: [path.join(home, "one"), path.join(home, "two"), path.join(home, "gone")],
    extraRoots: [],
    off: [],
    env: ["TOKEN"],
    config: ["hooks.enabled"],
    path: [path.join(home, "bin")],
    platform: "linux",
  };
});

const put = (name: string, text: string): void => {
  mkdirSync(path.dirname(path.join(home, name)), { recursive: true });
  writeFileSync(path.join(home, name), text);
};
const skill = (name: string, gates?: object): string =>
  [
    "---",
    `name: ${name}`,
    `description: Does ${name}.`,
    ...(gates === undefined ? [] : [`metadata: ${JSON.stringify({ openclaw: gates })}`]),
    "---",
    "How.",
  ].join("\n");
const shelf = () => makeSkillShelf({ settings: () => settings, nowMs: Date.now });
const namesOf = async (allowed?: readonly string[]) => (await shelf().of(allowed)).found.map(({ name }) => name);

describe("skills beside the workspaces", () => {
  it("are those of all roots, the first of a name, for the agents whose list has them", async () => {
    put("one/a/SKILL.md", skill("alpha"));
    put("two/x/SKILL.md", skill("alpha"));
    put("two/group/b/SKILL.md", skill("beta"));
    const { found, platform } = await shelf().of(undefined);
    expect(platform).toBe("linux");
    expect(found).toEqual([
      { name: "alpha", description: "Does alpha.", location: path.join(home, "one/a/SKILL.md") },
      { name: "beta", description: "Does beta.", location: path.join(home, "two/group/b/SKILL.md") },
    ]);
    expect(await namesOf(["beta", "other"])).toEqual(["beta"]);
    expect(await namesOf([])).toEqual([]);
  });

  it("that come with the program go before further folders and behind the operator's own, and may be chosen by name", async () => {
    put("one/a/SKILL.md", skill("alpha"));
    put("bundled/a/SKILL.md", skill("alpha"));
    put("bundled/b/SKILL.md", skill("beta"));
    put("bundled/c/SKILL.md", skill("gamma"));
    put("extra/b/SKILL.md", skill("beta"));
    put("extra/d/SKILL.md", skill("delta"));
    settings = { ...settings, extraRoots: [path.join(home, "extra")], allowBundled: ["beta"] };
    const own = makeSkillShelf({ settings: () => settings, bundled: path.join(home, "bundled"), nowMs: Date.now });
    expect(
      (await own.all()).map(({ name, folder, isBundled, missing }) => [
        name,
        path.relative(home, folder),
        isBundled,
        missing,
      ]),
    ).toEqual([
      ["alpha", "one/a", false, []],
      ["beta", "bundled/b", true, []],
      ["delta", "extra/d", false, []],
      ["gamma", "bundled/c", true, ["skills.allowBundled does not name it"]],
    ]);
    expect((await own.of(undefined)).found.map(({ name }) => name)).toEqual(["alpha", "beta", "delta"]);
    settings = { ...settings, allowBundled: [] };
    expect((await own.of(undefined)).found.map(({ name }) => name)).toEqual(["alpha", "delta"]);
  });

  it("that this program ships say what they are for, and name no tool that there is not", async () => {
    settings = { ...settings, path: [] };
    const shipped = await makeSkillShelf({
      settings: () => settings,
      bundled: bundledSkillsFolder(),
      nowMs: Date.now,
    }).all();
    expect(shipped.map(({ name, missing }) => [name, missing])).toEqual([
      ["git-changes", ["the program git"]],
      ["notes", []],
      ["reminders", []],
      ["sub-agents", []],
      ["web-research", []],
      ["write-a-skill", []],
    ]);
    for (const { name, description, folder } of shipped) {
      expect(path.basename(folder)).toBe(name);
      expect(description).toMatch(/^[A-Z].*\. Use it /);
      expect(description.length).toBeLessThanOrEqual(limits.skillDescriptionCharsMax);
      const text = readFileSync(path.join(folder, "SKILL.md"), "utf8");
      for (const [, tool = ""] of text.matchAll(/the tool `([a-z_]+)`/g))
        expect(Object.keys(toolTexts)).toContain(tool);
    }
  });

  it("may be links of the operator's; their real folder is what is read", async () => {
    put("elsewhere/SKILL.md", skill("linked"));
    symlinkSync(path.join(home, "elsewhere"), path.join(home, "one/link"));
    const own = shelf();
    expect((await own.of(undefined)).found[0]?.location).toBe(path.join(home, "elsewhere/SKILL.md"));
    expect(own.foldersOf(undefined)).toEqual([path.join(home, "elsewhere")]);
    expect(own.foldersOf(["other"])).toEqual([]);
  });

  it("are left out where something that they need is missing, which is named", async () => {
    put("bin/there", "#!/bin/sh\n");
    chmodSync(path.join(home, "bin/there"), 0o755);
    put("bin/plain", "no program");
    chmodSync(path.join(home, "bin/plain"), 0o644);
    put(
      "one/ok/SKILL.md",
      skill("ok", {
        os: ["linux"],
        requires: { bins: ["there"], anyBins: ["x", "there"], env: ["TOKEN"], config: ["hooks.enabled"] },
      }),
    );
    put("one/always/SKILL.md", skill("always", { always: true, requires: { bins: ["x"] } }));
    put("one/os/SKILL.md", skill("os", { os: ["darwin", "win32"] }));
    put("one/bins/SKILL.md", skill("bins", { requires: { bins: ["there", "plain", "x"] } }));
    put("one/any/SKILL.md", skill("any", { requires: { anyBins: ["x", "y"] } }));
    put("one/env/SKILL.md", skill("env", { requires: { env: ["OTHER"], config: ["browser.enabled"] } }));
    put("one/off/SKILL.md", skill("off"));
    settings = { ...settings, off: ["off"] };
    expect(await namesOf()).toEqual(["always", "ok"]);
    const missing = (await shelf().all()).map((one) => [one.name, one.missing.join("; ")]);
    expect(Object.fromEntries(missing)).toEqual({
      always: "",
      any: "one of the programs x, y",
      bins: "the program plain; the program x",
      env: "the variable OTHER; the config key browser.enabled",
      off: "skills.entries.off.enabled is false",
      ok: "",
      os: "a system of darwin, win32",
    });
  });

  it("that are larger than their bound, or no skills, are left out", async () => {
    put("one/large/SKILL.md", skill("large") + " ".repeat(limits.skillFileBytesMax));
    put("one/none/SKILL.md", "# no head");
    put("one/good/SKILL.md", skill("good"));
    expect(await namesOf()).toEqual(["good"]);
  });

  it("whose file is no plain file, or has a head without an end in sight, are left out and hold up nobody", async () => {
    put("one/long/SKILL.md", skill("long").replace("---\n", `---\n${"# \n".repeat(limits.skillHeadCharsMax / 3)}`));
    // Nobody writes to it: a read would have no end.
    mkdirSync(path.join(home, "one/pipe"));
    execFileSync("mkfifo", [path.join(home, "one/pipe/SKILL.md")]);
    put("one/good/SKILL.md", skill("good"));
    expect(await namesOf()).toEqual(["good"]);
  });

  it("count as they are when they are looked at, also right after a change", async () => {
    const own = shelf();
    put("one/a/SKILL.md", skill("first"));
    expect((await own.all()).map(({ name }) => name)).toEqual(["first"]);
    put("one/a/SKILL.md", skill("later"));
    put("one/b/SKILL.md", skill("new"));
    expect((await own.all()).map(({ name }) => name)).toEqual(["later", "new"]);
    rmSync(path.join(home, "one/a"), { recursive: true });
    expect((await own.all()).map(({ name }) => name)).toEqual(["new"]);
  });
});

describe("a look for skills", () => {
  it("reads nothing again that has not changed, and what changed a moment ago once more", async () => {
    const files = new Map([
      ["skills/a/SKILL.md", { text: skill("a"), changedMs: 0 }],
      ["skills/b/SKILL.md", { text: skill("b"), changedMs: 9_000 }],
    ]);
    const asked: string[] = [];
    const folder: SkillFolder = {
      list: async (place) => {
        asked.push(`list ${place}`);
        if (place === "skills") return [...files.keys()].map((file) => ({ name: file[7] ?? "", type: "directory" }));
        return [{ name: "SKILL.md", type: "file" }];
      },
      read: async (file) => {
        asked.push(`read ${file}`);
        return files.get(file)?.text ?? "";
      },
      stamp: async (place) => ({
        value: files.get(place)?.text ?? "-",
        changedMs: files.get(place)?.changedMs ?? 0,
        bytes: 1,
      }),
    };
    const find = makeSkillFinder();
    const look = async (nowMs: number) => {
      asked.length = 0;
      const found = await find(folder, ["skills"], nowMs);
      return [found.map(({ name }) => name), asked.toSorted()];
    };
    const all = ["list skills", "list skills/a", "list skills/b", "read skills/a/SKILL.md", "read skills/b/SKILL.md"];
    expect(await look(10_000)).toEqual([["a", "b"], all]);
    expect(await look(20_000)).toEqual([["a", "b"], ["read skills/b/SKILL.md"]]);
    expect(await look(30_000)).toEqual([["a", "b"], []]);
    files.set("skills/a/SKILL.md", { text: skill("c"), changedMs: 25_000 });
    expect(await look(40_000)).toEqual([["c", "b"], ["read skills/a/SKILL.md"]]);
  });
});

it("a file whose times were set back is read again all the same", async () => {
  const own = shelf();
  put("one/a/SKILL.md", skill("aaa"));
  const file = path.join(home, "one/a/SKILL.md");
  utimesSync(file, 1, 1);
  await own.all();
  put("one/a/SKILL.md", skill("bbb"));
  utimesSync(file, 1, 1);
  expect((await own.all()).map(({ name }) => name)).toEqual(["bbb"]);
});
