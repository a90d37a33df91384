/** `cloister agents add|delete|bind|unbind|set-identity`. Source: behaviour §6.6. */
import { constants } from "node:fs";
import { open, stat } from "node:fs/promises";
import path from "node:path";
import { createInterface } from "node:readline/promises";
import { type CopiedProfiles, copyProfiles } from "../../broker/profile-file.ts";
import { addAgent, bindAgent, removeAgent, unbindAgent, updateAgent } from "../../config/index.ts";
import { failure } from "../../kernel/errors.ts";
import { limits } from "../../kernel/limits.ts";
import { agentIdOfName } from "../../routing/index.ts";
import { ownFolders } from "../../supervisor/workspace/own-folders.ts";
import { openFolders } from "../../supervisor/workspace/seed.ts";
import { atGateway, changeConfig, type ChangedConfig, describeChange } from "../change-config.ts";
import { type CliContext, commandPrefix, type ExitCode } from "../context.ts";
import { type AgentWishes, askForAgent } from "../ask-agent.ts";
import { parseIdentity, type WrittenIdentity } from "../identity-file.ts";
import { readConfig } from "../read-config.ts";
import { formatJson } from "../views/table.ts";
import { fieldsOf } from "../wire-failure.ts";

export interface AddOptions {
  readonly workspace?: string;
  readonly agentDir?: string;
  readonly model?: string;
  readonly module?: string;
  readonly bind?: readonly string[];
  readonly copyAuth?: boolean;
  readonly nonInteractive?: boolean;
  readonly json?: boolean;
}

/** Asks a person who is there, unless something but a name was given. */
export async function runAgentsAdd(
  context: CliContext,
  given: string | undefined,
  options: AddOptions,
): Promise<ExitCode> {
  const { json, nonInteractive, ...wishes } = options;
  if (wishes.copyAuth === true && context.options.url !== undefined)
    throw failure(
      "CLOISTER_REQUEST_INVALID",
      "--copy-auth: found --url, and credentials are copied on the gateway's own machine alone",
      "leave one of the two out; without a copy the agent reads the default agent's",
    );
  const isBare = Object.values(wishes).every((wish) => wish === undefined);
  const isAsking = (given === undefined || isBare) && nonInteractive !== true && json !== true && canAsk(context);
  const answers = isAsking ? await askFor(context, given, wishes) : {};
  const { bind = [], copyAuth, ...asked } = { name: given ?? "", ...wishes, ...answers };
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
  const auth = copyAuth === true ? await copyAuthTo(context, id) : undefined;
  if (json === true)
    context.terminal.out(formatJson({ ok: true, agentId: id, ...added, ...(auth === undefined ? {} : { auth }) }));
  else
    for (const line of [`the agent ${id} is added`, ...describeChange(added), ...describeCopied(auth)])
      context.terminal.out(line);
  return 0;
}

async function askFor(context: CliContext, name: string | undefined, wishes: AgentWishes) {
  const config = context.options.url === undefined ? await readConfig(context) : undefined;
  return askForAgent(context, { ...(name === undefined ? {} : { name }), ...wishes }, config);
}

/** From the default agent, whose credentials all others read. */
async function copyAuthTo(context: CliContext, id: string): Promise<CopiedProfiles> {
  const { agents, defaultAgentId } = await readConfig(context);
  const dirOf = (agentId: string): string => agents.find((agent) => agent.id === agentId)?.agentDir ?? "";
  try {
    return await copyProfiles(dirOf(defaultAgentId), dirOf(id));
  } catch (error) {
    throw failure(
      "CLOISTER_STATE_UNUSABLE",
      `The agent ${id} is added, and no credential was copied: ${(error as Error).message}.`,
      "Correct the file; until then the agent reads the default agent's.",
      error,
    );
  }
}

function describeCopied(auth: CopiedProfiles | undefined): readonly string[] {
  if (auth === undefined) return [];
  return [
    `credentials that were copied: ${auth.copied.length === 0 ? "none" : auth.copied.join(", ")}`,
    ...auth.left.map(({ id, why }) => `  ${id} was not: ${why}`),
  ];
}

/** It gets the folders and files that the gateway would give it. */
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
  const files = agent === undefined ? [] : await openFolders(agent, Date.now());
  return { ...changed, answer: { ...changed.answer, workspace: agent?.workspace, files } };
}

