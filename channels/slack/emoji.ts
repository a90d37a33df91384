/** Slack names reactions by words. Those that agents and people use for answers; every other may be given by its name. Source: Slack's list of emoji. */
const names: Readonly<Record<string, string>> = {
  "👍": "+1",
  "👎": "-1",
  "👀": "eyes",
  "✅": "white_check_mark",
  "✔": "heavy_check_mark",
  "❌": "x",
  "❗": "exclamation",
  "❓": "question",
  "⚠": "warning",
  "⏳": "hourglass_flowing_sand",
  "⌛": "hourglass",
  "🔄": "arrows_counterclockwise",
  "🤔": "thinking_face",
  "🎉": "tada",
  "🙏": "pray",
  "👏": "clap",
  "🙌": "raised_hands",
  "💯": "100",
  "🔥": "fire",
  "🚀": "rocket",
  "❤": "heart",
  "😂": "joy",
  "😀": "grinning",
  "😊": "blush",
  "😢": "cry",
  "😮": "open_mouth",
  "😱": "scream",
  "👋": "wave",
  "👌": "ok_hand",
  "🤷": "shrug",
  "🤖": "robot_face",
  "💡": "bulb",
  "📌": "pushpin",
  "🐛": "bug",
  "⭐": "star",
};

/** Undefined: it has no name here. */
export function reactionName(emoji: string): string | undefined {
  const [, word] = /^:?([a-z0-9_+'-]{1,100}):?$/.exec(emoji) ?? [];
  // A mark that asks for the coloured form follows some of them.
  return word ?? names[emoji.replaceAll("\uFE0F", "")];
}

/** As people see it; the name in colons where it has none here. */
export function emojiOf(name: string): string {
  // A tone of skin follows some names.
  const [plain = name] = name.split("::");
  return Object.keys(names).find((emoji) => names[emoji] === plain) ?? `:${name}:`;
}
