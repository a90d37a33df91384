/**
 * `cloister models auth login|list|logout`: credentials of `auth-profiles.json`. Needs no running gateway: a call of a model looks whether the
 * file has changed. Prints no token.
 */
import { createInterface } from "node:readline/promises";
import { setTimeout as sleep } from "node:timers/promises";
import { makeBoundedFetch } from "../../broker/bounded-fetch.ts";
import { own } from "../../broker/own.ts";
import type { SignInSettings } from "../../broker/port.ts";
import { keepProfile, type Profile, readProfiles, removeProfile } from "../../broker/profile-file.ts";
import { clientOf as readClient } from "../../broker/renewal.ts";
import { makeSecretReader, type SecretReader } from "../../broker/secret-refs.ts";
import { type OAuthClient, postForm, TokenRefusal, type Tokens } from "../../broker/token-server.ts";
import type { ResolvedAgent, ResolvedConfig } from "../../config/index.ts";
import { isSafeUrl } from "../../config/listen.ts";
import { failure, isCoded } from "../../kernel/errors.ts";
import { limits } from "../../kernel/limits.ts";
import { type CliContext, commandPrefix, type ExitCode } from "../context.ts";
import { orUnusable } from "../credential-file.ts";
import { openBrowser } from "../open-browser.ts";
import { readConfig } from "../read-config.ts";
import { signInByBrowser } from "../sign-in/browser.ts";
import { type DeviceCode, signInByDevice } from "../sign-in/device.ts";
import { findServer } from "../sign-in/server.ts";
import { orGivenUp, type SignIn } from "../sign-in/sign-in.ts";
import { signalExitCodes, type StopSignal } from "../terminal.ts";
import { formatDuration, formatJson, formatTable, formatTime } from "../views/table.ts";

export interface AuthListOptions {
  readonly agent?: string;
  readonly json?: boolean;
}

export interface LogoutOptions extends AuthListOptions {
  readonly provider: string;
  readonly authProfile?: string;
}

export interface LoginOptions extends LogoutOptions {
  readonly device?: boolean;
  readonly paste?: boolean;
  readonly open: boolean;
}

export async function runAuthLogin(context: CliContext, options: LoginOptions): Promise<ExitCode> {
  const { terminal, nowMs } = context;
  const { provider, device = false, paste = false } = options;
  if (device && paste)
    throw failure("CLOISTER_REQUEST_INVALID", "Signing in: found --device and --paste, wanted one of the two.");
  const config = await readConfig(context);
  const agent = findAgent(context, config, options.agent);
  const id = profileIdOf(options);
  const settings = signInOf(context, config, provider);
  const fetch = makeBoundedFetch();
  let stopped: StopSignal | undefined;
  const abort = new AbortController();
  const release = terminal.onSignal((signal) => {
    stopped = signal;
    abort.abort(failure("CLOISTER_ASK_ABORTED", `Signing in to ${provider}: it was given up.`));
  });
  const timer = setTimeout(
    () =>
      abort.abort(
        failure(
          "CLOISTER_MODEL_CREDENTIAL",
          `Signing in to ${provider}: nobody did within ${formatDuration(limits.signInMs)}.`,
          "Run the command again.",
        ),
      ),
    limits.signInMs,
  );
  try {
    const client = await clientOf(config, provider, settings, nowMs);
    const server = await findServer(provider, settings, fetch);
    const shared: SignIn = { provider, settings, server, client, fetch, nowMs, signal: abort.signal };
    const isByDevice = device || (server.authorizationUrl === undefined && !paste);
    const tokens = await (isByDevice ? byDevice(context, options, shared) : byBrowser(context, options, shared));
    const { access, expires, refresh } = tokens;
    await keepProfile(agent.agentDir, id, {
      type: "oauth",
      provider,
      access,
      expires,
      ...(refresh === undefined ? {} : { refresh }),
      tokenUrl: server.tokenUrl,
      ...keptClient(client, settings),
      ...(server.revocationUrl === undefined ? {} : { revocationUrl: server.revocationUrl }),
    });
    await tellKept(context, config, options, agent, { id, settings, tokens });
    return 0;
  } catch (error) {
    if (stopped !== undefined) return signalExitCodes[stopped];
    throw explained(error, provider);
  } finally {
    clearTimeout(timer);
    release();
  }
}

