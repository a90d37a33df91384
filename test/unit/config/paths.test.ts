import path from "node:path";
import { describe, expect, it } from "vitest";
import { findPaths } from "../../../runtime/config/index.ts";
import { isInside, makePaths, resolvePath } from "../../../runtime/config/paths.ts";

const homeDir = path.resolve("/home/juan");
const at = (...parts: string[]) => path.join(homeDir, ...parts);
const place = (env: Record<string, string>, flags = {}) =>
  makePaths({ env, homeDir, flags, cwd: path.resolve("/cwd") });

const findName = (there: readonly string[], flags = {}) =>
  findPaths({ env: {}, homeDir, flags }, (file) => Promise.resolve(there.includes(path.basename(file)))).then(
    ({ configPath }) => path.basename(configPath),
  );

describe("the state directory, the config and the default workspace", () => {
  it.each([
    ["by default", {}, {}, at(".cloister"), at(".cloister", "cloister.json"), at(".cloister", "workspace")],
    ["by environment", { CLOISTER_STATE_DIR: "/s" }, {}, "/s", "/s/cloister.json", "/s/workspace"],
    [
      "by the older environment",
      { OPENCLAW_STATE_DIR: "~/s" },
      {},
      at("s"),
      at("s", "cloister.json"),
      at("s", "workspace"),
    ],
    [
      "by the newer of two names",
      { CLOISTER_STATE_DIR: "/s", OPENCLAW_STATE_DIR: "/o" },
      {},
      "/s",
      "/s/cloister.json",
      "/s/workspace",
    ],
    [
      "by the older where the newer is empty",
      { CLOISTER_STATE_DIR: "", OPENCLAW_STATE_DIR: "/o" },
      {},
      "/o",
      "/o/cloister.json",
      "/o/workspace",
    ],
    [
      "by flag before environment",
      { CLOISTER_STATE_DIR: "/s" },
      { stateDir: "rel" },
      "/cwd/rel",
      "/cwd/rel/cloister.json",
      "/cwd/rel/workspace",
    ],
    [
      "by profile",
      { CLOISTER_PROFILE: "work" },
      {},
      at(".cloister-work"),
      at(".cloister-work", "cloister.json"),
      at(".cloister", "workspace-work"),
    ],
    [
      "by profile and state directory",
      { OPENCLAW_PROFILE: "work", CLOISTER_STATE_DIR: "/s" },
      {},
      "/s",
      "/s/cloister.json",
      "/s/workspace",
    ],
    [
      "by the profile that means none",
      { CLOISTER_PROFILE: "Default" },
      {},
      at(".cloister"),
      at(".cloister", "cloister.json"),
      at(".cloister", "workspace"),
    ],
    [
      "by config path",
      { CLOISTER_CONFIG_PATH: "c.json" },
      {},
      at(".cloister"),
      "/cwd/c.json",
      at(".cloister", "workspace"),
    ],
    ["by workspace", { CLOISTER_WORKSPACE_DIR: "~/w" }, {}, at(".cloister"), at(".cloister", "cloister.json"), at("w")],
  ])("are found %s", (_how, env, flags, stateDir, configPath, defaultWorkspace) => {
    expect(place(env, flags)).toMatchObject({
      stateDir: path.resolve(stateDir),
      configPath: path.resolve(configPath),
      defaultWorkspace: path.resolve(defaultWorkspace),
    });
  });

  it("tell whether somebody named the config", () => {
    expect(place({}).explicit).toBe(false);
    expect(place({ OPENCLAW_CONFIG_PATH: "/c" }).explicit).toBe(true);
    expect(place({}, { configPath: "/c" }).explicit).toBe(true);
  });

  it.each(["../evil", "a/b", ".", "x".repeat(65)])("refuse the profile %j", (profile) => {
    expect(() => place({}, { profile })).toThrow(
      expect.objectContaining({ code: "CLOISTER_CONFIG_INVALID", remedy: expect.stringContaining("--profile") }),
    );
  });
});

describe("a config of an older name", () => {
  it("is used where there is no other and nobody named one", async () => {
    expect(await findName(["openclaw.json"])).toBe("openclaw.json");
    expect(await findName(["openclaw.json", "cloister.json"])).toBe("cloister.json");
    expect(await findName([])).toBe("cloister.json");
    expect(await findName(["openclaw.json"], { configPath: "/x/mine.json" })).toBe("mine.json");
  });
});

describe("paths", () => {
  it.each([
    ["~", homeDir],
    ["~/a", at("a")],
    ["~a", path.resolve("/base/~a")],
    ["a/../b", path.resolve("/base/b")],
    ["/abs", path.resolve("/abs")],
  ])("resolve: %s", (text, expected) => {
    expect(resolvePath(text, { homeDir, baseDir: "/base" })).toBe(expected);
  });

  it.each([
    ["/a", "/a", true],
    ["/a/b", "/a", true],
    ["/ab", "/a", false],
    ["/a/..b", "/a", true],
    ["/", "/a", false],
    ["/b/a", "/a", false],
  ])("%s in %s: %s", (inner, outer, expected) => {
    expect(isInside(inner, outer)).toBe(expected);
  });
});
