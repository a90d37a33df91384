/** What the command line says goes before the file, and has to make as much sense as the file. */
import { isIP } from "node:net";
import { failure } from "../kernel/errors.ts";
import { checkGateway } from "./check/gateway.ts";
import type { Draft } from "./draft.ts";
import { configFailure } from "./issue.ts";
import { bindNames } from "./schema/gateway.ts";

export interface ConfigOverrides {
  /** From `--port`; goes before the environment and the file. */
  readonly port?: number;
  /** From `--bind`: a word that `gateway.bind` takes, or an IP address. */
  readonly bind?: string;
}

/** Throws `CLOISTER_CONFIG_INVALID`; an override can open the gateway as well as the file can, and is held to the same rules. */
export function overrideDraft(draft: Draft, { port, bind }: ConfigOverrides): Draft {
  if (port !== undefined && !(Number.isInteger(port) && port >= 0 && port <= 65_535)) {
    throw wrong(`--port is ${port}; must be a whole number from 0 to 65535`, "Correct --port.");
  }
  if (bind === undefined) return draft;
  const gateway = { ...draft.config.gateway, ...parseBind(bind.trim()) };
  const overridden = { ...draft, config: { ...draft.config, gateway } };
  const issues = checkGateway(overridden);
  if (issues.length > 0) throw configFailure(`${draft.paths.configPath} with --bind ${bind}`, issues);
  return overridden;
}

function parseBind(text: string): Partial<Draft["config"]["gateway"]> {
  const word = bindNames.find((name) => name === text);
  if (word !== undefined) return { bind: word };
  if (isIP(text) !== 0 || text === "localhost") return { bind: "custom", customBindHost: text };
  throw wrong(
    `--bind is ${JSON.stringify(text)}; must be an IP address or one of ${bindNames.join(", ")}`,
    "Correct --bind.",
  );
}

function wrong(found: string, remedy: string): Error {
  return failure("CLOISTER_CONFIG_INVALID", `Reading the command line: ${found}.`, remedy);
}
