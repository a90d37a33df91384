/**
 * The channels and their accounts as they stand, and the login of an account that a person links by scanning a code. It is read while somebody
 * looks: no event tells of connections, and a code is for who asked for it.
 */
import { type ReadonlySignal, signal } from "@preact/signals";
import { noJob, type Timers } from "../client.ts";
import { count, fieldsOf, list, text } from "../wire.ts";
import type { Work } from "../work.ts";
import { type DeskDeps, makeLatest } from "./desk.ts";

export interface ChannelAccount {
  readonly channel: string;
  readonly accountId: string;
  readonly state: "connected" | "linking" | "connecting" | "failed";
  /** As people on the platform see it. */
  readonly name?: string;
  readonly error?: string;
  readonly remedy?: string;
}

export interface ChannelEntry {
  readonly channel: string;
  /** Its accounts are logged in by a code, and not by a credential of the configuration. */
  readonly linksByCode: boolean;
  readonly accounts: readonly ChannelAccount[];
  /** Texts that wait to be sent. */
  readonly outbox: number;
  readonly possibleDuplicates: number;
  readonly restarts: number;
}

/** The login that the page has asked for. */
export interface Login {
  readonly channel: string;
  readonly accountId: string;
  readonly status: "code" | "linked" | "connecting" | "waiting" | "failed";
  readonly code?: { readonly text: string; readonly expiresAtMs: number };
  readonly name?: string;
  readonly reason?: string;
  readonly remedy?: string;
}

export interface ChannelsState {
  /** Undefined: not read yet. */
  readonly channels: readonly ChannelEntry[] | undefined;
  readonly login: Login | undefined;
  readonly error: string | undefined;
}

type AccountPlace = Pick<ChannelAccount, "channel" | "accountId">;

export interface ChannelDesk {
  readonly state: ReadonlySignal<ChannelsState>;
  /** Somebody looks at it, or nobody does any more: then it is not read, and no code is asked for. */
  readonly look: (isShown: boolean) => void;
  readonly logIn: (place: AccountPlace) => void;
  /** The code is shown no longer. */
  readonly leaveLogin: () => void;
  readonly logOut: (place: AccountPlace) => void;
}

const everyMs = 5_000;
const codeEveryMs = 1_000;

export const accountKey = ({ channel, accountId }: AccountPlace): string => `${channel}/${accountId}`;

export function openChannels({ request, isReady }: DeskDeps, { act }: Pick<Work, "act">, timers: Timers): ChannelDesk {
  const state = signal<ChannelsState>({ channels: undefined, login: undefined, error: undefined });
  const set = (change: Partial<ChannelsState>): void => {
    state.value = { ...state.value, ...change };
  };
  const latest = makeLatest();
  const latestLogin = makeLatest();
  let isShown = false;
  let cancelRead = noJob;
  let cancelLogin = noJob;

  const read = async (): Promise<void> => {
    cancelRead();
    const isLatest = latest();
    const reply = isReady() ? await request("channels.status", {}) : undefined;
    if (!isLatest()) return;
    if (reply?.ok === true) set({ channels: parseChannels(reply.payload), error: undefined });
    else if (reply !== undefined) set({ error: `The channels could not be read: ${reply.error.message}` });
    if (isShown) cancelRead = timers.after(everyMs, () => void read());
  };

  /** Until it is linked or given up. What it says while the page is not connected is asked again. */
  const follow = async ({ channel, accountId }: AccountPlace, begin: boolean): Promise<void> => {
    const isLatest = latestLogin();
    const reply = isReady() ? await request("channels.login", { channel, accountId, begin }) : undefined;
    if (!isLatest()) return;
    const isLost = reply === undefined || (!reply.ok && !isReady());
    if (!isLost) {
      const login: Login = reply.ok
        ? { channel, accountId, ...parseLogin(reply.payload) }
        : { channel, accountId, status: "failed", reason: reply.error.message };
      set({ login });
      if (login.status === "linked" || login.status === "failed") return read();
    }
    cancelLogin = timers.after(codeEveryMs, () => void follow({ channel, accountId }, isLost && begin));
  };

  const leaveLogin = (): void => {
    latestLogin();
    cancelLogin();
    set({ login: undefined });
  };

  return {
    state,
    look(shown) {
      isShown = shown;
      if (shown) {
        void read();
        return;
      }
      latest();
      cancelRead();
      leaveLogin();
    },
    logIn({ channel, accountId }) {
      cancelLogin();
      set({ login: { channel, accountId, status: "connecting" } });
      void follow({ channel, accountId }, true);
    },
    leaveLogin,
    logOut({ channel, accountId }) {
      leaveLogin();
      const key = accountKey({ channel, accountId });
      const done = (): string => `${key} is logged out.`;
      const failed = `${key} could not be logged out`;
      void act(key, { method: "channels.logout", params: { channel, accountId }, failed, done }, read);
    },
  };
}

/** The answer of `channels.status`, in the gateway's order. */
function parseChannels(payload: unknown): readonly ChannelEntry[] {
  const answer = fieldsOf(payload);
  const summaries = fieldsOf(answer["channels"]);
  const accounts = fieldsOf(answer["channelAccounts"]);
  return list(answer["channelOrder"]).flatMap((value): ChannelEntry[] => {
    const channel = text(value);
    if (channel === undefined) return [];
    const summary = fieldsOf(summaries[channel]);
    return [
      {
        channel,
        linksByCode: summary["linksByCode"] === true,
        outbox: count(summary["outbox"]),
        possibleDuplicates: count(summary["possibleDuplicates"]),
        restarts: count(summary["restarts"]),
        accounts: list(accounts[channel]).flatMap((account) => parseAccount(channel, account)),
      },
    ];
  });
}

function parseAccount(channel: string, value: unknown): readonly ChannelAccount[] {
  const row = fieldsOf(value);
  const accountId = text(row["accountId"]);
  if (accountId === undefined) return [];
  const [name, error, remedy] = [text(row["name"]), text(row["lastError"]), text(row["remedy"])];
  return [
    {
      channel,
      accountId,
      state: stateOf(row),
      ...(name === undefined ? {} : { name }),
      ...(error === undefined ? {} : { error }),
      ...(remedy === undefined ? {} : { remedy }),
    },
  ];
}

/** The webhook has no connection: its accounts run. */
function stateOf({
  linking,
  connected,
  running,
  lastError,
}: Readonly<Record<string, unknown>>): ChannelAccount["state"] {
  if (linking === true) return "linking";
  if (running !== true) return "failed";
  return connected === true || (connected === undefined && lastError === undefined) ? "connected" : "connecting";
}

const loginStates = ["code", "linked", "connecting", "waiting", "failed"] as const;

/** The answer of `channels.login`. */
function parseLogin(payload: unknown): Omit<Login, "channel" | "accountId"> {
  const row = fieldsOf(payload);
  const code = fieldsOf(row["code"]);
  const [words, name, reason, remedy] = [
    text(code["text"]),
    text(row["name"]),
    text(row["reason"]),
    text(row["remedy"]),
  ];
  return {
    status: loginStates.find((known) => known === row["status"]) ?? "connecting",
    ...(words === undefined ? {} : { code: { text: words, expiresAtMs: count(code["expiresAtMs"]) } }),
    ...(name === undefined ? {} : { name }),
    ...(reason === undefined ? {} : { reason }),
    ...(remedy === undefined ? {} : { remedy }),
  };
}
