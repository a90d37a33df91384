/**
 * The little formatting that answers are shown with: paragraphs, line breaks, inline code, fenced code and links. Pure.
 *
 * The result is a tree of plain strings which components render as text nodes, so nothing in a message can become markup.
 * Only `http:` and `https:` addresses become links; everything that is not understood stays as it was written.
 */
export type Inline =
  | { readonly type: "text"; readonly text: string }
  | { readonly type: "code"; readonly text: string }
  | { readonly type: "link"; readonly text: string; readonly href: string };

export type Block =
  | { readonly type: "paragraph"; readonly lines: readonly (readonly Inline[])[] }
  | { readonly type: "code"; readonly language: string; readonly text: string };

const fence = /^ {0,3}(`{3,}|~{3,})\s*([^\s`]*)[^`]*$/;

export function parseRichText(text: string): readonly Block[] {
  const blocks: Block[] = [];
  let lines: string[] = [];
  let code: { readonly mark: string; readonly language: string; readonly text: string[] } | undefined;

  const endParagraph = (): void => {
    if (lines.length > 0) blocks.push({ type: "paragraph", lines: lines.map(parseInline) });
    lines = [];
  };
  const endCode = (): void => {
    if (code !== undefined) blocks.push({ type: "code", language: code.language, text: code.text.join("\n") });
    code = undefined;
  };

  for (const line of text.split(/\r?\n/)) {
    if (code !== undefined) {
      const closing = line.trim();
      if (closing.startsWith(code.mark) && closing === code.mark[0]?.repeat(closing.length)) endCode();
      else code.text.push(line);
      continue;
    }
    const opening = fence.exec(line);
    if (opening !== null) {
      endParagraph();
      code = { mark: opening[1] ?? "```", language: opening[2] ?? "", text: [] };
    } else if (line.trim() === "") endParagraph();
    else lines.push(line);
  }
  endParagraph();
  // A fence that is still open is an answer that still grows.
  endCode();
  return blocks;
}

/** `code`, [label](address) and bare addresses. Each alternative is linear in the line's length. */
const inline = /`([^`\n]+)`|\[([^[\]\n]{1,500})\]\((https?:\/\/[^\s()<>]{1,2000})\)|(https?:\/\/[^\s<>"'`]{1,2000})/g;

export function parseInline(line: string): readonly Inline[] {
  const parts: Inline[] = [];
  let done = 0;
  const textUpTo = (end: number): void => {
    if (end > done) parts.push({ type: "text", text: line.slice(done, end) });
  };
  for (const match of line.matchAll(inline)) {
    const [whole, code, label, target, bare] = match;
    // A full stop or bracket after an address belongs to the sentence.
    const address = target ?? bare?.replace(/[.,;:!?)\]}]+$/, "");
    const href = address === undefined ? undefined : webAddress(address);
    if (code === undefined && href === undefined) continue;
    textUpTo(match.index);
    done = match.index + (bare === undefined ? whole : (address ?? whole)).length;
    if (code !== undefined) parts.push({ type: "code", text: code });
    else if (href !== undefined) parts.push({ type: "link", text: label ?? address ?? whole, href });
  }
  textUpTo(line.length);
  return parts;
}

function webAddress(address: string): string | undefined {
  if (!URL.canParse(address)) return undefined;
  const { protocol, href } = new URL(address);
  return protocol === "http:" || protocol === "https:" ? href : undefined;
}
