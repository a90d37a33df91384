/** `channels.irc`. */
import * as z from "zod";
import { limits } from "../../kernel/limits.ts";
import { built } from "./channel-keys.ts";
import { key } from "./note.ts";
import { filledText, secret } from "./values.ts";

const ircText = () => z.string().regex(/^[^\s\p{Cc}]+$/u, "must be one word");

const ircKeys = () => ({
  host: key("Server.", filledText().optional()),
  port: key("Port; 6697 by default, without TLS 6667.", z.int().min(1).max(65_535).optional()),
  tls: key("`false` connects without TLS.", z.boolean().optional()),
  nick: key("Name of the account.", ircText().max(50).optional()),
  username: key("Name of the user; as the nick by default.", ircText().max(50).optional()),
  realname: key("What others are told of the user; as the nick by default.", filledText().max(200).optional()),
  password: key("Password of the server.", secret().optional()),
  nickserv: key(
    "Identifies the account with the network after login.",
    z
      .strictObject({
        enabled: key("`false`: it does not.", z.boolean().optional()),
        service: key("Who is told; NickServ by default.", ircText().optional()),
        account: key("Name of the registered account, where it is not the nick.", ircText().optional()),
        password: key("Its password.", secret().optional()),
      })
      .optional(),
  ),
  channels: key(
    'Rooms that are joined: "#name", or { name, password }.',
    z
      .array(
        z.union([ircRoom(), z.strictObject({ name: ircRoom(), password: secret().optional() })], {
          error: 'must be "#name" or { name: "#name", password }',
        }),
      )
      .max(limits.ircRoomsMax)
      .optional(),
  ),
  lineMs: key(
    "Milliseconds between two lines after the first five; 1000 by default. Servers end connections that write faster.",
    z.int().min(0).max(60_000).optional(),
  ),
});

const ircRoom = () => z.string().regex(/^[#&+!][^\s,\p{Cc}]{1,199}$/u, 'must be the name of a room, such as "#name"');

export const irc = () => built(ircKeys());
