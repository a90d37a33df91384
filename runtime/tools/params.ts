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
export type HostTool = keyof typeof hostParams;
export type Params<T extends HostTool> = z.output<(typeof hostParams)[T]>;
