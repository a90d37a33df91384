/**
 * `IDENTITY.md` of a workspace, as far as it says what an agent shows of itself: lines such as `- Name: Ada` or `- **Emoji:** 🦊`. What is a hint in
 * brackets, or nothing, is not said. Source: behaviour §6.1, §6.6.
 */
/** `name`, `emoji`, `theme`, `avatar`, those of them that are written. */
export type WrittenIdentity = Readonly<Record<string, string>>;

/** The words of the template, of the peer's, and of the configuration. */
const fields: Readonly<Record<string, string>> = {
  name: "name",
  emoji: "emoji",
  "in a few words": "theme",
  theme: "theme",
  vibe: "theme",
  avatar: "avatar",
};

/** The first line of a field counts. */
export function parseIdentity(text: string): WrittenIdentity {
  const found: Record<string, string> = {};
  for (const line of text.split("\n")) {
    const [, label = "", rest = ""] = /^\s*(?:[-*+]\s+)?([^:]{1,40}):(.*)$/.exec(line.replaceAll(/\*\*|__/g, "")) ?? [];
    const field = fields[label.trim().toLowerCase()];
    const value = rest.trim();
    if (field === undefined || value === "" || /^[[(_<].*[\])_>]$/.test(value)) continue;
    found[field] ??= value;
  }
  return found;
}
