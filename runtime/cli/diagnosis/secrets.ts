/** References to secrets, followed as the gateway would: which of them lead nowhere. What they lead to is not kept, and in no finding. */
import type { SecretRef } from "../../broker/port.ts";
import { findReferences, remedyFor, type SecretPlace, secretsBelow } from "../../broker/follow-secrets.ts";
import { profilesFileIn, readProfiles } from "../../broker/profile-file.ts";
import { secretsOfProviders } from "../../broker/provider-secrets.ts";
import { makeSecretReader, type SecretReader } from "../../broker/secret-refs.ts";
import type { ResolvedConfig } from "../../config/index.ts";
import { limits } from "../../kernel/limits.ts";
import { aFewAtOnce } from "../../thread/a-few-at-once.ts";
import type { Finding } from "./finding.ts";

/** As the configuration's own warnings are: `path` is the key, or the place in a file. */
export interface LostSecret {
  readonly path: string;
  readonly message: string;
  readonly remedy: string;
  /** Of a variable: the gateway may have another environment than who asks. */
  readonly isOfEnvironment: boolean;
  /** Whether it can be read is not known: those before it took too long. */
  readonly isUnread?: true;
}

/** What cannot be read keeps what needs it from working, and nothing else. */
export async function checkSecrets(config: ResolvedConfig): Promise<readonly Finding[]> {
  return (await findLostSecrets(config)).map(({ path, message, remedy, isOfEnvironment, isUnread }) => ({
    id: "config.secret",
    severity: isOfEnvironment || isUnread === true ? "warning" : "error",
    what: `${path} ${message}`,
    why:
      isUnread === true
        ? "Whether what needs it works is not known."
        : isOfEnvironment
          ? "What needs it is off, unless the gateway is given the variable in another way than this command."
          : "What needs it is off; everything else works.",
    remedy,
  }));
}

/** In the order of the configuration, without what that warns of already; then those of the agents' `auth-profiles.json`. */
export async function findLostSecrets(
  config: ResolvedConfig,
  nowMs: () => number = Date.now,
): Promise<readonly LostSecret[]> {
  const { stateDir, models, warnings } = config;
  const secrets = makeSecretReader(() => ({ stateDir, variables: models.variables }), nowMs);
  const places = [...placesIn(config), ...(await placesOfProfiles(config))];
  const once = new Map(places.map((place) => [JSON.stringify(place), place]));
  const told = new Set(warnings.map(({ path }) => path));
  const lost = await followInTime([...once.values()], secrets, nowMs);
  return lost.flat().filter(({ path }) => !told.has(path));
}

/** A few at once, and none is begun after a time: a program may take ten seconds, and there may be many. */
async function followInTime(
  places: readonly SecretPlace[],
  secrets: Pick<SecretReader, "read">,
  nowMs: () => number,
): Promise<readonly (readonly LostSecret[])[]> {
  const untilMs = nowMs() + limits.secretsCheckMs;
  const lost: (readonly LostSecret[])[] = places.map(() => []);
  await aFewAtOnce(places.entries(), limits.secretProgramsMax, async ([at, place]) => {
    lost[at] = nowMs() < untilMs ? await follow(place, secrets) : [unread(place)];
  });
  return lost;
}

const unread = ({ key }: SecretPlace): LostSecret => ({
  path: key,
  message: `was not followed: those before it took ${limits.secretsCheckMs / 1_000} s`,
  remedy: "run the programs of secret-programs by hand: one that does not answer holds up the others",
  isOfEnvironment: false,
  isUnread: true,
});

async function follow(
  { key, secret }: SecretPlace,
  secrets: Pick<SecretReader, "read">,
): Promise<readonly LostSecret[]> {
  const found = await secrets.read(secret);
  if (!("missing" in found)) return [];
  if ("ref" in secret)
    return [
      {
        path: key,
        message: `refers to a secret that cannot be read: ${found.missing}`,
        remedy: remedyFor(key, secret.ref),
        isOfEnvironment: secret.ref.source === "env",
      },
    ];
  // What a provider of models is not given by anybody is no fault: it may not be used.
  return found.missing.startsWith(`${key} `)
    ? [
        {
          path: key,
          message: found.missing.slice(key.length + 1),
          remedy: `Set the variable in the gateway's environment or in .env of the state directory, or correct ${key}.`,
          isOfEnvironment: true,
        },
      ]
    : [];
}

function placesIn(config: ResolvedConfig): readonly SecretPlace[] {
  const { models, mcp, ...rest } = config;
  return [...placesBelow(rest), ...secretsOfProviders(models.providers), ...placesOfMcp(mcp)];
}

/** Most say themselves which key they are of. */
const placesBelow = (told: unknown): readonly SecretPlace[] =>
  findReferences(told).map(({ key, ref }) => ({ key, secret: { ref } }));

const placesOfMcp = ({ servers }: ResolvedConfig["mcp"]): readonly SecretPlace[] =>
  servers.flatMap(({ name, at }) =>
    at.type === "http"
      ? secretsBelow(`mcp.servers.${name}.headers`, at.headers)
      : secretsBelow(`mcp.servers.${name}.env`, at.env),
  );

async function placesOfProfiles({ agents }: ResolvedConfig): Promise<readonly SecretPlace[]> {
  const found = await Promise.all(
    [...new Set(agents.map(({ agentDir }) => agentDir))].map(async (agentDir) => {
      const name = profilesFileIn(agentDir);
      // One that cannot be read has no references that could be followed; the gateway says so when it is asked for a model.
      const { profiles } = await readProfiles(agentDir).catch(() => ({ profiles: {} }));
      return Object.entries(profiles).flatMap(([id, profile]) =>
        profileKeys.flatMap((key) => {
          const ref = profile[key] as SecretRef | undefined;
          return ref === undefined ? [] : [{ key: `${name}: profiles.${id}.${key}`, secret: { ref } }];
        }),
      );
    }),
  );
  return found.flat();
}

const profileKeys = ["keyRef", "tokenRef", "clientSecretRef"] as const;
