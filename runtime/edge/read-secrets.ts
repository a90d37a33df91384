/**
 * Secrets of the edge's doors that the config refers to, read in this thread. What cannot be read closes its own door and no other: nobody gets in by it,
 * and the log says which key, which reference and what to do.
 */
import { followSecrets } from "../broker/follow-secrets.ts";
import type { WithReferences } from "../broker/port.ts";
import type { SecretReader } from "../broker/secret-refs.ts";
import { toRefusal } from "../kernel/errors.ts";
import type { Log } from "./log.ts";
import type { AuthSettings, ChangeableSettings, WebhookAccount, WebhookSettings } from "./port.ts";

export async function readDoorSecrets<T extends ChangeableSettings>(
  told: WithReferences<T>,
  secrets: Pick<SecretReader, "read">,
  log: Log,
): Promise<T> {
  /** Undefined: it cannot be read. */
  const read = async <Part>(part: WithReferences<Part>, door: string): Promise<Part | undefined> => {
    try {
      return await followSecrets<Part>(part, secrets);
    } catch (error) {
      log("error", `${door} is closed: a secret cannot be read`, { error: toRefusal(error) });
      return undefined;
    }
  };
  const settings = told as WithReferences<ChangeableSettings>;
  const { auth } = settings;
  const [openAuth, hooks, metrics, webhook, platforms] = await Promise.all([
    read<AuthSettings>(auth, "the gateway's shared secret opens nothing:"),
    read<ChangeableSettings["hooks"]>(settings.hooks, "the door of the hooks"),
    read<ChangeableSettings["metrics"]>(settings.metrics, "the door of the figures"),
    readAccounts(settings.webhook, read),
    Promise.all(
      settings.platforms.map((door) =>
        read<ChangeableSettings["platforms"][number]>(door, `the door of ${door.channel}/${door.accountId}`),
      ),
    ),
  ]);
  return {
    ...(told as T),
    auth: openAuth ?? { mode: auth.mode },
    hooks: hooks ?? { ...settings.hooks, enabled: false },
    metrics: metrics ?? {},
    webhook,
    platforms: platforms.filter((door) => door !== undefined),
  };
}

async function readAccounts(
  told: WithReferences<ChangeableSettings["webhook"]>,
  read: <Part>(part: WithReferences<Part>, door: string) => Promise<Part | undefined>,
): Promise<WebhookSettings | null> {
  if (told === null) return null;
  const accounts = await Promise.all(
    Object.entries(told.accounts).map(
      async ([name, account]) => [name, await read<WebhookAccount>(account, `the door of webhook/${name}`)] as const,
    ),
  );
  return {
    ...told,
    accounts: Object.fromEntries(
      accounts.flatMap(([name, account]) => (account === undefined ? [] : [[name, account]])),
    ),
  };
}
