/** What `cloister agents add` asks a person at a terminal, one question after the other. Source: behaviour §6.6. */
import { stat } from "node:fs/promises";
import { createInterface } from "node:readline/promises";
import { profilesFileIn } from "../broker/profile-file.ts";
import { parseBind, type ResolvedConfig } from "../config/index.ts";
import { failure } from "../kernel/errors.ts";
import { agentIdOfName } from "../routing/index.ts";
import type { CliContext } from "./context.ts";

export interface AgentWishes {
  readonly name?: string;
  readonly workspace?: string;
  readonly model?: string;
  readonly bind?: readonly string[];
  readonly copyAuth?: boolean;
}

/** What was given is not asked for. `config`: of the gateway that takes the agent; undefined for one elsewhere. */
export async function askForAgent(
  { terminal }: CliContext,
  given: AgentWishes,
  config: ResolvedConfig | undefined,
): Promise<AgentWishes & { readonly name: string }> {
  const lines = createInterface({ input: terminal.input, output: terminal.output });
  const ask = async (question: string): Promise<string> => (await lines.question(`${question} `)).trim();
  try {
    const name = given.name ?? (await ask("Name of the agent:"));
    checkName(name, config);
    const workspace = given.workspace ?? (await ask("Workspace (empty: the usual place):"));
    const model = given.model ?? (await ask("Model (empty: the default):"));
    const copyAuth = given.copyAuth ?? (await askForCopy(ask, config));
    const bind = given.bind ?? (await askForBindings(ask, config));
    return {
      name,
      ...(workspace === "" ? {} : { workspace }),
      ...(model === "" ? {} : { model }),
      ...(copyAuth ? { copyAuth } : {}),
      bind,
    };
  } finally {
    lines.close();
  }
}

/** Before all other questions are answered in vain. @throws CLOISTER_REQUEST_INVALID */
function checkName(name: string, config: ResolvedConfig | undefined): void {
  const id = agentIdOfName(name);
  if (name !== "" && config?.agents.some((agent) => agent.id === id) === true)
    throw failure(
      "CLOISTER_REQUEST_INVALID",
      `the agent ${id} is in the configuration already`,
      "cloister agents list",
    );
}

type Ask = (question: string) => Promise<string>;

async function askForCopy(ask: Ask, config: ResolvedConfig | undefined): Promise<boolean> {
  const owner = config?.agents.find(({ isDefault }) => isDefault);
  const isThere =
    owner !== undefined &&
    (await stat(profilesFileIn(owner.agentDir)).then(
      () => true,
      () => false,
    ));
  if (!isThere) return false;
  const answer = await ask(`Copy the keys and tokens of ${owner.id}? It reads them from there otherwise. [y/N]`);
  return answer.toLowerCase() === "y";
}

async function askForBindings(ask: Ask, config: ResolvedConfig | undefined): Promise<readonly string[]> {
  const accounts = Object.entries(config?.accountsOn ?? {}).flatMap(([channel, ids]) =>
    ids.map((id) => `${channel}:${id}`),
  );
  if (config !== undefined && accounts.length === 0) return [];
  const known = accounts.length === 0 ? "as webhook:home" : `of ${accounts.join(", ")}`;
  const answer = await ask(`Accounts whose messages it gets, ${known} (empty: none):`);
  const bind = answer.split(/[\s,]+/).filter((part) => part !== "");
  for (const one of bind) parseBind(one);
  return bind;
}