/** What a server or the file says is no code of ours. */
function explained(error: unknown, provider: string): unknown {
  if (isCoded(error)) return error;
  const remedy =
    error instanceof TokenRefusal ? `Look at models.providers.${provider}.oauth; run the command again.` : "Try again.";
  return failure("CLOISTER_MODEL_CREDENTIAL", `Signing in to ${provider}: ${(error as Error).message}.`, remedy, error);
}

function byBrowser(context: CliContext, { json, open, paste }: LoginOptions, shared: SignIn): Promise<Tokens> {
  const { terminal, platform } = context;
  return signInByBrowser({
    ...shared,
    show(address) {
      if (json === true) terminal.out(formatJson({ status: "open", url: address }));
      else {
        terminal.err("Open this address and sign in:");
        terminal.out(address);
      }
      if (open && json !== true && paste !== true && terminal.isTty)
        openBrowser(address, platform, () => terminal.err("no browser could be started: open the address by hand"));
    },
    ...(paste === true ? { paste: () => orGivenUp(readLine(context, shared.signal), shared.signal) } : {}),
  });
}

function byDevice({ terminal }: CliContext, { json }: LoginOptions, shared: SignIn): Promise<Tokens> {
  const show = ({ url, code, wholeUrl, expiresAtMs }: DeviceCode): void => {
    if (json === true) {
      const whole = wholeUrl === undefined ? {} : { wholeUrl };
      return terminal.out(formatJson({ status: "code", url, code, ...whole, expiresAtMs }));
    }
    terminal.out(`Open ${url} on any device, and type the code ${code}`);
    if (wholeUrl !== undefined) terminal.out(`The code is in this address already: ${wholeUrl}`);
    terminal.err(`It counts until ${formatTime(expiresAtMs)} UTC.`);
  };
  return signInByDevice({ ...shared, show, pause });
}

/** What is given up leaves no timer behind, for which the process would stay. */
const pause = (ms: number, signal: AbortSignal): Promise<unknown> =>
  sleep(ms, undefined, { signal }).catch(() => signal.throwIfAborted());

/** Reads no further when it is given up: the process would stay as long as its input is open. */
async function readLine({ terminal }: CliContext, signal: AbortSignal): Promise<string> {
  terminal.err("Then paste the whole address at which the browser ended, also when the page did not load:");
  const lines = createInterface({ input: terminal.input, crlfDelay: Infinity, signal });
  try {
    for await (const line of lines) if (line.trim() !== "") return line;
    return "";
  } finally {
    lines.close();
  }
}

interface Kept {
  readonly id: string;
  readonly settings: SignInSettings;
  readonly tokens: Tokens;
}

async function tellKept(
  context: CliContext,
  config: ResolvedConfig,
  { provider, json }: LoginOptions,
  { id: agentId, agentDir }: ResolvedAgent,
  { id, settings: { scopes }, tokens: { expires, refresh, scope } }: Kept,
): Promise<void> {
  const { terminal } = context;
  const granted = scope?.split(" ");
  const missing = granted === undefined ? [] : scopes.filter((each) => !granted.includes(each));
  const { order } = await readProfiles(agentDir);
  const isLeftOut =
    own(order, provider) === undefined && own(config.models.authOrder, provider)?.includes(id) === false;
  const isRenewed = refresh !== undefined;
  if (json === true)
    return terminal.out(
      formatJson({ status: "kept", agent: agentId, profile: id, provider, expires, isRenewed, missing, isLeftOut }),
    );
  terminal.out(`signed in to ${provider}: ${id} of the agent ${agentId}`);
  if (!isRenewed) terminal.err(`it counts until ${formatTime(expires)} UTC and cannot be renewed: sign in again then`);
  if (missing.length > 0) terminal.err(`the provider did not grant: ${missing.join(" ")}`);
  if (isLeftOut)
    terminal.err(
      `auth.order.${provider} of the config leaves it out, so that it is not used: add ${JSON.stringify(id)}`,
    );
}

