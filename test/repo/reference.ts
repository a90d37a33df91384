/**
 * The generated parts of `docs/reference`: what the code says, as Markdown. `write-reference.ts` writes them, and
 * `reference.test.ts` holds the files against them.
 */
import { z } from "zod";
import { runProgram } from "../../runtime/cli/program.ts";
import { events, methods } from "../../runtime/edge/methods.ts";
import { errorRegister } from "../../runtime/kernel/errors.ts";
import { limits } from "../../runtime/kernel/limits.ts";
import { leftOut } from "../fixtures/left-out.ts";
import { readText } from "./files.ts";

export interface GeneratedPart {
  readonly file: string;
  /** The name between the two marks in the file. */
  readonly name: string;
  readonly make: () => Promise<string> | string;
}

export const generatedParts: readonly GeneratedPart[] = [
  { file: "docs/reference/errors.md", name: "errors", make: makeErrors },
  { file: "docs/reference/limits.md", name: "limits", make: makeLimits },
  { file: "docs/reference/protocol.md", name: "methods", make: makeMethods },
  { file: "docs/reference/protocol.md", name: "left out", make: makeLeftOut },
  { file: "docs/reference/cli.md", name: "commands", make: makeCommands },
];

const startMark = (name: string): string => `<!-- generated: ${name} -->`;
const endMark = (name: string): string => `<!-- end: ${name} -->`;

/** The text between the marks; undefined when the file does not have them exactly once and in order. */
export function findPart(text: string, name: string): string | undefined {
  const [, after, more] = text.split(startMark(name));
  if (after === undefined || more !== undefined) return undefined;
  const [part, rest] = after.split(endMark(name));
  return rest === undefined ? undefined : part;
}

export function replacePart(text: string, name: string, part: string): string {
  const found = findPart(text, name);
  if (found === undefined)
    throw new Error(`the file does not hold "${startMark(name)}" and "${endMark(name)}" once each`);
  return text.replace(startMark(name) + found + endMark(name), () => startMark(name) + part + endMark(name));
}

const table = (head: readonly string[], rows: readonly (readonly string[])[]): string =>
  ["", head, head.map(() => "---"), ...rows, ""]
    .map((row) => (typeof row === "string" ? row : `| ${row.map((cell) => cell.replaceAll("|", "\\|")).join(" | ")} |`))
    .join("\n");

const retries = {
  never: "no",
  later: "yes, later",
  "after-change": "after a change",
} as const;

function makeErrors(): string {
  const rows = Object.entries(errorRegister).map(([code, { summary, retry, http }]) => [
    `<a id="${code}"></a>\`${code}\``,
    summary,
    retries[retry],
    String(http),
  ]);
  return table(["code", "what it says", "try again?", "HTTP"], rows);
}

export interface LimitRow {
  readonly name: string;
  readonly value: number;
  readonly text: string;
}

/** The limits with their comments; one comment may stand above several. */
export function findLimits(): readonly LimitRow[] {
  const source = readText("runtime/kernel/limits.ts");
  let text = "";
  const lines = source.slice(source.indexOf("export const limits"), source.indexOf("} as const"));
  return [...lines.matchAll(/^ {2}(?:\/\*\*(.*?)\*\/$|(\w+):)/gmsu)].flatMap(([, comment, name]) => {
    // A comment of several lines has a star at the head of each.
    if (comment !== undefined) text = comment.replaceAll(/\s*\n\s*\*?\s*/gu, " ").trim();
    const value: unknown = name === undefined ? undefined : Reflect.get(limits, name);
    return name === undefined || typeof value !== "number" ? [] : [{ name, value, text }];
  });
}

function makeLimits(): string {
  // Where a bound was taken from is a note for who changes the code.
  const source = / Source[^:.]*: [\w .]*§?[\d.]*\w\.(?= |$)/g;
  const rows = findLimits().map(({ name, value, text }) => [
    `\`${name}\``,
    value.toLocaleString("en"),
    text.replaceAll(source, ""),
  ]);
  return table(["limit", "value", "what it bounds, and why"], rows);
}

