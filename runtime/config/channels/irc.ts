/** Networks of IRC as the file has them. */
import type { IrcSettings } from "../../../channels/irc/manifest.ts";
import { limits } from "../../kernel/limits.ts";
import type { WithReferences } from "../../broker/port.ts";
import {
  type AccountResults,
  commonSettings,
  firstCredential,
  missing,
  type ResolvedAccount,
  resolveAccounts,
  type WrittenAccount,
} from "../channel-accounts.ts";
import { readCredential } from "../credentials.ts";
import type { Draft } from "../draft.ts";
import { formatPath, type Path } from "../issue.ts";
import type { Config } from "../schema.ts";

type Section = NonNullable<Config["channels"]["irc"]>;

export const readIrc = (draft: Draft): AccountResults<WithReferences<IrcSettings>> =>
  resolveAccounts(draft, "irc", draft.config.channels.irc, readNetwork);

function readNetwork(
  account: WrittenAccount<Section["accounts"][string], Section>,
): ResolvedAccount<WithReferences<IrcSettings>> {
  const { path, root, own, section, draft } = account;
  const host = own.host ?? section.host;
  const nick = own.nick ?? section.nick;
  if (host === undefined || nick === undefined) {
    const key = host === undefined ? "host" : "nick";
    return missing([...path, key], { status: "absent" }, `Set ${formatPath([...path, key])}.`);
  }
  const tls = own.tls ?? section.tls ?? true;
  const password = firstCredential(
    [
      [path, "password", own.password],
      [root, "password", section.password],
    ],
    draft,
  );
  if (password.status === "unusable") return missing([...path, "password"], password, password.remedy);
  const service = own.nickserv ?? section.nickserv;
  const identity = service?.enabled === false ? undefined : service;
  const identityPath: Path = [...(own.nickserv === undefined ? root : path), "nickserv"];
  const identityPassword = firstCredential([[identityPath, "password", identity?.password]], draft);
  if (identity !== undefined && identityPassword.status !== "set")
    return missing([...identityPath, "password"], identityPassword, "Set it, or remove nickserv.");
  const rooms = own.channels ?? section.channels ?? [];
  const roomsPath: Path = [...(own.channels === undefined ? root : path), "channels"];
  return {
    settings: {
      ...commonSettings(account),
      host,
      port: own.port ?? section.port ?? (tls ? 6697 : 6667),
      tls,
      nick,
      username: own.username ?? section.username ?? nick,
      realname: own.realname ?? section.realname ?? nick,
      lineMs: own.lineMs ?? section.lineMs ?? limits.ircLineMs,
      ...(password.status === "set" ? { password: password.value } : {}),
      ...(identity === undefined || identityPassword.status !== "set"
        ? {}
        : {
            nickserv: {
              service: identity.service ?? "NickServ",
              password: identityPassword.value,
              ...(identity.account === undefined ? {} : { account: identity.account }),
            },
          }),
      channels: rooms.map((room, index) => {
        if (typeof room === "string") return { name: room };
        const key = readCredential([...roomsPath, index, "password"], room.password, draft);
        return { name: room.name, ...(key.status === "set" ? { key: key.value } : {}) };
      }),
    },
  };
}
