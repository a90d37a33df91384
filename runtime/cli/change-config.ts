/** Changes of the configuration from the command line: through the gateway when it runs, in the file when it does not. */
import { changeText, findPaths, readAuthored, redactValue, valueOf, writeAuthored } from "../config/index.ts";
import { failure, isCoded } from "../kernel/errors.ts";
import { compileRoutes } from "../routing/index.ts";
import { type CliContext, commandPrefix } from "./context.ts";
import type { ClientScope } from "./gateway-client.ts";
import { withGateway } from "./open-client.ts";
import { readConfigFiles, surroundings } from "./read-config.ts";
import { fieldsOf } from "./wire-failure.ts";

export interface ChangedConfig {
  /** Who wrote it. */
  readonly through: "gateway" | "file";
  readonly file: string;
  /** What the gateway answered; empty without one. */
  readonly answer: Readonly<Record<string, unknown>>;
}

/** The authored configuration without its secrets. */
export async function readShown(context: CliContext): Promise<unknown> {
  return atGateway(
    context,
    "operator.read",
    async (request) => {
      const { path, parsed, issues } = fieldsOf(await request("config.get", {}));
      if (parsed === undefined)
        throw failure(
          "CLOISTER_CONFIG_UNREADABLE",
          `${String(path)} cannot be read: ${JSON.stringify(issues)}`,
          `${commandPrefix(context)} config validate`,
        );
      return parsed;
    },
    async () => {
      const { configPath } = await findPaths(surroundings(context));
      return redactValue(valueOf(await readAuthored(configPath)));
    },
  );
}

/** `edit` gets the authored value; secrets in it may be marks, which are put back. Throws what is wrong with the result. */
export async function changeConfig(
  context: CliContext,
  edit: (value: unknown) => unknown,
  force = false,
): Promise<ChangedConfig> {
  return atGateway(
    context,
    "operator.admin",
    async (request) => {
      const { path, parsed, hash } = fieldsOf(await request("config.get", {}));
      if (parsed === undefined)
        throw failure(
          "CLOISTER_CONFIG_UNREADABLE",
          `${String(path)} is broken, and is not changed key by key`,
          `${commandPrefix(context)} config validate`,
        );
      const asked = { set: [{ path: [], value: edit(parsed) }], baseHash: hash, force };
      return { through: "gateway", file: String(path), answer: fieldsOf(await request("config.patch", asked)) };
    },
    () => changeFile(context, edit, force),
  );
}

async function changeFile(
  context: CliContext,
  edit: (value: unknown) => unknown,
  force: boolean,
): Promise<ChangedConfig> {
  const { configPath } = await findPaths(surroundings(context));
  const authored = await readAuthored(configPath);
  const { text, lost } = changeText(authored, { edit });
  if (lost !== undefined && !force)
    throw failure(
      "CLOISTER_CONFIG_GUARDED",
      `${configPath} is not written: ${lost}`,
      "repeat it with --force if it is meant",
    );
  const { config } = await readConfigFiles(context, {}, new Map([[configPath, text]]));
  compileRoutes(config);
  await writeAuthored(authored, text);
  return { through: "file", file: configPath, answer: {} };
}

type Request = (method: string, params: object) => Promise<unknown>;

/**
 * The second when no gateway answers, unless one was named. A gateway that goes away after it has answered may have done what it was
 * asked for: then nothing is done again.
 */
export async function atGateway<T>(
  context: CliContext,
  scope: ClientScope,
  ask: (request: Request) => Promise<T>,
  otherwise: () => Promise<T>,
): Promise<T> {
  let hasAnswered = false;
  try {
    return await withGateway(context, [scope], (client) => {
      hasAnswered = true;
      return ask((method, params) => client.request(method, params));
    });
  } catch (error) {
    const isDown = isCoded(error) && error.code === "CLOISTER_GATEWAY_UNREACHABLE";
    if (!isDown || hasAnswered || context.options.url !== undefined) throw error;
    return otherwise();
  }
}

/** What came of it, for people. */
export function describeChange({ through, file, answer }: ChangedConfig): readonly string[] {
  if (through === "file") return [`${file} is changed; it counts with the next start of the gateway`];
  const { status, restart } = answer;
  const keys = Array.isArray(restart) ? restart.map((row) => String(fieldsOf(row)["key"])).join(", ") : "";
  if (status === "restarting") return [`${file} is changed; the gateway restarts for ${keys}`];
  if (status === "off") return [`${file} is changed; it counts with the next start (gateway.reload.mode: off)`];
  if (status === "unchanged") return [`${file} says so already`];
  return [`${file} is changed and in force`, ...(keys === "" ? [] : [`after a restart of the gateway also ${keys}`])];
}
