/**
 * The text of an HTML page: a parser that reads it once (htmlparser2), and what a reader of the text needs of the marks: headings, paragraphs, lists,
 * rows of tables, code and links. Time and memory grow with the length of the page alone, whatever it is made of.
 */
import { Parser } from "htmlparser2";
import { limits } from "../../kernel/limits.ts";

export interface PageText {
  readonly title: string | undefined;
  readonly text: string;
  /** The page ended before its end: it had elements inside each other without end. */
  readonly isCut: boolean;
}

/** `markdown`: with marks for headings, lists, code and links. */
export type PageForm = "markdown" | "text";

/** What they hold is no text of the page. */
const unread = new Set(["script", "style", "noscript", "template", "svg", "math", "iframe", "object", "select", "nav"]);

/** Begin and end a line; those of the second set leave an empty one. */
const lines = new Set(["div", "li", "tr", "br", "dt", "dd", "option", "header", "footer", "summary", "figcaption"]);
const paragraphs = new Set(
  "p h1 h2 h3 h4 h5 h6 ul ol table pre blockquote section article main aside hr form dl figure details".split(" "),
);

/** So much is parsed between two looks at whether to go on. */
const pieceChars = 16_384;

export function pageText(html: string, base: string, form: PageForm): PageText {
  const writer = makeWriter();
  const isMarked = form === "markdown";
  const lists: { readonly isOrdered: boolean; items: number }[] = [];
  const links: (string | undefined)[] = [];
  let title: string | undefined;
  let isInTitle = false;
  let depth = 0;
  /** Depth of the element that is not read; 0: all are. */
  let skippedFrom = 0;

  const open = (name: string, attributes: Readonly<Record<string, string>>): void => {
    if (paragraphs.has(name)) writer.gap(lists.length > 0 && (name === "ul" || name === "ol") ? 1 : 2);
    else if (lines.has(name)) writer.gap(1);
    if (name === "ul" || name === "ol") lists.push({ isOrdered: name === "ol", items: 0 });
    else if (name === "td" || name === "th") writer.cell();
    else if (name === "pre") {
      if (isMarked) writer.mark("```\n");
      writer.verbatim(1);
    } else if (name === "a") links.push(isMarked ? targetOf(attributes["href"], base) : undefined);
    if (name === "a" && links.at(-1) !== undefined) writer.mark("[");
    if (name === "li") writer.mark(bulletOf(lists, isMarked));
    if (!isMarked) return;
    if (/^h[1-6]$/.test(name)) writer.mark(`${"#".repeat(Number(name[1]))} `);
    else if (name === "code" && !writer.isVerbatim()) writer.mark("`");
    else if (name === "blockquote") writer.mark("> ");
  };

  const close = (name: string): void => {
    if (name === "a") {
      const target = links.pop();
      if (target !== undefined) writer.endMark(`](${target})`);
    } else if (name === "code" && isMarked && !writer.isVerbatim()) writer.endMark("`");
    else if (name === "pre") {
      writer.verbatim(-1);
      if (isMarked) writer.endMark("\n```");
    } else if (name === "ul" || name === "ol") lists.pop();
    if (paragraphs.has(name)) writer.gap(lists.length > 0 ? 1 : 2);
    else if (lines.has(name)) writer.gap(1);
  };

  const parser = new Parser({
    onopentag(name, attributes) {
      depth++;
      if (skippedFrom > 0) return;
      if (unread.has(name) || attributes["hidden"] !== undefined || attributes["aria-hidden"] === "true")
        skippedFrom = depth;
      else if (name === "title" && title === undefined) isInTitle = true;
      else open(name, attributes);
    },
    onclosetag(name) {
      depth--;
      if (skippedFrom > depth) skippedFrom = 0;
      else if (skippedFrom > 0) return;
      else if (isInTitle) isInTitle = false;
      else close(name);
    },
    ontext(text) {
      if (isInTitle) title = `${title ?? ""}${text}`.slice(0, titleCharsMax);
      else if (skippedFrom === 0) writer.text(text);
    },
  });
  let isCut = false;
  for (let at = 0; at < html.length && !isCut; at += pieceChars) {
    parser.write(html.slice(at, at + pieceChars));
    isCut = depth > limits.webDepthMax;
  }
  if (!isCut) parser.end();
  const shown = title?.replaceAll(/\s+/g, " ").trim();
  return { title: shown === "" ? undefined : shown, text: writer.done(), isCut };
}

