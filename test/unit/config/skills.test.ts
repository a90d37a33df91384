/** What is known of the skills that agents share: folders, names that are off, and what needs are held against. */
import path from "node:path";
import { expect, it } from "vitest";
import { loadText } from "./load-text.ts";

it("folders stand in their order, and switched off are those that say so", async () => {
  const written = {
    skills: {
      load: { extraDirs: ["more", "~/mine"] },
      allowBundled: ["reminders"],
      entries: { a: { enabled: false }, b: { enabled: true }, c: {} },
    },
    hooks: { enabled: true, token: "a-long-enough-token", path: "/in" },
    logging: { redactSensitive: false },
  };
  const { resolved, stateDir } = await loadText(written);
  const { roots, extraRoots, allowBundled, off, config } = resolved.skills;
  const home = path.dirname(stateDir);
  expect(roots).toEqual([path.join(home, ".agents/skills"), path.join(stateDir, "skills")]);
  expect(extraRoots).toEqual([path.join(path.dirname(resolved.configPath), "more"), path.join(home, "mine")]);
  expect(allowBundled).toEqual(["reminders"]);
  expect(off).toEqual(["a"]);
  expect(config).toEqual(expect.arrayContaining(["hooks", "hooks.enabled", "skills.entries.b.enabled"]));
  expect(config).not.toContain("logging.redactSensitive");
  // Keys, and no values.
  expect(JSON.stringify(config)).not.toContain("a-long-enough-token");
});

it("of variables the names count, and of PATH the folders that are absolute", async () => {
  const { resolved } = await loadText(
    {},
    { env: { TAX_ID: "secret-value", EMPTY: "", PATH: "/bin:relative::/usr/bin" } },
  );
  expect(resolved.skills.env).toEqual(["PATH", "TAX_ID"]);
  expect(resolved.skills.path).toEqual(["/bin", "/usr/bin"]);
  expect(JSON.stringify(resolved.skills)).not.toContain("secret-value");
});
