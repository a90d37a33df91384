/** What `cloister gateway` says when it starts: what it runs with, who may connect, and what to type next. */
import type { ConfigWarning, ResolvedConfig } from "../../config/index.ts";
import { showableText } from "../terminal.ts";
import { formatFacts } from "./table.ts";

/** Before the gateway starts, so that a failing start shows with what it was tried. */
export function formatStart(version: string, config: ResolvedConfig): readonly string[] {
  const facts: (readonly [string, string])[] = [
    ["config", config.configExists ? config.configPath : `none at ${config.configPath}: defaults`],
    ["state", config.profile === undefined ? config.stateDir : `${config.stateDir} (profile ${config.profile})`],
    ["agents", formatAgents(config.agents)],
    ["auth", formatAuth(config.gateway.auth)],
    ["devices", "a client that proves a key is approved once; agents never are: they live in this process"],
  ];
  return [`cloister ${version}`, ...indent(formatFacts(facts)), ...formatNotes(config)];
}

/** Named at the start; of more the others are counted. */
const namedMax = 20;

function formatAgents(agents: ResolvedConfig["agents"]): string {
  const named = agents.slice(0, namedMax).map(formatAgent).join(", ");
  const more = agents.length - namedMax;
  return more > 0 ? `${named} and ${more} more (cloister agents list)` : named;
}

function formatAgent({ id, isDefault, module }: ResolvedConfig["agents"][number]): string {
  return `${id} (${module}${isDefault ? ", default" : ""})`;
}

/** The state of the shared secret in words. */
export function formatAuth(auth: ResolvedConfig["gateway"]["auth"]): string {
  if (auth.mode === "none") return "none: every client on this machine may connect (gateway.auth.mode)";
  if (auth.mode === "trusted-proxy")
    return `trusted-proxy: the proxy names the user in ${auth.proxy.userHeader}; on this machine the operator key`;
  const where = `gateway.auth.${auth.mode}`;
  return auth.secret === undefined
    ? `no ${auth.mode} configured (${where}): the operator key of this machine is the only way in`
    : `${auth.mode}: clients give ${where}, or on this machine the operator key`;
}

/** Warnings one a line. What the file configures and this version does not have is one of them for each feature. */
export function formatNotes({ warnings }: Pick<ResolvedConfig, "warnings">): readonly string[] {
  return warnings.map(formatWarning);
}

function formatWarning({ path, message, remedy }: ConfigWarning): string {
  return showableText(`warning: ${path}: ${message}${remedy === undefined ? "" : ` → ${remedy}`}`);
}

export interface NextSteps {
  /** With the key when it may be shown. */
  readonly pageLink: string;
  readonly keyShown: boolean;
  readonly httpUrl: string;
  readonly prefix: string;
}

/** Once the gateway answers. */
export function formatReady(config: ResolvedConfig, steps: NextSteps): readonly string[] {
  const other = config.agents.find(({ isDefault }) => !isDefault) ?? config.agents[0];
  const page = config.gateway.controlUi.enabled
    ? [
        [
          "page",
          steps.keyShown ? steps.pageLink : `${steps.pageLink} (with its key: ${steps.prefix} dashboard)`,
        ] as const,
      ]
    : [];
  const facts = formatFacts([
    ...page,
    ["talk", `${steps.prefix} chat`],
    ["send", `${steps.prefix} send --agent ${other?.id ?? config.defaultAgentId} hello`],
    ["http", formatCurl(config, steps.httpUrl)],
  ]);
  return ["ready", ...indent(facts)];
}

/** The token itself is not shown: the log of a service is read by more people than its config. */
function formatCurl({ webhook, hooks }: ResolvedConfig, httpUrl: string): string {
  const post = (token: string, body: object, place: string): string =>
    `curl -H 'Authorization: Bearer <${token}>' -H 'Content-Type: application/json' -d '${JSON.stringify(body)}' ${httpUrl}${place}`;
  const [account] =
    webhook === null
      ? []
      : [webhook.defaultAccount, ...Object.keys(webhook.accounts)].filter((id) => id in webhook.accounts);
  if (account !== undefined) {
    const body = { text: "hello", sender: { id: "me" }, wait: true };
    return post(`channels.webhook.accounts.${account}.token`, body, `/channels/webhook/${account}`);
  }
  if (hooks.enabled) return post("hooks.token", { message: "hello", waitForCompletion: true }, `${hooks.path}/agent`);
  return `curl ${httpUrl}/healthz`;
}

const indent = (lines: readonly string[]): readonly string[] => lines.map((line) => `  ${line}`);
