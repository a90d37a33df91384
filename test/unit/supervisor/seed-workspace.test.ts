import { mkdir, mkdtemp, readdir, readFile, rm, stat, symlink, writeFile } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { beforeEach, describe, expect, it } from "vitest";
import { bootstrapRules } from "../../../actors/assistant/bootstrap.ts";
import { seedWorkspace } from "../../../runtime/supervisor/workspace/seed.ts";
import { templates } from "../../../runtime/supervisor/workspace/templates.ts";
import { limits } from "../../../runtime/kernel/limits.ts";

const isolation = { level: "thread", trust: "confined" } as const;
let workspace: string;
let agentDir: string;

const seed = (place = workspace) => seedWorkspace({ workspace: place, agentDir, isolation }, 1_000);
const all = templates.map(({ name }) => name);

beforeEach(async () => {
  const folder = await mkdtemp(path.join(os.tmpdir(), "seed-"));
  workspace = path.join(folder, "workspace");
  agentDir = path.join(folder, "agent");
});

describe("the files of a new workspace", () => {
  it("are written once, for the agent's user alone", async () => {
    expect(await seed()).toEqual({ status: "seeded", files: all });
    expect((await readdir(workspace)).toSorted()).toEqual([...all].toSorted());
    expect((await stat(path.join(workspace, "SOUL.md"))).mode & 0o777).toBe(0o600);
    expect((await stat(workspace)).mode & 0o777).toBe(0o700);
    expect(await seed()).toEqual({ status: "kept", files: [] });
  });

  it("never replace what is there, and a workspace with files has had its first conversation", async () => {
    await mkdir(workspace);
    await writeFile(path.join(workspace, "SOUL.md"), "mine");
    await symlink("/nowhere", path.join(workspace, "USER.md"));
    expect(await seed()).toEqual({
      status: "seeded",
      files: all.filter((name) => !["SOUL.md", "USER.md", "BOOTSTRAP.md"].includes(name)),
    });
    expect(await readFile(path.join(workspace, "SOUL.md"), "utf8")).toBe("mine");
  });

  it("do not come back when somebody has deleted them", async () => {
    await seed();
    await rm(path.join(workspace, "BOOTSTRAP.md"));
    expect(await seed()).toEqual({ status: "kept", files: [] });
    expect(await readdir(workspace)).not.toContain("BOOTSTRAP.md");
  });

  it("do not come back when the whole workspace is gone: that is told", async () => {
    await seed();
    await rm(workspace, { recursive: true });
    expect(await seed()).toEqual({ status: "gone", files: [] });
    await expect(stat(workspace)).rejects.toMatchObject({ code: "ENOENT" });
  });

  it("are written into another workspace that the agent is given", async () => {
    await seed();
    expect(await seed(`${workspace}-2`)).toEqual({ status: "seeded", files: all });
  });

  it("are completed when a crash came before the mark", async () => {
    await mkdir(workspace);
    await writeFile(path.join(workspace, "AGENTS.md"), "from the template");
    await mkdir(agentDir);
    await writeFile(path.join(agentDir, "workspace.json"), "{ half");
    expect(await seed()).toMatchObject({ status: "seeded", files: expect.arrayContaining(["SOUL.md"]) });
  });

  it("are those that a model is shown, and short", () => {
    const shown = bootstrapRules.map(({ name }) => name);
    for (const { name, text } of templates) {
      expect(shown).toContain(name);
      expect(text.length).toBeLessThan(limits.userFileCharsMax / 2);
    }
  });
});
