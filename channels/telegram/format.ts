/**
 * The Markdown that models write, as text with entities of the Bot API. Pure. What is not understood stays as it was written; nothing is nested.
 * Offsets are counted in UTF-16 code units, by Telegram as by a string.
 */
import type { MessageEntity } from "grammy/types";

export interface Formatted {
  readonly text: string;
  readonly entities: readonly MessageEntity[];
}

/** Each part ends where the next one begins, so that no line makes it try again and again. */
const fence = /^ {0,3}(`{3,}(?!`)|~{3,}(?!~))\s*(?!\s)([^\s`]*)(?:\s[^`]*)?$/;

/** Each alternative is linear in the line's length. */
const inline =
  /`([^`\n]+)`|\*\*([^*\s][^*\n]*)\*\*|(?<![\w*])\*([^*\s][^*\n]*)\*(?![\w*])|(?<!\w)_([^_\s][^_\n]*)_(?!\w)|~~([^~\n]+)~~|\[([^[\]\n]{1,500})\]\((https?:\/\/[^\s()<>]{1,2000})\)/g;

export function formatText(markdown: string): Formatted {
  const entities: MessageEntity[] = [];
  let text = "";
  let code: { readonly mark: string; readonly language: string; readonly from: number } | undefined;

  const endCode = (): void => {
    if (code === undefined) return;
    const { language, from } = code;
    code = undefined;
    // Without the line end in front of the fence; an empty block is nothing.
    const length = Math.max(0, text.length - from - 1);
    if (length > 0) entities.push({ type: "pre", offset: from, length, ...(language === "" ? {} : { language }) });
  };

  for (const line of markdown.split("\n")) {
    const [, mark, language = ""] = fence.exec(line) ?? [];
    if (code !== undefined) {
      if (mark?.startsWith(code.mark) === true && line.trim() === mark) endCode();
      else text += `${line}\n`;
      continue;
    }
    if (mark !== undefined) {
      code = { mark, language, from: text.length };
      continue;
    }
    const [, heading] = /^#{1,6} +(.*\S)/.exec(line) ?? [];
    if (heading === undefined) addInline(line);
    else add("bold", heading);
    text += "\n";
  }
  endCode();
  // Every line has been ended, and the last of them had no end.
  const whole = text.slice(0, -1);
  return whole.trim() === "" ? { text: markdown, entities: [] } : { text: whole, entities };

  function add(type: "bold" | "italic" | "strikethrough" | "code", part: string): void {
    entities.push({ type, offset: text.length, length: part.length });
    text += part;
  }

  function addInline(line: string): void {
    let done = 0;
    for (const found of line.matchAll(inline)) {
      const [all, verbatim, bold, star, underline, struck, label, url] = found;
      text += line.slice(done, found.index);
      done = found.index + all.length;
      if (verbatim !== undefined) add("code", verbatim);
      else if (bold !== undefined) add("bold", bold);
      else if (struck !== undefined) add("strikethrough", struck);
      else if (label !== undefined && url !== undefined) {
        entities.push({ type: "text_link", offset: text.length, length: label.length, url });
        text += label;
      } else add("italic", star ?? underline ?? "");
    }
    text += line.slice(done);
  }
}
