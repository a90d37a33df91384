/**
 * A file's text as the checks read it: without comments and with the contents of strings set apart, so that a word in a
 * sentence is never taken for a statement. No compiler: TypeScript 7 gives its tools no parser to build on, and a reader that
 * reports nothing for syntax that it does not know would pass every check.
 */

export interface SourceCode {
  /** The code. A string is `"§<n>"`, the contents are `strings[n]`; templates keep only the code in their `${}`. */
  readonly code: string;
  readonly strings: readonly string[];
}

/** After these a `/` begins a regular expression and does not divide. */
const beforeRegex = /(?:^|[=(,:[!&|?{};+\-*%<>~^]|\b(?:return|typeof|case|in|of|do|else|await|yield|void|delete))\s*$/;

export function readSource(text: string): SourceCode {
  const strings: string[] = [];
  let code = "";
  let at = 0;
  /** For each open `${`: how many braces inside it are open. */
  const templates: number[] = [];

  const skipTo = (end: string): void => {
    const found = text.indexOf(end, at);
    at = found === -1 ? text.length : found + end.length;
  };

  const template = (): void => {
    while (at < text.length) {
      if (text[at] === "\\") at += 2;
      else if (text[at] === "`") {
        code += "`";
        at++;
        return;
      } else if (text.startsWith("${", at)) {
        code += "${";
        at += 2;
        templates.push(0);
        return;
      } else at++;
    }
  };

  const string = (quote: string): void => {
    const from = ++at;
    while (at < text.length && text[at] !== quote && text[at] !== "\n") at += text[at] === "\\" ? 2 : 1;
    code += `"§${strings.push(text.slice(from, at)) - 1}"`;
    at++;
  };

  const regex = (): void => {
    let inClass = false;
    for (at++; at < text.length && text[at] !== "\n"; at++) {
      if (text[at] === "\\") at++;
      else if (text[at] === "[") inClass = true;
      else if (text[at] === "]") inClass = false;
      else if (text[at] === "/" && !inClass) break;
    }
    at++;
    code += "/§/";
  };

  while (at < text.length) {
    const here = text[at] ?? "";
    if (text.startsWith("//", at)) skipTo("\n");
    else if (text.startsWith("/*", at)) skipTo("*/");
    else if (here === '"' || here === "'") string(here);
    else if (here === "`") {
      code += "`";
      at++;
      template();
    } else if (here === "/" && beforeRegex.test(code.slice(-40))) regex();
    else if (here === "}" && templates.at(-1) === 0) {
      templates.pop();
      code += "}";
      at++;
      template();
    } else {
      const open = templates.length - 1;
      if (open >= 0 && here === "{") templates[open] = (templates[open] ?? 0) + 1;
      if (open >= 0 && here === "}") templates[open] = (templates[open] ?? 0) - 1;
      code += here;
      at++;
    }
    // Where a comment stood, a line may have ended: what follows must not grow together with what was before.
    if (text[at - 1] === "\n" && /\S/.test(code.at(-1) ?? "")) code += "\n";
  }
  return { code, strings };
}

export interface Import {
  readonly specifier: string;
  /** Erased before the program runs: it ties types together, and nothing at run time. */
  readonly typeOnly: boolean;
}

const importForms: readonly (readonly [form: RegExp, typeOnly: boolean])[] = [
  [/\b(?:import|export)\s+type\s[^"`;]*?\bfrom\s*"§(\d+)"/g, true],
  [/\b(?:import|export)\s+(?!type\s)(?:[\w$*{][^"`;=()]*?\s*)from\s*"§(\d+)"/g, false],
  [/\bimport\s*"§(\d+)"/g, false],
  [/\btypeof\s+import\(\s*"§(\d+)"/g, true],
  [/(?<!typeof\s+)\bimport\(\s*"§(\d+)"/g, false],
  [/\brequire\(\s*"§(\d+)"/g, false],
  [/\bnew\s+URL\(\s*"§(\d+)"\s*,\s*import\.meta\.url/g, false],
];

/** Everything that the file names as another module, in any form: import, re-export, `import()`, `require`, `new URL`. */
export function findImports({ code, strings }: SourceCode): readonly Import[] {
  return importForms.flatMap(([form, typeOnly]) =>
    [...code.matchAll(form)].map((match) => ({ specifier: strings[Number(match[1])] ?? "", typeOnly })),
  );
}