export async function runAuthList(context: CliContext, { agent, json }: AuthListOptions): Promise<ExitCode> {
  const { terminal, nowMs } = context;
  const config = await readConfig(context);
  const agents = agent === undefined ? config.agents : [findAgent(context, config, agent)];
  const found = await Promise.all(
    agents.map(async ({ id, agentDir }) =>
      Object.entries((await readFileOf(agentDir)).profiles).map(([profile, facts]) => ({
        agent: id,
        profile,
        provider: facts.provider,
        type: facts.type,
        state: stateOf(facts, nowMs()),
        ...(typeof facts.expires === "number" ? { expires: facts.expires } : {}),
      })),
    ),
  );
  const profiles = found.flat();
  if (json === true) terminal.out(formatJson({ defaultAgent: config.defaultAgentId, profiles }));
  else if (profiles.length === 0)
    terminal.err(
      `no credential is kept; sign in with \`${commandPrefix(context)} models auth login --provider <id>\`, or set the provider's key`,
    );
  else {
    const columns = ["AGENT", "PROFILE", "PROVIDER", "TYPE", "STATE", "UNTIL"].map((title) => ({ title }));
    const rows = profiles.map((row) => [
      row.agent,
      row.profile,
      row.provider,
      row.type,
      row.state,
      formatTime(row.expires ?? 0),
    ]);
    for (const line of formatTable(columns, rows)) terminal.out(line);
  }
  return 0;
}

/** What a call of a model would find, without asking anybody. */
function stateOf({ type, key, keyRef, token, tokenRef, access, refresh, expires }: Profile, nowMs: number): string {
  if (![key, keyRef, token, tokenRef, access].some((one) => one !== undefined && one !== "")) return "missing";
  if (type === "api_key" || typeof expires !== "number") return "set";
  if (expires > nowMs) return "set";
  return type === "oauth" && refresh !== undefined ? "renewed with the next call" : "expired";
}

export async function runAuthLogout(context: CliContext, options: LogoutOptions): Promise<ExitCode> {
  const { terminal } = context;
  const { provider, json } = options;
  const config = await readConfig(context);
  const { id: agent, agentDir } = findAgent(context, config, options.agent);
  const id = profileIdOf(options);
  const kept = own((await readFileOf(agentDir)).profiles, id);
  if (kept === undefined || kept.provider !== provider)
    throw failure(
      "CLOISTER_REQUEST_INVALID",
      `Signing out of ${provider}: the agent ${agent} has no credential ${JSON.stringify(id)} for it.`,
      `\`${commandPrefix(context)} models auth list\` shows those that there are.`,
    );
  // Forgotten first: what is given back must not be used any more.
  const removed = (await removeProfile(agentDir, id)) ?? kept;
  const revoked = await revoke(removed, secretsOf(config, context.nowMs));
  if (json === true)
    terminal.out(
      formatJson({
        agent,
        profile: id,
        provider,
        revoked: revoked === "revoked",
        ...(revoked === "revoked" ? {} : { reason: revoked }),
      }),
    );
  else {
    terminal.out(`${id} of the agent ${agent} is forgotten`);
    if (revoked !== "revoked")
      terminal.err(`its tokens may still count at ${provider} (${revoked}): end the session there if that matters`);
  }
  return 0;
}

