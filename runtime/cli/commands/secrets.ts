/** `cloister secrets`: what is kept in `secrets.json` of the state directory. But for `reload` it needs no running gateway, and it prints no value. */
import { mkdir } from "node:fs/promises";
import { keepSecret, listSecrets, removeSecret } from "../../broker/secret-file.ts";
import { findPaths } from "../../config/index.ts";
import { failure, isCoded } from "../../kernel/errors.ts";
import type { SecretsReload } from "../../supervisor/config-desk.ts";
import { askLine, readPipe } from "../ask-line.ts";
import { type CliContext, commandPrefix, type ExitCode } from "../context.ts";
import { withGateway } from "../open-client.ts";
import { surroundings } from "../read-config.ts";
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
  const value = terminal.input.isTTY
    ? await askLine(terminal, `Type or paste the value of ${name}; it is not shown.`, true)
    : await readPipe(terminal);
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

export function runSecretsReload(context: CliContext, { json }: SecretsOptions): Promise<ExitCode> {
  return withGateway(context, ["operator.admin"], async (client) => {
    const payload = (await client.request("secrets.reload", {})) as SecretsReload;
    if (json === true) context.terminal.out(formatJson(payload));
    else showReload(context, payload);
    return payload.unread.length === 0 ? 0 : 1;
  });
}

function showReload(context: CliContext, { configuration, renewed, unread }: SecretsReload): void {
  const { terminal } = context;
  const changed = changes[configuration];
  if (changed !== undefined) terminal.err(changed(commandPrefix(context)));
  for (const path of renewed) terminal.out(`${path}: another secret, in use from now on`);
  for (const { path, message, remedy } of unread)
    terminal.out(`${path}: cannot be read, and what runs goes on as it is: ${message}; ${remedy}`);
  if (renewed.length + unread.length === 0 && configuration !== "restarting")
    terminal.err("what is in use is what is there: nothing began anew");
}

const changes: Readonly<Partial<Record<SecretsReload["configuration"], (prefix: string) => string>>> = {
  applied: () => "the configuration had changed as well, and is in force now",
  restarting: () => "the configuration has changed: the gateway starts again for it, and reads all secrets then",
  off: () =>
    "the configuration has changed, or a variable that it names: that counts after a restart (gateway.reload.mode: off)",
  invalid: (prefix) =>
    `the configuration cannot be used as it is, and the one in force goes on: \`${prefix} config validate\` says why`,
};

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
