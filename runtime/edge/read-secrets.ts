/**
 * Secrets of the edge's doors that the config refers to, read in this thread. What cannot be read closes its own door and no other: nobody gets in by it,
 * and the log says which key, which reference and what to do.
 */
import { joinSecretsRead, nothingRead, type SecretsRead } from "../broker/secrets-read.ts";
import {
  compareSecrets,
  findReferences,
  hasReferences,
  type ReadReferences,
  readReferences,
  replaceReferences,
} from "../broker/follow-secrets.ts";
import type { WithReferences } from "../broker/port.ts";
import type { SecretReader } from "../broker/secret-refs.ts";
import { toRefusal } from "../kernel/errors.ts";
import type { Log } from "./log.ts";
import type { AuthSettings, ChangeableSettings, WebhookAccount, WebhookSettings } from "./settings.ts";

/** Of one door: what was read of it last, and what the log has said of it. */
interface Known {
  readonly part?: unknown;
  readonly read?: ReadReferences;
  readonly told?: string;
}

export interface DoorSecrets {
  /** What a configuration tells, with its secrets. One that comes into force is followed. */
  read<T extends ChangeableSettings>(told: WithReferences<T>): Promise<ReadDoors<T>>;
  /** Looks now at what is followed. */
  look(): Promise<SecretsRead>;
  close(): void;
}

export interface ReadDoors<T> {
  readonly settings: T;
  /** From now on, in the place of the one before. `onChange` hears of another secret in the place of one, without another configuration. */
  readonly follow: (onChange: (changed: ChangeableSettings) => void) => void;
}

/** Looks again each `lookMs`: a secret that is replaced counts by then, and one that comes late opens its door. One that cannot be read any more stays as it was. */
export function makeDoorSecrets(secrets: Pick<SecretReader, "read">, log: Log, lookMs: number): DoorSecrets {
  let timer: NodeJS.Timeout | undefined;
  /** What is followed; undefined: nothing any more. */
  let followed: object | undefined = {};
  let lookNow: (() => Promise<SecretsRead>) | undefined;
  return {
    async read<T extends ChangeableSettings>(told: WithReferences<T>): Promise<ReadDoors<T>> {
      const known = new Map<string, Known>();
      const read = (note?: (read: SecretsRead) => void): Promise<T> =>
        readDoorSecrets<T>(told, secrets, log, known, note);
      const settings = await read();
      const follow: ReadDoors<T>["follow"] = (onChange) => {
        if (followed === undefined) return;
        clearTimeout(timer);
        const mine = {};
        followed = mine;
        lookNow = undefined;
        if (!hasReferences(told)) return;
        let last = JSON.stringify(settings);
        // After the look before has ended: a place that does not answer is asked once, not again and again.
        const lookLater = (): void => {
          clearTimeout(timer);
          timer = setTimeout(() => void lookNow?.(), lookMs).unref();
        };
        const look = async (): Promise<SecretsRead> => {
          const found: SecretsRead[] = [];
          const next = await read((one) => found.push(one));
          // Another configuration has come meanwhile, or the end.
          if (followed !== mine) return nothingRead;
          if (JSON.stringify(next) !== last) {
            last = JSON.stringify(next);
            log("info", "a secret of a door is another one now");
            onChange(next);
          }
          lookLater();
          return joinSecretsRead(found);
        };
        /** One after the other: what one found is not replaced by what was there before it. */
        let looking: Promise<unknown> = Promise.resolve();
        lookNow = () => {
          const looked = looking.then(look);
          looking = looked.catch(() => undefined);
          return looked;
        };
        lookLater();
      };
      return { settings, follow };
    },
    look: async () => lookNow?.() ?? nothingRead,
    close() {
      clearTimeout(timer);
      followed = undefined;
    },
  };
}

export async function readDoorSecrets<T extends ChangeableSettings>(
  told: WithReferences<T>,
  secrets: Pick<SecretReader, "read">,
  log: Log,
  known: Map<string, Known> = new Map(),
  note: (read: SecretsRead) => void = () => undefined,
): Promise<T> {
  /** Undefined: it cannot be read, and never could. */
  const read = async <Part>(part: WithReferences<Part>, door: string): Promise<Part | undefined> => {
    const before = known.get(door);
    const now = await readReferences(findReferences(part), secrets);
    note(compareSecrets(before?.read, now));
    try {
      const found = replaceReferences<Part>(part, now);
      known.set(door, { part: found, read: now });
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
    read<AuthSettings>(auth, "the door of the gateway's token or password"),
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
