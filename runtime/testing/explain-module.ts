/**
 * What is wrong with a module that a cell could not load, and what to do. A cell tells the words of Node and of the confinement; what they mean for an author
 * is read here and nowhere else, and what is not known is told as it is. `test/contract/actor-kit-modules.test.ts` has each of them from a real cell.
 */
import { findNearest } from "../config/suggest.ts";
import { type CodedError, failure } from "../kernel/errors.ts";
import { missingExport } from "../thread/missing-export.ts";

/** What `actors/index.ts` exports: a test holds them together. */
export const exportedValues: readonly string[] = ["defineActor"];
export const exportedTypes: readonly string[] = [
  "ActorDefinition",
  "CellLog",
  "Context",
  "IncomingMessage",
  "IncomingSignal",
  "MessagePart",
  "RequestOptions",
  "ScheduleOptions",
  "SendOptions",
  "StateSchema",
  "Timer",
  "ToolResult",
  "Tools",
  "Workspace",
];

interface Explained {
  readonly found: string;
  readonly remedy: string;
}

interface Known {
  readonly pattern: RegExp;
  readonly explain: (found: string, ...groups: readonly string[]) => Explained;
}

const trusted =
  'give the agent `isolation: { trust: "trusted" }` if you wrote the module (docs/THREAT_MODEL.md#isolation-by-process)';

const instead: Readonly<Record<string, string>> = {
  enum: "write a union of texts, or an object `as const`",
  "parameter property": "declare the field and assign it in the constructor",
  "namespace declaration": "write a module of its own",
};

const known: readonly Known[] = [
  {
    pattern: missingExport,
    explain: (_, module = "", symbol = "") => ({
      found: `it imports ${symbol} from "${module}", which has no such export`,
      remedy: module === "cloister" ? remedyOfSymbol(symbol) : "correct the name; a type is imported by `import type`",
    }),
  },
  {
    pattern: /TypeScript (.+) is not supported in strip-only mode(?: \((.+)\))?/,
    explain: (_, what = "", place = "") => ({
      found: `a TypeScript ${what} cannot be erased${place === "" ? "" : ` (${place})`}`,
      remedy: instead[what] ?? "write what is the same JavaScript without its types",
    }),
  },
  {
    pattern: /^import "(.+)" is not available/,
    explain: (_, specifier = "") => ({
      found: `it imports "${specifier}", which a confined cell may not have`,
      remedy: `ask for what it does by ctx.workspace, ctx.tools or ctx.model, or ${trusted}`,
    }),
  },
  {
    pattern: /^(.+) is not available in an agent's cell/,
    explain: (_, what = "") => ({
      found: `it uses ${what} while it is loaded, which a confined cell does not have`,
      remedy: `ask for what it does by ctx.workspace, ctx.tools or ctx.model, or ${trusted}`,
    }),
  },
  {
    pattern: /^Access to this API has been restricted/,
    explain: () => ({
      found: "it uses a file, a thread or a program while it is loaded that a confined cell may not use",
      remedy: `it may read the folder of the module and its workspace: use ctx.workspace in a turn, or ${trusted}`,
    }),
  },
  {
    pattern: /^Cannot find package 'cloister'/,
    explain: () => ({
      found: "it imports more of cloister than an actor may have",
      remedy: 'an actor imports "cloister" alone; what is for tests (cloister/testing) is imported by the test',
    }),
  },
  {
    pattern: /^Cannot find package '([^']+)'/,
    explain: (_, name = "") => ({
      found: `it imports the package "${name}", which is not installed`,
      remedy: `install it in a node_modules beside or above the module: npm install ${name}`,
    }),
  },
  {
    pattern: /^Cannot find module '([^']+)' imported from (.+)/,
    explain: (_, module = "", from = "") => ({
      found: `${from} imports ${module}, which is not there`,
      remedy: "correct the path; it has its ending, such as .ts",
    }),
  },
  {
    pattern: /^its default export is not an actor/,
    explain: () => ({
      found: "its default export is not an actor",
      remedy: "export default defineActor({ message(ctx, message) { … } })",
    }),
  },
  {
    pattern: /^its cell (?:was )?ended while it was loaded.*$/s,
    explain: (found) => ({ found, remedy: "do in a turn what takes long, and not while the module is loaded" }),
  },
];

function remedyOfSymbol(symbol: string): string {
  if (exportedTypes.includes(symbol)) return `it is a type: import type { ${symbol} } from "cloister"`;
  const near = findNearest(symbol, [...exportedValues, ...exportedTypes]);
  const all = `it exports ${exportedValues.join(", ")}, and types`;
  return near === undefined ? all : `did you mean ${near}? ${all}`;
}

/** `reason`: what the cell said. */
export function explainModule(file: string, reason: string): CodedError {
  for (const { pattern, explain } of known) {
    const match = pattern.exec(reason);
    if (match === null) continue;
    const { found, remedy } = explain(...(match as unknown as [string, ...string[]]));
    return invalidModule(file, found, remedy);
  }
  return invalidModule(file, reason, "correct what the message says; it is the module's own, or Node's");
}

export function invalidModule(file: string, found: string, remedy: string): CodedError {
  return failure("CLOISTER_MODULE_INVALID", `${file} cannot be loaded as an actor: ${found}`, remedy);
}
