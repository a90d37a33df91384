/** Which commands may run: every security with every question, for commands that a list names and others. */
import { describe, expect, it } from "vitest";
import { type ExecRules, judgeCommand, wantsPlainWords } from "../../../auth/exec-policy.ts";

const allow = [["git", "status"], ["/usr/bin/ls"], ["uptime"]];
const judge = (rules: Partial<ExecRules>, argv: readonly string[], program?: string) =>
  judgeCommand({ security: "allowlist", ask: "off", allow, ...rules }, { argv, program }).type;

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

  it("is read as plain words where a list or a person judges it", () => {
    const wants = (security: ExecRules["security"], ask: ExecRules["ask"]) => wantsPlainWords({ security, ask, allow });
    expect(wants("full", "off")).toBe(false);
    expect(wants("full", "on-miss")).toBe(false);
    expect(wants("full", "always")).toBe(true);
    expect(wants("allowlist", "off")).toBe(true);
  });
});
