/** Which commands may run: every security with every question, for commands that a list names and others. */
import { describe, expect, it } from "vitest";
import { type ExecRules, judgeCommand, wantsPlainWords } from "../../../auth/exec-policy.ts";

const allow = [["git", "status"], ["/usr/bin/ls"], ["uptime"]];
const judge = (rules: Partial<ExecRules>, argv: readonly string[], program?: string, env = {}) =>
  judgeCommand({ security: "allowlist", ask: "off", allow, ...rules }, { argv, program, env }).type;

describe("a command", () => {
  it.each([
    ["deny", "off", "refused", "refused"],
    ["deny", "on-miss", "refused", "refused"],
    ["deny", "always", "refused", "refused"],
    ["allowlist", "off", "allowed", "refused"],
    ["allowlist", "on-miss", "allowed", "asks"],
    ["allowlist", "always", "asks", "asks"],
    ["full", "off", "allowed", "allowed"],
    ["full", "on-miss", "allowed", "allowed"],
    ["full", "always", "asks", "asks"],
  ] as const)("with security %s and ask %s is %s when it is named, and else %s", (security, ask, named, other) => {
    expect(judge({ security, ask }, ["uptime"], "/usr/bin/uptime")).toBe(named);
    expect(judge({ security, ask }, ["/bin/sh", "-c", "uptime"], "/bin/sh")).toBe(other);
  });

  it("is named by its first words: a name of the PATH, or the file that it is", () => {
    expect(judge({}, ["git", "status", "--short"], "/usr/bin/git")).toBe("allowed");
    expect(judge({}, ["git", "push"], "/usr/bin/git")).toBe("refused");
    expect(judge({}, ["git"], "/usr/bin/git")).toBe("refused");
    expect(judge({}, ["ls", "-l"], "/usr/bin/ls")).toBe("allowed");
    // A program of the same name somewhere else is another one.
    expect(judge({}, ["./uptime"], "/ws/uptime")).toBe("refused");
    expect(judge({}, ["ls"], "/ws/ls")).toBe("refused");
    expect(judge({ allow: [] }, ["uptime"], "/usr/bin/uptime")).toBe("refused");
  });

  it("is not named by the list with a variable that may name a program, a file or a place", () => {
    const withEnv = (env: object, rules: Partial<ExecRules> = {}) => judge(rules, ["uptime"], "/usr/bin/uptime", env);
    for (const name of ["PAGER", "GIT_SSH", "EDITOR", "MAKEFLAGS", "npm_config_script_shell", "LANGUAGE", "HOME", "A"])
      expect(withEnv({ [name]: "x" }), name).toBe("refused");
    const plain = { LANG: "de_DE.UTF-8", LC_ALL: "C", TZ: "Europe/Berlin", COLUMNS: "80", LINES: "", NO_COLOR: "1" };
    expect(withEnv(plain)).toBe("allowed");
    for (const value of ["/ws/x", "../ws", "a/../../ws", ":x", "a.b.c", "a b", "%n"])
      expect(withEnv({ TZ: value }), value).toBe("refused");
    // A person sees the variables; without a list there is nothing to go round.
    expect(withEnv({ PAGER: "x" }, { ask: "on-miss" })).toBe("asks");
    expect(withEnv({ PAGER: "x" }, { security: "full" })).toBe("allowed");
  });

  it("is read as plain words where a list or a person judges it", () => {
    const wants = (security: ExecRules["security"], ask: ExecRules["ask"]) => wantsPlainWords({ security, ask, allow });
    expect(wants("full", "off")).toBe(false);
    expect(wants("full", "on-miss")).toBe(false);
    expect(wants("full", "always")).toBe(true);
    expect(wants("allowlist", "off")).toBe(true);
  });
});
