/** `cloister status` and `cloister health`: what the running gateway says of itself. */
import { isCoded } from "../../kernel/errors.ts";
import { limits } from "../../kernel/limits.ts";
import { redactText } from "../../observe/redact.ts";
import type { CliContext, ExitCode } from "../context.ts";
import { checkConfig } from "../diagnosis/config.ts";
import { type Diagnosing, diagnose } from "../diagnosis/diagnose.ts";
import { exitCodeOf, plainFinding, type Repairable } from "../diagnosis/finding.ts";
import { askGateway, type Contact } from "../diagnosis/gateway.ts";
import { liveMethods } from "../diagnosis/live.ts";
import { type DiagnosedMachine, thisMachine } from "../diagnosis/machine.ts";
import { auditSecurity } from "../diagnosis/security.ts";
import { type ReadStore, readStore as readStoreOutside } from "../diagnosis/store.ts";
import type { GatewayClient } from "../gateway-client.ts";
import { parseAgents, parseDeadLetterCounts, parseLanes, parseSessions } from "../gateway-rows.ts";
import { withGateway } from "../open-client.ts";
import { formatAccess } from "../views/access.ts";
import { type ChannelProbes, formatChannels } from "../views/channels.ts";
import { formatFindings } from "../views/findings.ts";
import { formatHealth, formatStatus, type GatewayState, isHealthy } from "../views/gateway-state.ts";
import { formatFacts, formatJson } from "../views/table.ts";
import { formatUsage } from "../views/usage.ts";
import { fieldsOf } from "../wire-failure.ts";

export interface StatusOptions {
  /** With the findings of the doctor and everything in full. */
  readonly all?: boolean;
  readonly deep?: boolean;
  /** With what models took. */
  readonly usage?: boolean;
  readonly json?: boolean;
}

export type HealthOptions = Pick<StatusOptions, "json">;

interface Asked {
  readonly payload: Readonly<Record<string, unknown>>;
  readonly state: GatewayState;
  readonly recent: unknown;
  readonly access: Pick<GatewayClient["hello"], "role" | "scopes"> | undefined;
  readonly channels: ChannelProbes | undefined;
  readonly usage: unknown;
}

/** `all` tells of a gateway that does not answer as well, with exit code 1 when something does not work. */
export async function runStatus(
  context: CliContext,
  options: StatusOptions,
  machine: DiagnosedMachine = thisMachine,
  readStore: ReadStore = readStoreOutside,
): Promise<ExitCode> {
  const { terminal, version, platform } = context;
  const { all = false, deep = false, usage = false, json = false } = options;
  const print = (text: string): void => terminal.out(redactText(text));
  const contact = all ? await askAll(context, { deep, usage }, machine.answerMs) : undefined;
  const asked = contact === undefined ? await ask(context, { deep, usage }) : heardFrom(contact, deep);
  const findings = contact === undefined ? undefined : await findAll({ context, machine, readStore, deep, contact });
  const code = findings === undefined ? 0 : exitCodeOf(findings);
  if (json) print(formatJson(plain(asked, findings)));
  else
    for (const line of formatAll(asked, findings, {
      about: `cloister ${version}, Node ${machine.node}, ${platform}`,
      nowMs: context.nowMs(),
    }))
      print(line);
  return code;
}

/** What does not work and, as far as the configuration can be read, what it opens. */
async function findAll(diagnosing: Diagnosing): Promise<readonly Repairable[]> {
  const found = await diagnose(diagnosing);
  const { config } = diagnosing.context.options.url === undefined ? await checkConfig(diagnosing.context) : {};
  return config === undefined ? found : [...found, ...auditSecurity(config)];
}

const askedSessions = ["sessions.list", { limit: limits.statusSessionsMax }] as const;
const askedChannels = ["channels.status", { probe: true }] as const;

const askedUsage = ["usage.cost", {}] as const;

type More = Pick<StatusOptions, "deep" | "usage">;