const titleCharsMax = 300;

function bulletOf(lists: readonly { readonly isOrdered: boolean; items: number }[], isMarked: boolean): string {
  const list = lists.at(-1);
  if (list !== undefined) list.items++;
  const indent = isMarked ? "  ".repeat(Math.min(8, Math.max(0, lists.length - 1))) : "";
  return `${indent}${list?.isOrdered === true ? `${list.items}. ` : "- "}`;
}

/** Undefined: it leads to no other page. */
function targetOf(href: string | undefined, base: string): string | undefined {
  if (href === undefined || href.startsWith("#")) return undefined;
  const url = URL.parse(href, base);
  if (url === null || (url.protocol !== "http:" && url.protocol !== "https:")) return undefined;
  const target = url.href.replaceAll("(", "%28").replaceAll(")", "%29");
  return target.length > limits.webUrlCharsMax ? undefined : target;
}

/** Joins texts: blanks become one, empty lines at most one, and marks stand right before or after what they mark. */
function makeWriter() {
  const parts: string[] = [];
  let ends = 0;
  let isBlank = false;
  let verbatim = 0;
  let isAtStart = true;
  let isInRow = false;
  let marks = "";

  const put = (text: string): void => {
    if (isAtStart) isBlank = false;
    else if (ends > 0) {
      parts.push("\n".repeat(ends));
      isBlank = false;
    }
    parts.push(isBlank ? " " : "", marks, text);
    marks = "";
    ends = 0;
    isBlank = false;
    isAtStart = false;
  };

  return {
    text(given: string): void {
      if (verbatim > 0) {
        const code = withoutUnseen(given);
        if (code !== "") put(code);
        return;
      }
      const plain = withoutUnseen(given).replaceAll(/\s+/g, " ");
      const words = plain.trim();
      if (plain.startsWith(" ")) isBlank = true;
      if (words === "") return;
      put(words);
      isBlank = plain.endsWith(" ");
    },
    /** Stands before the next text; without one it is left out. */
    mark(mark: string): void {
      if (marks.length < marksCharsMax) marks += mark;
    },
    /** Stands after the last text. */
    endMark(mark: string): void {
      if (marks !== "") {
        // Nothing came between: the mark that opened goes as well.
        marks = "";
        return;
      }
      const wasBlank = isBlank;
      parts.push(mark);
      isBlank = wasBlank;
    },
    gap(count: 1 | 2): void {
      if (verbatim > 0) return;
      if (!isAtStart) ends = Math.max(ends, count);
      isInRow = false;
    },
    cell(): void {
      if (isInRow && ends === 0) parts.push(" |");
      isInRow = true;
      isBlank = true;
    },
    verbatim(step: 1 | -1): void {
      verbatim = Math.max(0, verbatim + step);
    },
    isVerbatim: () => verbatim > 0,
    done: () => parts.join("").trim(),
  };
}

const marksCharsMax = 4_096;
/** Characters that nobody sees: controls, marks of direction and width, tags. Joiners stay, which scripts and pictures need. */
const unseen = /[^\P{Cc}\t\n\r]|[\u200b\u200e\u200f\u202a-\u202e\u2060-\u2069\ufeff\u{e0000}-\u{e007f}]/gu;

export function withoutUnseen(text: string): string {
  return text.replaceAll(unseen, "");
}
