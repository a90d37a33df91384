/**
 * Addresses of WhatsApp. People are `<number>@s.whatsapp.net`, or `<n>@lid` where a chat hides numbers, each with `:<device>` for one of
 * their devices; groups are `<id>@g.us`. To agents a person is the number as E.164 (`+15551230001`), or the LID where the number is not
 * told. Source: behaviour §8.
 */
export interface Jid {
  readonly user: string;
  readonly server: string;
}

export function parseJid(jid: string): Jid | undefined {
  const [, user, server] = /^([^\s@:/]+)(?::\d+)?@([a-z.]+)$/.exec(jid) ?? [];
  return user === undefined || server === undefined ? undefined : { user, server };
}

export const isGroupJid = (jid: string): boolean => jid.endsWith("@g.us");

/** `+<number>`, or undefined for what is no number. */
export function numberOf(jid: string): string | undefined {
  const parsed = parseJid(jid);
  return parsed?.server === "s.whatsapp.net" && /^\d{5,20}$/.test(parsed.user) ? `+${parsed.user}` : undefined;
}

/** `<n>@lid` without its device. */
export function lidOf(jid: string): string | undefined {
  const parsed = parseJid(jid);
  return parsed?.server === "lid" ? `${parsed.user}@lid` : undefined;
}
