/**
 * A command of plain words, as the vector that a shell would make of it. Whatever a shell would expand, join, redirect or run beside it
 * makes a command one for the shell: then there is no vector, and a list of programs has to allow the shell itself.
 */

/** Undefined: only a shell can say what it means. */
export function plainWords(command: string): readonly string[] | undefined {
  const words: string[] = [];
  let rest = command.trim();
  while (rest !== "") {
    const [word, length] = readWord(rest) ?? [];
    if (word === undefined || length === undefined) return undefined;
    words.push(word);
    rest = rest.slice(length).replace(/^[ \t]+/, "");
  }
  const [first = ""] = words;
  // A variable for the command, or a word that shells keep for themselves.
  return first === "" || /^[A-Za-z_][A-Za-z0-9_]*=/.test(first) || keywords.has(first) ? undefined : words;
}

const keywords = new Set(
  "if then else elif fi for while until do done case esac in function select time coproc".split(" "),
);

/** Parts without blanks between them are one word: plain characters, '…' and "…" without anything that a shell reads inside. */
const part = /^(?:([A-Za-z0-9_.,/:=@%+-]+)|'([^'\0]*)'|"([^"$`\\!\0]*)")/;

function readWord(text: string): readonly [string, number] | undefined {
  let word = "";
  let at = 0;
  while (at < text.length && text[at] !== " " && text[at] !== "\t") {
    const found = part.exec(text.slice(at));
    if (found === null) return undefined;
    word += found[1] ?? found[2] ?? found[3] ?? "";
    at += found[0].length;
  }
  return [word, at];
}
