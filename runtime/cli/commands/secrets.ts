/** `cloister secrets`: what is kept in `secrets.json` of the state directory. Needs no running gateway, and prints no value. */
import { mkdir } from "node:fs/promises";
import { createInterface } from "node:readline/promises";
import { Writable } from "node:stream";
import { keepSecret, listSecrets, removeSecret } from "../../broker/secret-file.ts";
import { findPaths } from "../../config/index.ts";
import { failure, isCoded } from "../../kernel/errors.ts";
import { limits } from "../../kernel/limits.ts";
import { type CliContext, commandPrefix, type ExitCode } from "../context.ts";
import { surroundings } from "../read-config.ts";
import type { Terminal } from "../terminal.ts";
import { formatAge, formatJson, formatTable } from "../views/table.ts";

export interface SecretsOptions {
  readonly json?: boolean;
}

export async function runSecretsList(context: CliContext, { json }: SecretsOptions): Promise<ExitCode> {
  const { terminal, nowMs } = context;
  const secrets = await inStateDir(context, listSecrets);
  if (json === true) terminal.out(formatJson({ secrets }));
  else if (secrets.length === 0)
    terminal.err(`no secret is kept; keep one with \`${commandPrefix(context)} secrets set <name>\``);
  else {
    const columns = [{ title: "NAME" }, { title: "SET" }];
    const rows = secrets.map(({ name, changedAtMs }) => [name, formatAge(changedAtMs, nowMs())]);
    for (const line of formatTable(columns, rows)) terminal.out(line);
  }
  return 0;
}

export async function runSecretsSet(context: CliContext, name: string, { json }: SecretsOptions): Promise<ExitCode> {
  const { terminal, nowMs } = context;
  const value = await readValue(terminal, name);
  await inStateDir(context, async (stateDir) => {
    await mkdir(stateDir, { recursive: true, mode: 0o700 });
    await keepSecret(stateDir, name, value, nowMs());
  });
  if (json === true) terminal.out(formatJson({ name }));
  else terminal.err(`kept; refer to it with { source: "store", id: ${JSON.stringify(name)} }`);
  return 0;
}

export async function runSecretsRemove(context: CliContext, name: string, { json }: SecretsOptions): Promise<ExitCode> {
  const wasThere = await inStateDir(context, (stateDir) => removeSecret(stateDir, name));
  if (!wasThere)
    throw failure(
      "CLOISTER_REQUEST_INVALID",
      `Removing the secret ${name}: there is none of this name.`,
      `\`${commandPrefix(context)} secrets list\` shows those that there are.`,
    );
  if (json === true) context.terminal.out(formatJson({ name }));
  else context.terminal.err("removed");
  return 0;
}

async function inStateDir<T>(context: CliContext, work: (stateDir: string) => Promise<T>): Promise<T> {
  const { stateDir } = await findPaths(surroundings(context));
  try {
    return await work(stateDir);
  } catch (error) {
    if (isCoded(error)) throw error;
    throw failure(
      "CLOISTER_STATE_UNUSABLE",
      `Secrets of ${stateDir}: ${(error as Error).message}.`,
      "Run the command as the user that runs the gateway.",
      error,
    );
  }
}

/** One line of a person, which is not shown, or all of a pipe without the line break at its end. */
async function readValue(terminal: Terminal, name: string): Promise<string> {
  if (terminal.input.isTTY === true) {
    terminal.err(`Type or paste the value of ${name}; it is not shown.`);
    const silent = new Writable({ write: (_chunk, _encoding, done) => done() });
    const lines = createInterface({ input: terminal.input, output: silent, terminal: true });
    try {
      return (await lines.question("")).trim();
    } finally {
      lines.close();
    }
  }
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of terminal.input) {
    const part = Buffer.from(chunk);
    bytes += part.byteLength;
    chunks.push(part);
    // Too long, also without a line break: what is read is refused, and no part of it is kept.
    if (bytes > limits.secretBytesMax + 2) break;
  }
  return Buffer.concat(chunks)
    .toString("utf8")
    .replace(/\r?\n$/, "");
}