/** RFC 7009. Of the two the refresh token: with it the others end. */
async function revoke(profile: Profile, secrets: SecretReader): Promise<string> {
  const { refresh, access, clientId, revocationUrl } = profile;
  const token = refresh ?? access;
  if (
    typeof revocationUrl !== "string" ||
    typeof clientId !== "string" ||
    token === undefined ||
    !isSafeUrl(revocationUrl)
  )
    return "it takes none back";
  const hint = refresh === undefined ? "access_token" : "refresh_token";
  try {
    const client = await readClient({ ...profile, clientId }, secrets);
    await postForm(makeBoundedFetch(), revocationUrl, { token, token_type_hint: hint }, client);
    return "revoked";
  } catch (error) {
    return (error as Error).message;
  }
}

export function findAgent(
  context: CliContext,
  { agents, defaultAgentId }: ResolvedConfig,
  id = defaultAgentId,
): ResolvedAgent {
  const found = agents.find((agent) => agent.id === id);
  if (found !== undefined) return found;
  throw failure(
    "CLOISTER_REQUEST_INVALID",
    `Credentials of the agent ${JSON.stringify(id)}: the config has none of this id; those are ${agents.map((agent) => agent.id).join(", ")}.`,
    `Name one of them with --agent, or add it with \`${commandPrefix(context)} agents add\`.`,
  );
}

function profileIdOf({ provider, authProfile = `${provider}:default` }: LogoutOptions): string {
  if (/^[a-z0-9][\w.:@+-]{0,127}$/i.test(authProfile)) return authProfile;
  throw failure(
    "CLOISTER_REQUEST_INVALID",
    `Naming the credential: found ${JSON.stringify(authProfile.slice(0, 140))}, wanted 1 to 128 letters, digits, "_", ".", ":", "@", "+" and "-", the first a letter or a digit.`,
    "Change --auth-profile.",
  );
}

function signInOf(context: CliContext, { models }: ResolvedConfig, provider: string): SignInSettings {
  const found = own(models.providers, provider);
  if (found?.oauth !== undefined) return found.oauth;
  const others = Object.values(models.providers).flatMap(({ id, oauth }) => (oauth === undefined ? [] : [id]));
  throw failure(
    "CLOISTER_REQUEST_INVALID",
    `Signing in to ${JSON.stringify(provider.slice(0, 140))}: ${found === undefined ? "the config has no such provider" : "the config does not say how"}; ${others.length === 0 ? "nobody signs in to any" : `those that can be signed in to are ${others.join(", ")}`}.`,
    found === undefined
      ? `Add it to models.providers.`
      : `Set models.providers.${provider}.oauth, or use its key: \`${commandPrefix(context)} secrets set ${provider}\`.`,
  );
}

export const secretsOf = ({ stateDir, models: { variables } }: ResolvedConfig, nowMs: () => number): SecretReader =>
  makeSecretReader(() => ({ stateDir, variables }), nowMs);

/** A secret that is somewhere stays there: what is kept says where. */
const keptClient = ({ clientId, ...proof }: OAuthClient, { clientSecret }: SignInSettings) =>
  clientSecret !== undefined && "ref" in clientSecret
    ? { clientId, clientSecretRef: clientSecret.ref }
    : { clientId, ...proof };

async function clientOf(
  config: ResolvedConfig,
  provider: string,
  { clientId, clientSecret }: SignInSettings,
  nowMs: () => number,
): Promise<OAuthClient> {
  if (clientSecret === undefined) return { clientId };
  const found = await secretsOf(config, nowMs).read(clientSecret);
  if ("value" in found) return { clientId, clientSecret: found.value };
  throw failure(
    "CLOISTER_MODEL_CREDENTIAL",
    `Signing in to ${provider}: models.providers.${provider}.oauth.clientSecret has no value: ${found.missing}.`,
    "Correct what it refers to.",
  );
}

const readFileOf = (agentDir: string): ReturnType<typeof readProfiles> => orUnusable(readProfiles(agentDir));
