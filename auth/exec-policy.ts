/**
 * Whether a command may run: by what the config says of it, and by nothing that is in it but its words and what it sets of its
 * environment: an entry of `allow` names a command that sets next to nothing. Source: behaviour §1.6.
 *
 *   security   not in `allow`, or whatever with ask: "always"
 *   deny       refused
 *   allowlist  ask: "off" refused · "on-miss", "always" asked
 *   full       ask: "always" asked · else allowed
 */
export interface ExecRules {
  readonly security: "deny" | "allowlist" | "full";
  readonly ask: "off" | "on-miss" | "always";
  readonly allow: readonly (readonly string[])[];
}

export interface JudgedCommand {
  readonly argv: readonly string[];
  /** The file of its first word, where it is known. */
  readonly program: string | undefined;
  /** What the call sets of its environment. */
  readonly env: Readonly<Record<string, string>>;
}

/**
 * Variables that no program takes for one to run, or for a file to read: of the many others (PAGER, MAKEFLAGS, SSH_ASKPASS) no list of names is
 * whole. Values without a path, but for a time zone's.
 */
const plainVariable = /^(?:LANG|LC_[A-Z]+|TZ|COLUMNS|LINES|NO_COLOR)$/;
const plainValue = /^(?:[A-Za-z0-9][A-Za-z0-9_@+/-]*(?:\.[A-Za-z0-9@-]+)?)?$/;

export type ExecVerdict =
  | { readonly type: "allowed" }
  | { readonly type: "asks" }
  | { readonly type: "refused"; readonly key: "security" | "allow"; readonly why: string };

export function judgeCommand({ security, ask, allow }: ExecRules, command: JudgedCommand): ExecVerdict {
  if (security === "deny") return { type: "refused", key: "security", why: 'commands are off (security "deny")' };
  if (ask === "always") return { type: "asks" };
  const isListed = allow.some((entry) => isNamed(entry, command));
  const beyond = Object.entries(command.env).find(
    ([name, value]) => !plainVariable.test(name) || !plainValue.test(value),
  )?.[0];
  if (security === "full" || (isListed && beyond === undefined)) return { type: "allowed" };
  if (ask === "on-miss") return { type: "asks" };
  const why =
    isListed && beyond !== undefined
      ? `the list names ${describeProgram(command)} without the variable ${beyond}, which may make it run another program`
      : `no entry of the list names ${describeProgram(command)}`;
  return { type: "refused", key: "allow", why };
}

/** Whether a command of plain words should be one without a shell, so that its program can be told. */
export function wantsPlainWords({ security, ask }: ExecRules): boolean {
  return security !== "full" || ask === "always";
}

function isNamed([name = "", ...words]: readonly string[], { argv, program }: JudgedCommand): boolean {
  const [first = "", ...rest] = argv;
  // A bare name is one of the PATH; a program of that name in a folder of the agent is another one.
  const isProgram = name.includes("/") ? (program ?? first) === name : first === name;
  return isProgram && words.every((word, index) => rest[index] === word);
}

function describeProgram({ argv: [first = ""], program }: JudgedCommand): string {
  return program === undefined || program === first ? first : `${first} (${program})`;
}