interface JsonSchema {
  readonly type?: string | readonly string[];
  readonly properties?: Readonly<Record<string, JsonSchema>>;
  readonly required?: readonly string[];
  readonly items?: JsonSchema;
  readonly enum?: readonly unknown[];
  readonly anyOf?: readonly JsonSchema[];
}

function makeMethods(): string {
  const rows = Object.entries(methods).map(([name, { scope, params }]) => [
    `\`${name}\``,
    `\`${scope}\``,
    describeFields(z.toJSONSchema(params, { io: "input" }) as JsonSchema),
  ]);
  const sent = events.map((event) => `\`${event}\``).join(", ");
  return `${table(["method", "scope", "parameters"], rows)}\nEvents: ${sent}.\n`;
}

function makeLeftOut(): string {
  const rows = leftOut.map(({ reason, keys = [], frames = [] }) => [
    reason,
    [...frames, ...keys].map((name) => `\`${name}\``).join(", "),
  ]);
  return table(["why", "what"], rows);
}

function describeFields({ properties = {}, required = [] }: JsonSchema): string {
  const fields = Object.entries(properties).map(
    ([name, schema]) => `\`${name}${required.includes(name) ? "" : "?"}\`: ${describeType(schema)}`,
  );
  return fields.length === 0 ? "none" : fields.join(", ");
}

function describeType({ type, properties, items, enum: values, anyOf, required }: JsonSchema): string {
  if (anyOf !== undefined) return anyOf.map(describeType).join(" or ");
  if (values !== undefined) return values.map((value) => `\`${String(value)}\``).join(" or ");
  if (items !== undefined) return `list of ${describeType(items)}`;
  if (properties !== undefined)
    return `{${describeFields({ properties, ...(required === undefined ? {} : { required }) })}}`;
  return typeof type === "string" ? type : "value";
}

/** What `cloister <words> --help` prints. */
async function readHelp(words: readonly string[]): Promise<string> {
  const lines: string[] = [];
  const refuse = (): never => {
    throw new Error("help neither asks nor waits");
  };
  await runProgram(
    {
      env: {},
      homeDir: "/",
      cwd: "/",
      platform: "linux",
      version: "",
      packageRoot: "/",
      self: ["node"],
      terminal: {
        out: (line) => lines.push(line),
        write: refuse,
        err: (line) => lines.push(line),
        isTty: false,
        input: process.stdin,
        output: process.stdout,
        onFault: refuse,
        onSignal: refuse,
        exitNow: refuse,
      },
      nowMs: () => 0,
    },
    [...words, "--help"],
  );
  return lines.join("\n").trim();
}

/** Every command with its help, in the order of the program: the program is asked, no list is kept. */
export async function findCommands(
  words: readonly string[] = [],
): Promise<readonly { words: readonly string[]; help: string }[]> {
  const help = await readHelp(words);
  const listed = /^Commands:\n((?: {2}.*\n?)+)/m.exec(help)?.[1] ?? "";
  const names = [...listed.matchAll(/^ {2}([a-z][\w-]*)/gm)]
    .map((match) => match[1] ?? "")
    .filter((name) => name !== "help");
  const below = [];
  for (const name of names) below.push(...(await findCommands([...words, name])));
  return [{ words, help }, ...below];
}

async function makeCommands(): Promise<string> {
  // The width of a terminal would decide where lines break.
  Object.defineProperty(process.stdout, "isTTY", { value: false, configurable: true });
  const commands = await findCommands();
  const sections = commands.map(({ words, help }) => {
    const shown = help
      .split("\n")
      .map((line) => line.trimEnd())
      .join("\n");
    return `## \`${["cloister", ...words].join(" ")}\`\n\n\`\`\`text\n${shown}\n\`\`\`\n`;
  });
  return `\n${sections.join("\n")}`;
}
