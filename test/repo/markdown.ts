/** Links and code blocks of a Markdown page, as far as the checks need them. */

export interface CodeBlock {
  /** The words after the opening fence, e.g. `["ts", "actor"]`. */
  readonly kind: readonly string[];
  readonly text: string;
  readonly line: number;
}

export function findCodeBlocks(page: string): readonly CodeBlock[] {
  return [...page.matchAll(/^```(.*)\n([\s\S]*?)^```$/gm)].map((match) => ({
    kind: (match[1] ?? "").trim().split(/\s+/).filter(Boolean),
    text: match[2] ?? "",
    line: page.slice(0, match.index).split("\n").length,
  }));
}

/** Targets of links and pictures outside of code, without those that leave the tree. */
export function findLinks(page: string): readonly string[] {
  const prose = page.replaceAll(/^```[\s\S]*?^```$/gm, "").replaceAll(/`[^`\n]*`/g, "");
  return [...prose.matchAll(/\]\(([^)\s]+)(?:\s+"[^"]*")?\)/g)]
    .map((match) => match[1] ?? "")
    .filter((target) => !/^[a-z][a-z+.-]*:/i.test(target));
}

/** Names by which the page's headings and marks are linked to. */
export function findAnchors(page: string): ReadonlySet<string> {
  const headings = [...page.matchAll(/^#{1,6}\s+(.+)$/gm)].map((match) =>
    (match[1] ?? "")
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N}\s_-]/gu, "")
      .trim()
      .replaceAll(/\s/g, "-"),
  );
  const marks = [...page.matchAll(/<a id="([^"]+)">/g)].map((match) => match[1] ?? "");
  return new Set([...headings, ...marks]);
}

export interface Transcript {
  readonly says: string;
  readonly answers: string;
}

/** What an actor's block promises at its end: lines `// > said`, each followed by lines `// < answered`. */
export function findTranscript(code: string): readonly Transcript[] {
  const found: { says: string; answers: string[] }[] = [];
  for (const line of code.split("\n")) {
    const [, mark, text = ""] = /^\/\/ ([<>]) ?(.*)$/.exec(line) ?? [];
    if (mark === ">") found.push({ says: text, answers: [] });
    if (mark === "<") found.at(-1)?.answers.push(text);
  }
  return found.map(({ says, answers }) => ({ says, answers: answers.join("\n") }));
}
