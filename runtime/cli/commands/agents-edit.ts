/** `cloister agents add|delete|bind|unbind|set-identity`. Source: behaviour §6.6. */
import { createInterface } from "node:readline/promises";
import { addAgent, bindAgent, removeAgent, unbindAgent, updateAgent } from "../../config/index.ts";
import { failure } from "../../kernel/errors.ts";
import { agentIdOfName } from "../../routing/index.ts";
import { seedWorkspace } from "../../supervisor/workspace/seed.ts";
import { atGateway, changeConfig, type ChangedConfig, describeChange } from "../change-config.ts";
import { type CliContext, commandPrefix, type ExitCode } from "../context.ts";
import { readConfig } from "../read-config.ts";
import { formatJson } from "../views/table.ts";
import { fieldsOf } from "../wire-failure.ts";

export interface AddOptions {
  readonly workspace?: string;
  readonly agentDir?: string;
  readonly model?: string;
  readonly module?: string;
  readonly bind?: readonly string[];
  readonly nonInteractive?: boolean;
  readonly json?: boolean;
}

/** Asks for what was not given when a person is there and has not named the agent. */
export async function runAgentsAdd(
  context: CliContext,
  given: string | undefined,
  options: AddOptions,
): Promise<ExitCode> {
  const { json, nonInteractive, bind = [], ...fields } = options;
  const isAsking = given === undefined && nonInteractive !== true && json !== true && canAsk(context);
  const asked = { name: given ?? "", ...fields, ...(isAsking ? await askForAgent(context, fields) : {}) };
  if (asked.name.trim() === "")
    throw failure("CLOISTER_REQUEST_INVALID", "an agent needs a name", `${commandPrefix(context)} agents add work`);
  const id = agentIdOfName(asked.name);
  const added = await atGateway(
    context,
    "operator.admin",
    async (request) => {
      const answer = fieldsOf(await request("agents.create", { id, ...asked, bind }));
      return { through: "gateway" as const, file: String(answer["path"]), answer };
    },
    () => addToFile(context, id, asked, bind),
  );
  if (json === true) context.terminal.out(formatJson({ ok: true, agentId: id, ...added }));
  else for (const line of [`the agent ${id} is added`, ...describeChange(added)]) context.terminal.out(line);
  return 0;
}

/** Its workspace gets the files that the gateway would give it. */
async function addToFile(
  context: CliContext,
  id: string,
  fields: Omit<Parameters<typeof addAgent>[1], "id">,
  bind: readonly string[],
): Promise<ChangedConfig> {
  const changed = await changeConfig(context, (value) => {
    const added = addAgent(value, { ...fields, id });
    return bind.length === 0 ? added : bindAgent(added, id, bind);
  });
  const { agents } = await readConfig(context);
  const agent = agents.find((one) => one.id === id);
  const files = agent?.seedsWorkspace === true ? (await seedWorkspace(agent, Date.now())).files : [];
  return { ...changed, answer: { ...changed.answer, workspace: agent?.workspace, files } };
}

/** Its folders go to the trash of the state directory when the gateway runs; without one they stay. */
export async function runAgentsDelete(
  context: CliContext,
  agentId: string,
  { force, keepFiles, json }: { readonly force?: boolean; readonly keepFiles?: boolean; readonly json?: boolean },
): Promise<ExitCode> {
  if (
    force !== true &&
    !(canAsk(context) && (await ask(context, `Delete the agent ${agentId}? [y/N] `)).toLowerCase() === "y")
  )
    throw failure(
      "CLOISTER_REQUEST_INVALID",
      `${agentId} is not deleted: nobody has confirmed it`,
      "repeat it with --force",
    );
  const deleted = await atGateway(
    context,
    "operator.admin",
    async (request) => {
      const answer = fieldsOf(await request("agents.delete", { agentId, deleteFiles: keepFiles !== true }));
      return { through: "gateway" as const, file: String(answer["path"]), answer };
    },
    () => changeConfig(context, (value) => removeAgent(value, agentId)),
  );
  if (json === true) context.terminal.out(formatJson({ ok: true, agentId, ...deleted }));
  else
    for (const line of [`the agent ${agentId} is deleted`, ...describeChange(deleted), ...describeLeft(deleted)])
      context.terminal.out(line);
  return 0;
}

/** Of one that is there until the next start. */
function describeLeft({ answer }: { readonly answer?: Readonly<Record<string, unknown>> }): readonly string[] {
  const folders = Object.values(fieldsOf(answer?.["filesLeft"])).filter((folder) => typeof folder === "string");
  if (folders.length === 0) return [];
  return [
    "it is gone at the gateway's next start, and its folders stay: remove them then",
    ...folders.map((f) => `  ${f}`),
  ];
}

export async function runAgentsBind(
  context: CliContext,
  { agent, bind = [], json }: { readonly agent: string; readonly bind?: readonly string[]; readonly json?: boolean },
): Promise<ExitCode> {
  const changed = await changeConfig(context, (value) => bindAgent(value, agent, bind));
  return tell(context, changed, json);
}

export async function runAgentsUnbind(
  context: CliContext,
  {
    agent,
    bind = [],
    all,
    json,
  }: { readonly agent: string; readonly bind?: readonly string[]; readonly all?: boolean; readonly json?: boolean },
): Promise<ExitCode> {
  const changed = await changeConfig(context, (value) => unbindAgent(value, agent, all === true ? "all" : bind));
  return tell(context, changed, json);
}

export async function runAgentsSetIdentity(
  context: CliContext,
  {
    agent,
    json,
    ...fields
  }: {
    readonly agent: string;
    readonly json?: boolean;
    readonly name?: string;
    readonly emoji?: string;
    readonly theme?: string;
    readonly avatar?: string;
  },
): Promise<ExitCode> {
  const identity = Object.fromEntries(Object.entries(fields).filter((field) => field[1] !== undefined));
  if (Object.keys(identity).length === 0)
    throw failure("CLOISTER_REQUEST_INVALID", "nothing to set", "give one of --name, --emoji, --theme, --avatar");
  return tell(context, await changeConfig(context, (value) => updateAgent(value, { id: agent, identity })), json);
}

function tell(context: CliContext, changed: Parameters<typeof describeChange>[0], json: boolean | undefined): ExitCode {
  if (json === true) context.terminal.out(formatJson({ ok: true, ...changed }));
  else for (const line of describeChange(changed)) context.terminal.out(line);
  return 0;
}

const canAsk = ({ terminal }: CliContext): boolean => terminal.isTty && terminal.input.isTTY === true;

async function askForAgent(context: CliContext, given: Pick<AddOptions, "workspace" | "model">) {
  const name = await ask(context, "Name of the agent: ");
  const workspace = given.workspace ?? (await ask(context, "Workspace (empty: the usual place): "));
  const model = given.model ?? (await ask(context, "Model (empty: the default): "));
  return { name, ...(workspace === "" ? {} : { workspace }), ...(model === "" ? {} : { model }) };
}

async function ask({ terminal }: CliContext, question: string): Promise<string> {
  const lines = createInterface({ input: terminal.input, output: terminal.output });
  try {
    return (await lines.question(question)).trim();
  } finally {
    lines.close();
  }
}