/** Its folders go to the trash of the state directory when the gateway runs; without one they stay, and are named. */
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
    () => deleteFromFile(context, agentId, keepFiles === true),
  );
  if (json === true) context.terminal.out(formatJson({ ok: true, agentId, ...deleted }));
  else
    for (const line of [`the agent ${agentId} is deleted`, ...describeChange(deleted), ...describeLeft(deleted)])
      context.terminal.out(line);
  return 0;
}

/** Without a gateway nobody else knows which folders it had. */
async function deleteFromFile(context: CliContext, agentId: string, keepFiles: boolean): Promise<ChangedConfig> {
  const config = await readConfig(context);
  const agent = config.agents.find(({ id }) => id === agentIdOfName(agentId));
  const changed = await changeConfig(context, (value) => removeAgent(value, agentId));
  if (agent === undefined || keepFiles) return changed;
  const found = await Promise.all(
    Object.entries(ownFolders(agent, config)).map(async (folder) => ((await isThere(folder[1])) ? [folder] : [])),
  );
  return { ...changed, answer: { ...changed.answer, filesLeft: Object.fromEntries(found.flat()) } };
}

const isThere = (place: string): Promise<boolean> =>
  stat(place).then(
    () => true,
    () => false,
  );

/** Of one that is there until the next start, or was taken out of the file alone. */
function describeLeft({ through, answer }: ChangedConfig): readonly string[] {
  const folders = Object.values(fieldsOf(answer["filesLeft"])).filter((folder) => typeof folder === "string");
  const when =
    through === "gateway"
      ? "it is gone at the gateway's next start, and its folders stay: remove them then"
      : "no gateway runs to put its folders away, so they stay: remove them, or an agent of its name has them again";
  const said = folders.length === 0 ? [] : [when, ...folders.map((folder) => `  ${folder}`)];
  return through === "gateway"
    ? said
    : [...said, "its jobs and grants stay as well: a gateway that runs removes them with the agent"];
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
  const given = Object.fromEntries(Object.entries(fields).filter((field) => field[1] !== undefined));
  const identity = Object.keys(given).length === 0 ? await writtenIdentity(context, agent) : given;
  return tell(context, await changeConfig(context, (value) => updateAgent(value, { id: agent, identity })), json);
}

/** What the agent has written of itself in its workspace. */
async function writtenIdentity(context: CliContext, agentId: string): Promise<WrittenIdentity> {
  const { agents } = await readConfig(context);
  const workspace = agents.find(({ id }) => id === agentIdOfName(agentId))?.workspace;
  const name = workspace === undefined ? undefined : path.join(workspace, "IDENTITY.md");
  const identity = name === undefined ? {} : parseIdentity(await readSmall(name));
  if (Object.keys(identity).length > 0) return identity;
  throw failure(
    "CLOISTER_REQUEST_INVALID",
    name === undefined
      ? `nothing to set: the config has no agent ${agentId}`
      : `nothing to set: ${name} says no name, no emoji and no theme`,
    "give one of --name, --emoji, --theme, --avatar, or write a line such as `- Name: Ada` there",
  );
}

/** No link, which the agent may have made, and no more than a model is shown of such a file. */
async function readSmall(name: string): Promise<string> {
  const file = await open(name, constants.O_RDONLY | constants.O_NOFOLLOW).catch(() => undefined);
  if (file === undefined) return "";
  try {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(limits.bootstrapFileCharsMax));
    return buffer.toString("utf8", 0, bytesRead);
  } finally {
    await file.close();
  }
}

function tell(context: CliContext, changed: Parameters<typeof describeChange>[0], json: boolean | undefined): ExitCode {
  if (json === true) context.terminal.out(formatJson({ ok: true, ...changed }));
  else for (const line of describeChange(changed)) context.terminal.out(line);
  return 0;
}

const canAsk = ({ terminal }: CliContext): boolean => terminal.isTty && terminal.input.isTTY === true;

async function ask({ terminal }: CliContext, question: string): Promise<string> {
  const lines = createInterface({ input: terminal.input, output: terminal.output });
  try {
    return (await lines.question(question)).trim();
  } finally {
    lines.close();
  }
}
