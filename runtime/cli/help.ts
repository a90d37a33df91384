/** What stands below the help of every command: an example that can be typed, and the exit codes. Made from the commands themselves. */
import type { Command } from "commander";

/** For arguments and options of these names. */
const samples: Readonly<Record<string, string>> = {
  id: "raul",
  agentId: "raul",
  name: "raul",
  target: "raul",
  from: "main",
  to: "raul",
  verb: "send",
  verbs: "send",
  sessionKey: "agent:main:main",
  requestId: "8b796ecc",
  deviceId: "a2db8970",
  text: '"what time is it"',
  folder: "./backup",
  method: "sessions.list",
  shell: "bash",
  channel: "webhook",
  code: "ABCD2345",
  path: "tools.sessions.visibility",
  key: "tools.sessions.visibility",
  value: '"all"',
  file: "./cloister.json",
  message: '"what time is it"',
  agent: "raul",
  device: "a2db8970",
  role: "operator",
  label: "panel",
};

/** Where what is required shows too little of what there is. */
const own: Readonly<Record<string, string>> = {
  agent: 'agent --agent raul --message "what time is it" --timeout 60',
  "actor check": 'actor check ./shopping.ts --say "add milk" --say list',
  chat: "chat --agent raul",
  doctor: "doctor --fix",
  logs: "logs --follow --level warn --agent raul",
  send: "send --agent raul what time is it",
  status: "status --all",
  "completion bash": "completion bash",
  "gateway call": "gateway call sessions.list --params '{\"limit\": 5}'",
  "gateway run": "gateway run --port 18789",
  "approvals allow": "approvals allow x-1a2b3c4d",
  "approvals deny": "approvals deny x-1a2b3c4d",
  "channels login": "channels login --channel telegram",
  "channels logout": "channels logout --channel telegram",
  "config proposals show": "config proposals show p-1a2b3c4d",
  "config proposals apply": "config proposals apply p-1a2b3c4d --yes",
  "config proposals reject": "config proposals reject p-1a2b3c4d",
  "models auth login": "models auth login --provider acme --device",
  "models auth logout": "models auth logout --provider acme",
  "grants explain": "grants explain main raul",
  "route explain": "route explain --channel webhook --peer direct:ana",
};

const codes = "0 done, 1 refused or failed, 2 wrong usage, 130 or 143 ended by a signal";

export function addHelp(program: Command): void {
  for (const { command, words } of leavesOf(program)) {
    command.addHelpText("after", `\nExit codes: ${codes}.\nExample:\n  cloister ${exampleOf(command, words)}`);
  }
}

export interface Leaf {
  readonly command: Command;
  /** Without the program's own name. */
  readonly words: readonly string[];
}

/** Commands with nothing below them, hidden ones left out, in the order of the program. */
export function leavesOf(command: Command, words: readonly string[] = []): readonly Leaf[] {
  const below = visibleBelow(command);
  if (below.length === 0) return [{ command, words }];
  return below.flatMap((each) => leavesOf(each, [...words, each.name()]));
}

/** What `--help` lists, but for `help` itself. */
export function visibleBelow(command: Command): readonly Command[] {
  return command
    .createHelp()
    .visibleCommands(command)
    .filter((each) => each.name() !== "help");
}

const sampleOf = (name: string): string => samples[name] ?? name;

function exampleOf(command: Command, words: readonly string[]): string {
  const path = words.join(" ");
  const given = own[path];
  if (given !== undefined) return given;
  const needed = [
    ...command.registeredArguments.filter(({ required }) => required).map((argument) => sampleOf(argument.name())),
    ...command.options
      .filter(({ mandatory }) => mandatory)
      .map((option) => `${option.long ?? ""} ${sampleOf(option.attributeName())}`),
  ];
  return [path, ...needed].join(" ");
}
