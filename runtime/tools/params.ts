/** The parameters of the tools of this thread: what a model is told, and what a call is checked by. Source: behaviour §7.1, §7.3. */
import { z } from "zod";
import { limits } from "../kernel/limits.ts";

const file = z.string().min(1).max(limits.pathCharsMax).describe("Path of a file, relative to the workspace.");
const line = z.int().min(1);
const content = z.string().max(limits.toolFileBytesMax);
const oldText = z.string().min(1).max(limits.toolFileBytesMax);

export const hostParams = {
  read: z.strictObject({
    path: file,
    offset: line.default(1).describe("First line, from 1."),
    limit: line.max(limits.toolReadLinesMax).default(limits.toolReadLinesMax).describe("Lines at the most."),
  }),
  write: z.strictObject({ path: file, content: content.describe("The whole file. Replaces what is there.") }),
  edit: z.strictObject({
    path: file,
    edits: z
      .array(
        z.strictObject({
          oldText: oldText.describe("Has to be in the file exactly once."),
          newText: content,
        }),
      )
      .min(1)
      .max(limits.toolEditsMax)
      .describe("Made in this order; all of them or none."),
  }),
  apply_patch: z.strictObject({
    input: z
      .string()
      .min(1)
      .max(limits.toolFileBytesMax)
      .describe(
        "From `*** Begin Patch` to `*** End Patch`, with `*** Add File: `, `*** Update File: ` (and `*** Move to: `) or `*** Delete File: ` before each file.",
      ),
  }),
  ls: z.strictObject({
    path: z.string().max(limits.pathCharsMax).default(".").describe("Path of a folder, relative to the workspace."),
    limit: z.int().min(1).max(limits.toolListMax).default(limits.toolListMax),
  }),
} as const;

/** `web_fetch` is given what the config says of it beside its parameters. */
export const webFetchParams = z.strictObject({
  url: z.string().min(1).max(limits.webUrlCharsMax).describe("Address of the page, http or https."),
  extractMode: z.enum(["markdown", "text"]).default("markdown"),
  maxChars: z.int().min(100).max(limits.webCharsMax).optional().describe("Characters of the page at the most."),
  offset: z
    .int()
    .min(0)
    .max(limits.webBytesMax)
    .default(0)
    .describe("From this character on; `nextOffset` of a result."),
});

export const memoryParams = {
  memory_search: z.strictObject({
    query: z
      .string()
      .min(1)
      .max(limits.memoryQueryCharsMax)
      .describe("Words to look for; what has more of them comes first."),
    maxResults: z.int().min(1).max(limits.memoryResultsMax).optional(),
    collection: z.string().max(limits.memoryNameCharsMax).optional().describe("Only in this collection."),
  }),
  memory_get: z.strictObject({
    path: file.describe("As a result of memory_search names it."),
    collection: z.string().max(limits.memoryNameCharsMax).optional().describe("The collection of that result."),
    from: line.default(1).describe("First line, from 1."),
    lines: line.max(limits.toolReadLinesMax).default(limits.toolReadLinesMax).describe("Lines at the most."),
  }),
} as const;

export type MemoryTool = keyof typeof memoryParams;
export type MemoryParams<T extends MemoryTool> = z.output<(typeof memoryParams)[T]>;
export type WebFetchParams = z.output<typeof webFetchParams>;

const processId = z.string().min(1).max(64).describe("What exec answered.");

/** Of `exec` and `process`, which the main thread reads to judge them. */
export const execParams = z.strictObject({
  command: z
    .string()
    .trim()
    .min(1)
    .max(limits.execCommandCharsMax)
    .refine((text) => !text.includes("\0"), "expected no NUL")
    .describe("For a shell (sh -c)."),
  workdir: z
    .string()
    .max(limits.pathCharsMax)
    .refine((text) => !text.includes("\0"), "expected no NUL")
    .default(".")
    .describe("Relative to the workspace."),
  env: z
    .record(z.string().regex(/^[A-Za-z_][A-Za-z0-9_]*$/, "expected a name of a variable"), z.string().regex(/^[^\0]*$/))
    .refine((env) => Object.keys(env).length <= limits.execVariablesMax, `at most ${limits.execVariablesMax} variables`)
    .default({})
    .describe("Variables beside the usual ones."),
  yieldMs: z
    .int()
    .min(10)
    .max(limits.execYieldMsMax)
    .optional()
    .describe("Milliseconds to wait before it goes on in the background."),
  background: z.boolean().default(false).describe("Do not wait; its input stays open for process write."),
  timeout: z
    .number()
    .positive()
    .max(limits.execTimeoutMsMax / 1_000)
    .optional()
    .describe("Seconds after which it is ended."),
  elevated: z.boolean().default(false).describe("Outside of the sandbox, where the operator allows it."),
});

export const processParams = z.discriminatedUnion(
  "action",
  [
    z.strictObject({ action: z.literal("list") }),
    z.strictObject({
      action: z.literal("poll"),
      processId,
      timeoutMs: z.int().min(0).max(limits.execPollMsMax).default(0).describe("How long to wait for news."),
    }),
    z.strictObject({
      action: z.literal("log"),
      processId,
      offset: z.int().min(1).optional().describe("First line of the output, from 1. Absent: the last lines."),
      limit: z.int().min(1).max(limits.toolReadLinesMax).default(limits.toolReadLinesMax),
    }),
    z.strictObject({
      action: z.literal("write"),
      processId,
      data: z.string().max(limits.execInputBytesMax).default("").describe("For its input."),
      eof: z.boolean().default(false).describe("Close its input."),
    }),
    z.strictObject({ action: z.literal("kill"), processId }),
  ],
  { error: 'expected action "list", "poll", "log", "write" or "kill"' },
);

export type ProcessParams = z.output<typeof processParams>;

export type HostTool = keyof typeof hostParams;
export type Params<T extends HostTool> = z.output<(typeof hostParams)[T]>;
