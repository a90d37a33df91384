/** The tests that a cell of a table names: `` `file`: title `` each, with `<br>` between two. */
import { isFile, readText } from "./files.ts";

export interface NamedTest {
  readonly file: string;
  readonly title: string;
}

export function parseNamedTests(cell: string): readonly NamedTest[] {
  return cell
    .split("<br>")
    .filter((part) => part !== "")
    .map((part) => /^`([^`]+)`: (.+)$/.exec(part) ?? [])
    .map(([, file = "", title = ""]) => ({ file, title }));
}

export const isThere = ({ file, title }: NamedTest): boolean =>
  title !== "" && isFile(file) && readText(file).includes(title);

/** The cells of the rows of a Markdown table that begin with something like this. */
export function tableRows(file: string, begin: RegExp): readonly (readonly string[])[] {
  return readText(file)
    .split("\n")
    .filter((line) => line.startsWith("| ") && begin.test(line.slice(2)))
    .map((line) =>
      line
        .split("|")
        .slice(1, -1)
        .map((cell) => cell.trim()),
    );
}

const head = /^[ \t]*(?:test|it)(?:\.each)?\b/gm;

/** A test's own text: with the table that it is run for, up to the next test. Empty when there is none. */
export function textOfTest({ file, title }: NamedTest): string {
  const text = readText(file);
  const at = text.indexOf(title);
  const starts = [...text.matchAll(head)].map(({ index }) => index);
  const start = starts.findLast((index) => index <= at);
  return at < 0 || start === undefined
    ? ""
    : text.slice(
        start,
        starts.find((index) => index > at),
      );
}
