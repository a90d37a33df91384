/** Every command of the program: JSON for programs, an example and the exit codes in its help, no banner, and that shells complete it. */
import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { CommanderError, type Command } from "commander";
import { describe, expect, it } from "vitest";
import { formatCompletion } from "../../runtime/cli/commands/completion.ts";
import { type Leaf, leavesOf } from "../../runtime/cli/help.ts";
import { makeProgram } from "../../runtime/cli/program.ts";
import { makeContext, makeFakeTerminal } from "../unit/cli/fake-terminal.ts";

/** Why a command prints no JSON. */
const withoutJson: Readonly<Record<string, string>> = {
  "gateway run": "it is the gateway; its log is JSON when nobody looks",
  completion: "it prints a script",
  "audit export": "it prints lines of JSON in any case",
  "mcp serve": "it speaks the protocol, which is JSON",
  "nodes invoke": "it prints JSON in any case",
};

const build = (): { readonly program: Command; readonly terminal: ReturnType<typeof makeFakeTerminal> } => {
  const terminal = makeFakeTerminal();
  return { terminal, program: makeProgram(makeContext("/nowhere", terminal), [], () => undefined) };
};

const { program } = build();
const leaves = leavesOf(program).map((leaf) => ({ ...leaf, name: leaf.words.join(" ") }));

const helpOf = ({ command }: Leaf): string => {
  let text = "";
  command.configureOutput({ writeOut: (part) => (text += part) });
  command.outputHelp();
  return text;
};

describe("each command", () => {
  it("there are many", () => {
    expect(leaves.length).toBeGreaterThan(50);
  });

  it.each(leaves)("$name prints JSON when asked to", ({ name, command }) => {
    const hasJson = command.options.some(({ long }) => long === "--json");
    expect(hasJson, 'add .option("--json", "print JSON"), or a reason to `withoutJson`').toBe(
      withoutJson[name] === undefined,
    );
  });

  it.each(leaves)("$name says in its help how it ends, and shows how it is typed", (leaf) => {
    const help = helpOf(leaf);
    expect(help).toContain("Exit codes: 0 done, 1 refused or failed, 2 wrong usage");
    expect(help).toMatch(new RegExp(`Example:\\n {2}cloister ${leaf.name}( |$)`, "m"));
    expect(leaf.command.description()).not.toBe("");
  });

  it.each(leaves)("$name is typed as its example says", async (leaf) => {
    const [, example = ""] = /Example:\n {2}cloister (.*)/.exec(helpOf(leaf)) ?? [];
    const { stdout } = await promisify(execFile)("bash", ["-c", `printf '%s\\n' ${example}`]);
    const args = stdout.trimEnd().split("\n");
    const { program: fresh } = build();
    let ran: string | undefined;
    for (const { command, words } of leavesOf(fresh)) command.action(() => void (ran = words.join(" ")));
    await fresh.parseAsync(args, { from: "user" });
    expect(ran).toBe(leaf.name);
  });
});

it("nothing is printed beside what was asked for: no banner, no greeting", async () => {
  const { program: fresh, terminal } = build();
  await expect(fresh.parseAsync(["--version"], { from: "user" })).rejects.toBeInstanceOf(CommanderError);
  expect([terminal.outText(), terminal.errText()]).toEqual(["cloister 1.2.3\n", ""]);
});

describe("completion", () => {
  /** What a real bash offers when Tab is pressed behind these words. */
  async function complete(...words: readonly string[]): Promise<readonly string[]> {
    const script = [
      ...formatCompletion(program, "bash"),
      `COMP_WORDS=(cloister ${words.map((word) => `'${word}'`).join(" ")})`,
      `COMP_CWORD=${words.length}`,
      "_cloister",
      'printf "%s\\n" "${COMPREPLY[@]}"',
    ];
    const { stdout } = await promisify(execFile)("bash", ["--norc", "-c", script.join("\n")]);
    return stdout.trim().split("\n");
  }

  it("in bash completes commands, what is below them, options and their choices", async () => {
    expect(await complete("ag")).toEqual(["agents", "agent"].toSorted((a, b) => indexOf(a) - indexOf(b)));
    expect(await complete("agents", "doc")).toEqual(["doctor"]);
    expect(await complete("agents", "doctor", "--j")).toEqual(["--json"]);
    expect(await complete("logs", "--level", "wa")).toEqual(["warn"]);
    expect(await complete("logs", "--level", "warn", "--fo")).toEqual(["--follow"]);
    expect(await complete("completion", "f")).toEqual(["fish"]);
    expect(await complete("status", "--state")).toEqual(["--state-dir"]);
    expect(await complete("no-such")).toEqual([""]);
  });

  const indexOf = (word: string): number => program.commands.findIndex((command) => command.name() === word);

  it("in bash knows every command", async () => {
    const missing: string[] = [];
    for (const { words, name } of leaves) {
      const offered = await complete(...words);
      if (!offered.includes(words.at(-1) ?? "")) missing.push(name);
    }
    expect(missing).toEqual([]);
  });

  it.each(["zsh", "fish"] as const)("for %s names every command and option, and quotes what it says", (shell) => {
    const script = formatCompletion(program, shell).join("\n");
    for (const { command, words } of leaves) {
      expect(script).toContain(words.at(-1));
      for (const { long } of command.options)
        expect(script).toContain(shell === "fish" ? `-l ${long?.slice(2)}` : long);
    }
    // An odd number of quotes on a line would swallow the next one.
    for (const line of script.split("\n"))
      expect(line.replaceAll(/\\./g, "").split(shell === "zsh" ? '"' : "'").length % 2).toBe(1);
  });
});
