/**
 * `cloister models status`: which model each agent asks, and with which credential, as the broker would find it with the next call; then which models have an
 * alias. Needs no running gateway, asks no provider and renews nothing; prints no value. Source: behaviour §6.4, K-04.
 */
import { own } from "../../broker/own.ts";
import { makeProfiles, type ProfileProblem, type ProfileStore } from "../../broker/profiles.ts";
import type { ModelSettings } from "../../broker/port.ts";
import type { Renewed } from "../../broker/renewal.ts";
import { partsOfModel } from "../../kernel/model-name.ts";
import { modelSettingsOf } from "../../supervisor/model-settings.ts";
import { type CliContext, commandPrefix, type ExitCode } from "../context.ts";
import { orUnusable } from "../credential-file.ts";
import { readConfig } from "../read-config.ts";
import { formatJson, formatTable } from "../views/table.ts";
import { findAgent, secretsOf } from "./models-auth.ts";

export interface ModelsStatusOptions {
  readonly agent?: string;
  readonly json?: boolean;
}

interface ModelEntry {
  readonly agent: string;
  readonly model: string;
  /** `channel`: in conversations of which `channels.modelByChannel` says so. */
  readonly role: "primary" | "fallback" | "channel";
  /** In the order in which they are tried. `from`: the agent whose file has it; absent: it is the configuration's. */
  readonly credentials: readonly { readonly id: string; readonly from?: string }[];
  readonly problems: readonly {
    readonly id: string;
    readonly reason: ProfileProblem | "no_model";
    readonly detail?: string;
    readonly from?: string;
  }[];
}

/** What is old is renewed by the call that needs it. */
const renew = (): Promise<Renewed> =>
  Promise.resolve({ access: "renewed with the next call", expires: Number.MAX_SAFE_INTEGER });

/** Exit code 1: a model has no credential that can be used, or there is no model. */
export async function runModelsStatus(context: CliContext, { agent, json }: ModelsStatusOptions): Promise<ExitCode> {
  const { terminal, nowMs } = context;
  const config = await readConfig(context);
  const only = agent === undefined ? undefined : findAgent(context, config, agent).id;
  const settings = modelSettingsOf(config);
  const profiles = makeProfiles(() => settings, secretsOf(config, nowMs), renew, nowMs);
  const asked = Object.entries(settings.agents)
    .filter(([id]) => only === undefined || id === only)
    .flatMap(([id, { primary, fallbacks }]) =>
      primary === undefined
        ? []
        : [
            [id, primary, "primary"] as const,
            ...fallbacks.map((model) => [id, model, "fallback"] as const),
            ...(settings.channelModels ?? []).map((model) => [id, model, "channel"] as const),
          ],
    );
  const entries = await Promise.all(
    asked.map(async ([id, model, role]): Promise<ModelEntry> => {
      const found = await findAll(profiles, settings, id, model);
      return { agent: id, model, role, ...found };
    }),
  );
  const { aliases = {} } = settings;
  if (json === true) terminal.out(formatJson({ defaultAgent: config.defaultAgentId, models: entries, aliases }));
  else if (entries.length === 0)
    terminal.err(
      `no_model: no agent${only === undefined ? "" : ` ${only}`} has a model; set one with \`${commandPrefix(context)} config set agents.defaults.model provider/model\``,
    );
  else {
    const columns = ["AGENT", "MODEL", "AS", "CREDENTIAL", "FROM", "STATE"].map((title) => ({ title }));
    for (const line of [...formatTable(columns, entries.flatMap(rowsOf)), ...formatAliases(aliases)])
      terminal.out(line);
    if (
      entries.some(({ problems }) =>
        problems.some(({ from, reason }) => from === undefined && reason === "missing_credential"),
      )
    )
      terminal.err(
        "variables are those of this shell and of .env in the state directory; a running gateway has those that it was started with",
      );
  }
  return entries.length > 0 && entries.every(({ credentials }) => credentials.length > 0) ? 0 : 1;
}

async function findAll(
  profiles: ProfileStore,
  settings: ModelSettings,
  agentId: string,
  model: string,
): Promise<Pick<ModelEntry, "credentials" | "problems">> {
  const { provider: name } = partsOfModel(model);
  const provider = own(settings.providers, name);
  if (provider === undefined)
    return { credentials: [], problems: [{ id: `models.providers.${name}`, reason: "no_model" }] };
  const { usable, problems, from } = await orUnusable(profiles.find(agentId, provider));
  const configured = `models.providers.${provider.id}.apiKey`;
  const source = (id: string): { readonly from?: string } => (id === configured || from === undefined ? {} : { from });
  return {
    credentials: usable.map(({ id }) => ({ id, ...source(id) })),
    problems: problems.map(({ id, reason, detail }) => ({
      id,
      reason,
      ...(detail === undefined ? {} : { detail }),
      ...source(id),
    })),
  };
}

/** One line for each credential. */
function rowsOf({ agent, model, role, credentials, problems }: ModelEntry): readonly (readonly string[])[] {
  const fromOf = (from: string | undefined): string =>
    from === undefined ? "the configuration" : from === agent ? "its own file" : `${from}'s file`;
  const lines = [
    ...credentials.map(({ id, from }, place) => [id, fromOf(from), place === 0 ? "ok" : "ok, tried after it"]),
    ...problems.map(({ id, from, reason, detail }) => [
      id,
      fromOf(from),
      detail === undefined ? reason : `${reason}: ${detail}`,
    ]),
  ];
  const all = lines.length === 0 ? [["none", "", "missing_credential"]] : lines;
  return all.map((line) => [agent, model, role, ...line]);
}

function formatAliases(aliases: Readonly<Record<string, string>>): readonly string[] {
  const rows = Object.entries(aliases);
  return rows.length === 0 ? [] : ["", ...formatTable([{ title: "ALIAS" }, { title: "MODEL" }], rows)];
}
