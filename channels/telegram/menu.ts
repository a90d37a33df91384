/** The menu of commands that clients show. Pure. Source: the Bot API's documentation of `setMyCommands` and `BotCommand`. */
import type { BotCommand } from "grammy/types";
import type { MenuCommand } from "../port.ts";

/** A bot has up to 100 of them; names have up to 32 characters and no `-`, and what they do is told in up to 256. */
export const makeMenu = (menu: readonly MenuCommand[]): readonly BotCommand[] =>
  menu
    .filter(({ name }) => /^\/[a-z0-9_]{1,32}$/.test(name))
    .slice(0, 100)
    .map(({ name, summary }) => ({ command: name.slice(1), description: summary.slice(0, 256) }));
