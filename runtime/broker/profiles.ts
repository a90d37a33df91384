/**
 * Credentials of providers, by agent. An agent's own are in `auth-profiles.json` of its `agentDir`; one that has none for a provider reads
 * the default agent's when it calls, and nothing is copied (behaviour §6.4). After those comes what the config says of the provider.
 * A file is read again when it has changed; its form is in `profile-file.ts`.
 */
import { statSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { limits } from "../kernel/limits.ts";
import { own } from "./own.ts";
import type { ModelSettings, ProviderSettings, SecretRef } from "./port.ts";
import { parseProfiles, type Profile, type ProfileFile, profilesFileIn } from "./profile-file.ts";
import { isOld, type Renewal } from "./renewal.ts";
import type { SecretReader } from "./secret-refs.ts";
import { isSendable, sendable, unsendable } from "./sendable.ts";

/** Why a credential is not used. Source: behaviour §6.4. */
export type ProfileProblem =
  | "missing_credential"
  | "expired"
  | "invalid_expires"
  | "unresolved_ref"
  | "excluded_by_auth_order"
  | "ineligible_profile";

export interface Credential {
  /** Of the profile; of the config `models.providers.<id>.apiKey`. */
  readonly id: string;
  /** Undefined: the provider needs none. */
  readonly secret: { readonly type: "key" | "token"; readonly value: string } | undefined;
}

interface Problem {
  readonly id: string;
  readonly reason: ProfileProblem;
  readonly detail?: string;
  /** What an agent is not told: where things are on this machine. */
  readonly forOperator?: string;
}

export interface Credentials {
  /** Whose file has profiles for the provider: the agent's own, or the default agent's; absent: neither has. */
  readonly from?: string;
  /** In the order in which they are tried. */
  readonly usable: readonly Credential[];
  /** For people: what was looked at and is not used. */
  readonly problems: readonly Problem[];
}

export interface ProfileStore {
  /**
   * Order: the one that was chosen for the session, the file's order, `auth.order`, that of the file. Rejects with an ordinary error that says what is
   * wrong with the file.
   */
  find(agentId: string, provider: ProviderSettings, chosen?: string): Promise<Credentials>;
  /** Which the agent's calls of a provider may be made with, by name, whether they can be used now or not. Reads and renews no secret; rejects as `find`. */
  names(agentId: string, providerId: string): Promise<readonly string[]>;
  /** Which kind the first of them is, in their order; undefined: there is none. Reads and renews no secret; rejects as `find`. */
  firstType(agentId: string, providerId: string): Promise<string | undefined>;
}

export function makeProfiles(
  settings: () => ModelSettings,
  secrets: Pick<SecretReader, "read">,
  renew: Renewal,
  nowMs: () => number,
): ProfileStore {
  const read = new Map<string, { readonly stamp: string; readonly file: ProfileFile }>();

  const load = async (agentDir: string): Promise<ProfileFile | undefined> => {
    const name = profilesFileIn(agentDir);
    // With each call, so that a new credential counts at once. Through the pool it would take ten times the CPU, and an error for each agent without a file.
    const facts = statSync(name, { throwIfNoEntry: false });
    if (facts === undefined) {
      read.delete(name);
      return undefined;
    }
    const stamp = `${facts.mtimeMs} ${facts.size} ${facts.ino}`;
    const known = read.get(name);
    if (known?.stamp === stamp) return known.file;
    if (facts.size > limits.configBytesMax) throw new Error(`${name} has more than ${limits.configBytesMax} bytes`);
    const file = parseProfiles(name, await readFile(name, "utf8"));
    read.set(name, { stamp, file });
    return file;
  };

  /**
   * A token that is old and has one to renew it. When that fails, the freshest of the same account: its own file, which another process may have
   * changed meanwhile, and the default agent's. Without a fresher one it stays as it is: it may still be good for this call.
   */
  const renewed = async (
    profile: Profile,
    id: string,
    agentDir: string,
    defaultDir: string | undefined,
  ): Promise<Profile & Pick<Problem, "forOperator">> => {
    if (!isToRenew(profile, nowMs())) return profile;
    try {
      return { ...profile, ...(await renew(profilesFileIn(agentDir), id)) };
    } catch (error) {
      const others = defaultDir === undefined || defaultDir === agentDir ? [] : [defaultDir];
      let freshest: Profile = profile;
      for (const dir of [agentDir, ...others]) {
        const other = own((await load(dir).catch(() => undefined))?.profiles, id);
        if (other === undefined || (dir !== agentDir && !isSameAccount(profile, other))) continue;
        // What is the default agent's is renewed where it is, and not copied.
        const found = dir === agentDir ? other : await renewed(other, id, dir, undefined);
        if (expiryOf(found) > expiryOf(freshest)) freshest = found;
      }
      return freshest === profile || expiryOf(freshest) <= nowMs()
        ? { ...profile, forOperator: `${id} was not renewed: ${(error as Error).message}` }
        : freshest;
    }
  };

  /** The agent's own, else the default agent's. */
  const look = async (
    agentId: string,
    providerId: string,
  ): Promise<{ readonly isLocal: boolean; readonly found: Found }> => {
    const { agents, defaultAgentId } = settings();
    const local = await profilesOf(load, own(agents, agentId)?.agentDir, providerId);
    if (local.ids.length > 0) return { isLocal: true, found: local };
    return { isLocal: false, found: await profilesOf(load, own(agents, defaultAgentId)?.agentDir, providerId) };
  };

  const orderOf = ({ order, ids }: Found, providerId: string): readonly string[] =>
    order ?? own(settings().authOrder, providerId) ?? ids;

  return {
    names: async (agentId, providerId) => (await look(agentId, providerId)).found.ids,
    async firstType(agentId, providerId) {
      const { found } = await look(agentId, providerId);
      const first = orderOf(found, providerId).find((id) => found.ids.includes(id));
      return first === undefined ? undefined : own(found.profiles, first)?.type;
    },
    async find(agentId, provider, chosen) {
      const { agents, defaultAgentId } = settings();
      const problems: Problem[] = [];
      const usable: Credential[] = [];
      const { isLocal, found } = await look(agentId, provider.id);
      const listed = orderOf(found, provider.id);
      const isThere = chosen !== undefined && found.ids.includes(chosen);
      const order = isThere ? [chosen, ...listed] : listed;
      if (chosen !== undefined && !isThere)
        problems.push({
          id: chosen,
          reason: "missing_credential",
          forOperator: `${chosen} was chosen for the session, and ${provider.id} has no profile of this name`,
        });
      for (const id of new Set([...order, ...found.ids])) {
        const profile = own(found.profiles, id);
        if (profile === undefined) continue;
        if (!order.includes(id)) {
          problems.push({ id, reason: "excluded_by_auth_order" });
          continue;
        }
        const judged = await judge(
          await renewed(profile, id, found.agentDir, own(agents, defaultAgentId)?.agentDir),
          provider.id,
          secrets,
          nowMs(),
        );
        if ("reason" in judged) problems.push({ id, ...judged });
        else usable.push({ id, secret: judged });
      }
      const configured = await ofConfig(provider, secrets);
      if (configured !== undefined && "secret" in configured) usable.push(configured);
      else if (configured !== undefined) problems.push(configured);
      return { usable, problems, ...(found.ids.length === 0 ? {} : { from: isLocal ? agentId : defaultAgentId }) };
    },
  };
}

/** Why there is none, for people. */
export function describeProblems(problems: Credentials["problems"]): string {
  if (problems.length === 0) return "missing_credential";
  return problems
    .map(
      ({ id, reason, detail = "" }) =>
        `${reason} (${detail.startsWith(id) ? detail : [id, detail].filter(Boolean).join(": ")})`,
    )
    .join(", ");
}

const isToRenew = ({ type, refresh, expires }: Profile, nowMs: number): boolean =>
  type === "oauth" && refresh !== undefined && typeof expires === "number" && isOld(expires, nowMs);

const expiryOf = ({ expires }: Profile): number => (typeof expires === "number" ? expires : 0);

/** Both say whose they are, and say the same: a token of somebody else would act as him. */
function isSameAccount(one: Profile, other: Profile): boolean {
  if (one.type !== other.type || one.provider !== other.provider) return false;
  const said = accountMarks.filter((mark) => typeof one[mark] === "string" && typeof other[mark] === "string");
  return said.length > 0 && said.every((mark) => one[mark] === other[mark]);
}

const accountMarks = ["accountId", "email"] as const;

interface Found {
  readonly agentDir: string;
  readonly ids: readonly string[];
  readonly profiles: ProfileFile["profiles"];
  readonly order: readonly string[] | undefined;
}

async function profilesOf(
  load: (agentDir: string) => Promise<ProfileFile | undefined>,
  agentDir: string | undefined,
  provider: string,
): Promise<Found> {
  const file = agentDir === undefined ? undefined : await load(agentDir);
  if (file === undefined || agentDir === undefined) return { ids: [], profiles: {}, order: undefined, agentDir: "" };
  const ids = Object.keys(file.profiles).filter((id) => file.profiles[id]?.provider === provider);
  return { ids, profiles: file.profiles, order: own(file.order, provider), agentDir };
}

/** What the config says of the provider itself; undefined: that it needs a key, and has none of its own. */
async function ofConfig(
  { id, api, apiKey, baseUrl }: ProviderSettings,
  secrets: Pick<SecretReader, "read">,
): Promise<Credential | Problem | undefined> {
  const name = `models.providers.${id}.apiKey`;
  if (apiKey !== undefined) {
    const found = sendable(await secrets.read(apiKey));
    if ("value" in found) return { id: name, secret: { type: "key", value: found.value } };
    return "ref" in apiKey
      ? { id: name, reason: "unresolved_ref", detail: apiKey.ref.source, forOperator: found.missing }
      : { id: name, reason: "missing_credential", detail: found.missing };
  }
  // Servers of one's own ask for none.
  const isOpen = api === "ollama" || api === "scripted" || (api === "openai-completions" && baseUrl !== undefined);
  return isOpen ? { id: name, secret: undefined } : undefined;
}

type Judged = NonNullable<Credential["secret"]> | Omit<Problem, "id">;

async function judge(
  profile: Profile & Pick<Problem, "forOperator">,
  provider: string,
  secrets: Pick<SecretReader, "read">,
  nowMs: number,
): Promise<Judged> {
  if (profile.provider !== provider) return { reason: "ineligible_profile", detail: `it is for ${profile.provider}` };
  const kinds = {
    api_key: { type: "key", written: profile.key, ref: profile.keyRef, mayExpire: false },
    token: { type: "token", written: profile.token, ref: profile.tokenRef, mayExpire: true },
    oauth: { type: "token", written: profile.access, ref: undefined, mayExpire: true },
  } as const;
  const kind = Object.hasOwn(kinds, profile.type) ? kinds[profile.type as keyof typeof kinds] : undefined;
  if (kind === undefined)
    return { reason: "ineligible_profile", detail: `its type is ${JSON.stringify(profile.type)}` };
  const { expires } = profile;
  if (kind.mayExpire && expires !== undefined) {
    if (typeof expires !== "number" || !Number.isFinite(expires) || expires <= 0) return { reason: "invalid_expires" };
    const { forOperator } = profile;
    if (expires <= nowMs) return { reason: "expired", ...(forOperator === undefined ? {} : { forOperator }) };
  }
  if (kind.ref !== undefined && (kind.written ?? "") === "") {
    const found = sendable(await secrets.read({ ref: kind.ref as SecretRef }));
    if ("value" in found) return { type: kind.type, value: found.value };
    return { reason: "unresolved_ref", detail: kind.ref.source, forOperator: found.missing };
  }
  const value = kind.written?.trim() ?? "";
  if (value === "") return { reason: "missing_credential" };
  return isSendable(value) ? { type: kind.type, value } : { reason: "missing_credential", detail: unsendable };
}