function ask(context: CliContext, { deep, usage }: More): Promise<Asked> {
  return withGateway(context, ["operator.read"], async (client) => ({
    payload: fieldsOf(await client.request("status", {})),
    state: stateOf(client),
    recent: await client.request(...askedSessions),
    access: undefined,
    channels: deep === true ? await probeChannels(client) : undefined,
    usage: usage === true ? await client.request(...askedUsage) : undefined,
  }));
}

/** A gateway without channels that can be asked says so. */
async function probeChannels(client: GatewayClient): Promise<ChannelProbes> {
  try {
    return { status: "asked", payload: await client.request(...askedChannels) };
  } catch (error) {
    if (!isCoded(error)) throw error;
    return { status: "not-asked", reason: error.message };
  }
}

/** What the findings need as well; for everything, since what this command line may do is a part of the answer. */
const askAll = (context: CliContext, { deep, usage }: More, timeoutMs: number): Promise<Contact> =>
  askGateway(
    context,
    [...liveMethods, askedSessions, ...(deep === true ? [askedChannels] : []), ...(usage === true ? [askedUsage] : [])],
    timeoutMs,
  );

/** Undefined: it did not answer, which is a finding. */
function heardFrom(contact: Contact, deep: boolean): Asked | undefined {
  if (contact.type !== "answered" || !contact.answers.payloads.has("status")) return undefined;
  const { payloads, errors, hello } = contact.answers;
  const [channels] = askedChannels;
  return {
    payload: fieldsOf(payloads.get("status")),
    state: stateOf(contact.answers),
    recent: payloads.get("sessions.list") ?? { sessions: [] },
    access: hello,
    channels: !deep
      ? undefined
      : payloads.has(channels)
        ? { status: "asked", payload: payloads.get(channels) }
        : { status: "not-asked", reason: errors.get(channels)?.message ?? "it was not asked" },
    usage: payloads.get("usage.cost"),
  };
}

function plain(asked: Asked | undefined, findings: readonly Repairable[] | undefined): object {
  const { payload, state, recent, access, channels, usage } = asked ?? {};
  return {
    ...(state === undefined ? { running: false } : { url: state.url }),
    ...payload,
    ...(recent === undefined ? {} : { recent: fieldsOf(recent)["sessions"] }),
    ...(access === undefined ? {} : { access: { role: access.role, scopes: access.scopes } }),
    ...(channels === undefined ? {} : { channels: channels.status === "asked" ? channels.payload : channels }),
    ...(usage === undefined ? {} : { usage }),
    ...(findings === undefined ? {} : { findings: findings.map(plainFinding) }),
  };
}

function formatAll(
  asked: Asked | undefined,
  findings: readonly Repairable[] | undefined,
  { about, nowMs }: { readonly about: string; readonly nowMs: number },
): readonly string[] {
  const lines: string[] = [];
  if (findings !== undefined) lines.push(about);
  if (asked !== undefined) {
    const { payload, state, access, channels, usage } = asked;
    if (access !== undefined) lines.push(...formatFacts([["access", formatAccess(access)]]));
    lines.push(
      ...formatStatus({
        gateway: state,
        agents: parseAgents(payload),
        agentsMax: findings === undefined ? limits.statusAgentsMax : Infinity,
        deadLetters: parseDeadLetterCounts(payload),
        lanes: parseLanes(payload),
        recent: parseSessions(asked.recent),
        nowMs,
      }),
    );
    if (channels !== undefined) lines.push("", ...formatChannels(channels));
    if (usage !== undefined) lines.push("", ...formatUsage(usage));
  }
  if (findings !== undefined) lines.push("", ...formatFindings(findings));
  return lines;
}

/** The exit code tells the health, for scripts. */
export function runHealth(context: CliContext, { json }: HealthOptions): Promise<ExitCode> {
  const { terminal } = context;
  return withGateway(context, ["operator.read"], async (client) => {
    const payload = fieldsOf(await client.request("health", {}));
    if (json === true) terminal.out(formatJson(payload));
    else for (const line of formatHealth(stateOf(client), payload)) terminal.out(line);
    return isHealthy(payload) ? 0 : 1;
  });
}

const stateOf = ({ url, hello }: Pick<GatewayClient, "url" | "hello">): GatewayState => ({
  url,
  version: hello.version,
  uptimeMs: hello.uptimeMs,
});
