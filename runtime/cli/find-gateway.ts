/**
 * Which gateway a command talks to, and with what credential.
 *
 * `--url` names one. Otherwise it is the gateway of the state directory: it leaves `run/gateway.json` when it is ready, and
 * without that file the config says where it would listen. Its socket goes before its port: there nothing has to be proved, and
 * no approval stands in the way. The operator's key goes to this machine only: to another one, a
 * key that opens every gateway of this state directory would leave the machine because of a mistyped address. There the command line is a
 * device with a key of its own.
 */
import path from "node:path";
import { followSecrets } from "../broker/follow-secrets.ts";
import { makeSecretReader } from "../broker/secret-refs.ts";
import { findPaths, findVariable, isLoopback, type ResolvedConfig } from "../config/index.ts";
import { failure } from "../kernel/errors.ts";
import { commandPrefix, type CliContext } from "./context.ts";
import { openDevice } from "./device-identity.ts";
import type { GatewayTarget } from "./gateway-client.ts";
import { findLocalSocket } from "./local-socket.ts";
import { readIfThere, readPrivateFile } from "./private-file.ts";
import { readConfig, surroundings } from "./read-config.ts";
import { fieldsOf } from "./wire-failure.ts";

export interface FoundGateway extends GatewayTarget {
  /** What says so: an option, the file of a running gateway, or where the config would have it. */
  readonly source: "option" | "running" | "config";
}

export async function findGateway(context: CliContext): Promise<FoundGateway> {
  const found = await findRunningGateway(context);
  if (found !== undefined) return found;
  const { gateway } = await readConfig(context);
  const token = await credential(context, gateway.auth);
  return { url: formatUrl(gateway), remedy: startIt(context), source: "config", ...token };
}

/**
 * The gateway that `--url` names, or the one that left its file in the state directory. The configuration is not read, unless no
 * key is at hand: it may be broken while the gateway runs.
 */
export async function findRunningGateway(context: CliContext): Promise<FoundGateway | undefined> {
  const { url } = context.options;
  if (url !== undefined) return findNamed(context, url, namedToken(context));
  const { stateDir } = await findPaths(surroundings(context));
  const running = await readRunFile(stateDir);
  if (running === undefined) return undefined;
  const found = { url: formatUrl(running), remedy: startIt(context), source: "running" } as const;
  const socketPath = context.options.token === undefined ? await findLocalSocket(stateDir) : undefined;
  if (socketPath === undefined) return { ...found, ...(await credential(context)) };
  // For a gateway that is not behind its socket any more. A key or config that cannot be read does not hold the operator up.
  const token = await credential(context).catch(() => ({}));
  return { ...found, socketPath, ...token };
}

const startIt = (context: CliContext): string =>
  `Start it with \`${commandPrefix(context)} gateway\`, or name another one with --url.`;

function namedToken({ options, env }: CliContext): string | undefined {
  return options.token ?? findVariable(env, "GATEWAY_TOKEN");
}

/** The key goes before a token of the environment, which may be of another gateway. */
async function credential(
  context: CliContext,
  auth?: ResolvedConfig["gateway"]["auth"],
): Promise<{ readonly token?: string }> {
  const { stateDir } = await findPaths(surroundings(context));
  const known = context.options.token ?? (await readOperatorKey(stateDir)) ?? namedToken(context);
  if (known !== undefined) return { token: known };
  const used = auth ?? (await readConfig(context)).gateway.auth;
  if (!("secret" in used) || used.secret === undefined) return {};
  const secrets = makeSecretReader(() => ({ stateDir, variables: {} }), context.nowMs);
  return followSecrets<{ readonly token: string }>({ token: used.secret }, secrets);
}

async function findNamed(context: CliContext, text: string, token: string | undefined): Promise<FoundGateway> {
  const url = URL.parse(text);
  if (url === null || !["ws:", "wss:", "http:", "https:"].includes(url.protocol)) {
    throw failure(
      "CLOISTER_REQUEST_INVALID",
      `--url: found ${JSON.stringify(text)}, wanted ws://host:port or wss://host.`,
      "Correct --url.",
    );
  }
  url.protocol = url.protocol.replace("http", "ws");
  url.hash = "";
  const target = { url: url.href, remedy: "Start it there, or correct --url.", source: "option" } as const;
  const { stateDir } = await findPaths(surroundings(context));
  const isHere = isLoopback(url.hostname.replaceAll(/[[\]]/g, ""));
  if (!isHere && url.protocol === "ws:" && findVariable(context.env, "ALLOW_PLAIN_WS") !== "1")
    throw failure(
      "CLOISTER_REQUEST_INVALID",
      `--url: ws://${url.host} is another machine, and nothing on the way is encrypted: neither the token nor what is said.`,
      "Use wss://, or a tunnel to this machine; for a network that encrypts by itself, set CLOISTER_ALLOW_PLAIN_WS=1.",
    );
  const secret = token ?? (isHere ? await readOperatorKey(stateDir) : undefined);
  return {
    ...target,
    ...(secret === undefined ? {} : { token: secret }),
    // A secret that is shared says nothing of who comes from elsewhere.
    ...(isHere ? {} : { device: await openDevice(stateDir, context.terminal.err) }),
  };
}

interface Place {
  readonly host: string;
  readonly port: number;
}

/** What a gateway that is ready leaves in its state directory. */
export interface RunFile extends Place {
  readonly pid: number;
}

/** Undefined when no gateway left one. Throws `CLOISTER_STATE_UNUSABLE` for one that cannot be read. */
export async function readRunFile(stateDir: string): Promise<RunFile | undefined> {
  const file = path.join(stateDir, "run", "gateway.json");
  const text = await readIfThere(file);
  if (text === undefined) return undefined;
  let found: Readonly<Record<string, unknown>> = {};
  try {
    found = fieldsOf(JSON.parse(text));
  } catch {
    // Told below, like any other wrong content.
  }
  const { host, port, pid } = found;
  if (typeof host === "string" && typeof port === "number" && typeof pid === "number") return { host, port, pid };
  throw failure(
    "CLOISTER_STATE_UNUSABLE",
    `Looking for the running gateway: ${file} does not hold {pid, port, host}.`,
    "Restart the gateway, which writes the file again, or name the gateway with --url.",
  );
}

/**
 * The hex key that makes its reader the operator. Throws `CLOISTER_STATE_UNUSABLE` when others may read it too, since it is
 * no secret then.
 */
export async function readOperatorKey(stateDir: string): Promise<string | undefined> {
  const file = path.join(stateDir, "operator.key");
  const text = await readPrivateFile(file, {
    what: "the operator key",
    anew: "delete the file and restart the gateway, which makes a new key",
  });
  if (text === undefined) return undefined;
  const key = text.trim();
  if (/^[0-9a-f]{32,}$/i.test(key)) return key;
  throw failure(
    "CLOISTER_STATE_UNUSABLE",
    `Reading the operator key ${file}: it does not hold a key of at least 32 hex digits.`,
    "Delete the file and restart the gateway, which makes a new key.",
  );
}

/** An address to listen on is not always one to call: "all addresses" is called as this machine. */
function formatUrl({ host, port }: Place): string {
  const called = host === "0.0.0.0" || host === "" ? "127.0.0.1" : host === "::" ? "::1" : host;
  return `ws://${called.includes(":") ? `[${called}]` : called}:${port}/`;
}
