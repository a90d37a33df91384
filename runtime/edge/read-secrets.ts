/**
 * Secrets of the edge's doors that the config refers to, read in this thread. What cannot be read closes its own door and no other: nobody gets in by it,
 * and the log says which key, which reference and what to do.
 */
import { followSecrets, hasReferences } from "../broker/follow-secrets.ts";
import type { WithReferences } from "../broker/port.ts";
import type { SecretReader } from "../broker/secret-refs.ts";
import { toRefusal } from "../kernel/errors.ts";
import type { Log } from "./log.ts";
import type { AuthSettings, ChangeableSettings, WebhookAccount, WebhookSettings } from "./settings.ts";

/** Of one door: what was read of it last, and what the log has said of it. */
interface Known {
  readonly part?: unknown;
  readonly told?: string;
}

export interface DoorSecrets {
  /** What is told from now on. `onChange` hears of another secret in the place of one, without another configuration. */
  read<T extends ChangeableSettings>(
    told: WithReferences<T>,
    onChange: (changed: ChangeableSettings) => void,
  ): Promise<T>;
  close(): void;
}

/** Looks again each `lookMs`: a secret that is replaced counts by then, and one that comes late opens its door. One that cannot be read any more stays as it was. */
export function makeDoorSecrets(secrets: Pick<SecretReader, "read">, log: Log, lookMs: number): DoorSecrets {
  let timer: NodeJS.Timeout | undefined;
  const close = (): void => clearInterval(timer);
  return {
    async read<T extends ChangeableSettings>(
      told: WithReferences<T>,
      onChange: (changed: ChangeableSettings) => void,
    ): Promise<T> {
      close();
      const known = new Map<string, Known>();
      const settings = await readDoorSecrets<T>(told, secrets, log, known);
      if (!hasReferences(told)) return settings;
      let last = JSON.stringify(settings);
      const look = async (mine: NodeJS.Timeout): Promise<void> => {
        const next = await readDoorSecrets<T>(told, secrets, log, known);
        // Another configuration has come meanwhile, or the end.
        if (mine !== timer || JSON.stringify(next) === last) return;
        last = JSON.stringify(next);
        log("info", "a secret of a door is another one now");
        onChange(next);
      };
      const mine = setInterval(() => void look(mine), lookMs);
      mine.unref();
      timer = mine;
      return settings;
    },
    close() {
      close();
      timer = undefined;
    },
  };
}

export async function readDoorSecrets<T extends ChangeableSettings>(
  told: WithReferences<T>,
  secrets: Pick<SecretReader, "read">,
  log: Log,
  known: Map<string, Known> = new Map(),
): Promise<T> {
  /** Undefined: it cannot be read, and never could. */
  const read = async <Part>(part: WithReferences<Part>, door: string): Promise<Part | undefined> => {
    const before = known.get(door);
    try {
      const found = await followSecrets<Part>(part, secrets);
      known.set(door, { part: found });
      return found;
    } catch (error) {
      const refusal = toRefusal(error);
      const isOpen = before?.part !== undefined;
      // Told once, however often it is looked at.
      if (before?.told !== refusal.message)
        log("error", `${door} ${isOpen ? "keeps the secret that it had" : "is closed"}: a secret cannot be read`, {
          error: refusal,
        });
      known.set(door, { ...before, told: refusal.message });
      return before?.part as Part | undefined;
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
