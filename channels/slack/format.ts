/**
 * Texts between Markdown, which agents write, and Slack's mrkdwn. Pure. Slack reads `&`, `<` and `>` as its own; in an agent's text they are
 * escaped, so that no text calls a whole channel or hides where a link goes. The one exception is `<@U…>`, which names a person, in both
 * directions. Source: Slack's documentation of formatting.
 */

/** Slack's form of an agent's text. */
export function toMrkdwn(markdown: string): string {
  return markdown
    .split(/(^```[^\n]*\n[\s\S]*?(?:^```[ \t]*$|$(?![\s\S])))/m)
    .map((part) => (part.startsWith("```") ? toBlock(part) : toLines(part)))
    .join("");
}

/** Slack would show the name of the language as a line of the code. */
const toBlock = (block: string): string => escape(block.replace(/^```[^\n]*\n/, "```\n"));

const toLines = (text: string): string =>
  text
    .split(/(`[^`\n]+`)/)
    .map((part, index) => (index % 2 === 1 ? escape(part) : toSpans(part)))
    .join("")
    .replaceAll(
      /^(#{1,6})[ \t]+(.+?)[ \t]*#*$/gm,
      (_, _marks: string, title: string) => `*${title.replaceAll("*", "")}*`,
    )
    .replaceAll(/^([ \t]*)[-+*][ \t]+/gm, "$1• ");

const link = /!?\[([^\]\n]{1,1000})\]\((https?:\/\/[^\s()]{1,2000})\)/;
const bold = /(?<![\w*])\*\*(?=\S)([^\n]+?)(?<=\S)\*\*(?![\w*])|(?<!\w)__(?=\S)([^\n]+?)(?<=\S)__(?!\w)/;
const italic = /(?<![\w*])\*(?=[^\s*])([^*\n]+?)(?<=\S)\*(?![\w*])/;
const struck = /~~(?=\S)([^\n]+?)(?<=\S)~~/;
const person = /<@[UW][A-Z0-9]{1,20}>/;
const spans = new RegExp([link, bold, italic, struck, person].map(({ source }) => source).join("|"), "g");

function toSpans(text: string): string {
  let made = "";
  let at = 0;
  for (const match of text.matchAll(spans)) {
    const [whole, label, address, stars, lines, slanted, gone] = match;
    made += escape(text.slice(at, match.index));
    at = match.index + whole.length;
    if (label !== undefined && address !== undefined)
      made += `<${escape(address).replaceAll("|", "%7C")}|${escape(label)}>`;
    else if (stars !== undefined || lines !== undefined) made += `*${toSpans(stars ?? lines ?? "")}*`;
    else if (slanted !== undefined) made += `_${toSpans(slanted)}_`;
    else if (gone !== undefined) made += `~${toSpans(gone)}~`;
    else made += whole;
  }
  return made + escape(text.slice(at));
}

const escape = (text: string): string => text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");

/** The account itself, as people see it. */
export interface Named {
  readonly userId: string;
  readonly name: string;
}

/** What people wrote, as they see it; the account itself stands as `@name`, everybody else as `<@U…>`. */
export function fromMrkdwn(text: string, self: Named): string {
  return text.replaceAll(/<([^<>\n]*)>|&(lt|gt|amp);/g, (_, inside: string | undefined, name: string | undefined) =>
    inside === undefined ? (unescaped[name ?? ""] ?? "") : fromToken(inside, self),
  );
}

const unescaped: Readonly<Record<string, string>> = { lt: "<", gt: ">", amp: "&" };

const unescape = (text: string): string =>
  text.replaceAll(/&(lt|gt|amp);/g, (_, name: string) => unescaped[name] ?? "");

function fromToken(inside: string, self: Named): string {
  const bar = inside.indexOf("|");
  const target = unescape(bar === -1 ? inside : inside.slice(0, bar));
  const label = bar === -1 ? "" : unescape(inside.slice(bar + 1));
  if (target.startsWith("@")) return target === `@${self.userId}` ? `@${self.name}` : `<${target}>`;
  if (target.startsWith("#")) return label === "" ? `<${target}>` : `#${label}`;
  if (target.startsWith("!")) return label === "" ? `@${target.slice(1).replace(/\^.*$/, "")}` : label;
  const address = target.replace(/^(?:mailto|tel):/, "");
  return label === "" || address.endsWith(label) || label.endsWith(address) ? address : `${label} (${address})`;
}
