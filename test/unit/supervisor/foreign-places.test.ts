import { mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync } from "node:fs";
import * as files from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import type { ResolvedConfig } from "../../../runtime/config/resolved.ts";
import { limits } from "../../../runtime/kernel/limits.ts";
import { makeForeignPlaces } from "../../../runtime/supervisor/foreign-places.ts";
import { eventually } from "../../support/eventually.ts";

vi.mock("node:fs/promises", async (original) => {
  const real = await original<typeof files>();
  return { ...real, realpath: vi.fn<typeof files.realpath>(real.realpath) };
});

let root: string;
beforeEach(() => {
  root = realpathSync(mkdtempSync(path.join(tmpdir(), "cloister-places-")));
});
afterEach(() => rmSync(root, { recursive: true }));

function makeConfig(ids: readonly string[], workspaces: Readonly<Record<string, string>> = {}): ResolvedConfig {
  const stateDir = path.join(root, "state");
  return {
    configPath: path.join(root, "etc", "cloister.json"),
    stateDir,
    agents: ids.map((id) => ({
      id,
      workspace: workspaces[id] ?? path.join(stateDir, `workspace-${id}`),
      agentDir: path.join(stateDir, "agents", id, "agent"),
      sessionsDir: path.join(stateDir, "agents", id, "sessions"),
    })),
  } as unknown as ResolvedConfig;
}

test("a folder is near the state directory, the configuration and others' workspaces, wherever links lead", async () => {
  mkdirSync(path.join(root, "modules"));
  mkdirSync(path.join(root, "state"));
  symlinkSync(path.join(root, "modules"), path.join(root, "state", "workspace-raul"));
  const places = makeForeignPlaces(makeConfig(["ana", "raul"], { ana: path.join(root, "ana") }), () => 0);
  const near = (...at: readonly string[]) => places.isNear(path.join(root, ...at), "ana");
  expect(await near("modules")).toBe(true);
  expect(await near("modules", "deeper")).toBe(true);
  expect(await near("state", "agents", "ana")).toBe(true);
  expect(await near("etc")).toBe(true);
  expect(await near()).toBe(true);
  expect(await near("ana")).toBe(false);
  expect(await near("other")).toBe(false);
  expect(await places.isNear(path.join(root, "ana"), "raul")).toBe(true);
});

test("the places of thousands are looked up once for all starts, again after a while without holding one up, and at once for other agents", async () => {
  let nowMs = 0;
  const ids = Array.from({ length: 500 }, (_, n) => `a${n}`);
  const config = { ...makeConfig(ids) };
  const places = makeForeignPlaces(config, () => nowMs);
  const looks = vi.mocked(files.realpath);
  looks.mockClear();
  const module = path.join(root, "modules");
  mkdirSync(module);
  mkdirSync(path.join(root, "state"));
  const starts = await Promise.all(ids.map((id) => places.isNear(module, id)));
  expect(starts.some(Boolean)).toBe(false);
  const once = looks.mock.calls.length;
  expect(once).toBe(2 + 3 * ids.length);

  symlinkSync(module, path.join(root, "state", "workspace-a7"));
  nowMs = limits.realPlacesKeptMs;
  expect(await places.isNear(module, "a0")).toBe(false);
  expect(looks.mock.calls.length).toBe(once);
  nowMs += 1;
  expect(await places.isNear(module, "a0")).toBe(false);
  await eventually(async () => expect(await places.isNear(module, "a0")).toBe(true));
  expect(looks.mock.calls.length).toBe(2 * once);

  const next = makeConfig(["a0"]);
  Object.assign(config, { agents: next.agents });
  expect(await places.isNear(module, "a0")).toBe(false);
  expect(looks.mock.calls.length).toBe(2 * once + 5);
});
