/** `memory` and `memorySearch`: which notes an agent searches. Source: behaviour §1.3, §6.5. */
import * as z from "zod";
import { limits } from "../../kernel/limits.ts";
import { anyValue, filledText } from "./values.ts";
import { key, later } from "./note.ts";

const collection = () =>
  z.strictObject({
    path: key("A folder or a file; relative paths start at the agent's workspace.", filledText()),
    name: key(
      "Its name. Outside of the workspace it stands as it is; else the agent's id follows. Default: the last part of the path.",
      z.string().min(1).max(limits.memoryNameCharsMax).optional(),
    ),
    pattern: key("Files in it, as a glob. Default: `**/*.md`.", filledText().optional()),
  });

const collections = () => z.array(collection()).max(limits.memoryCollectionsMax);
const resultsMax = () => z.int().min(1).max(limits.memoryResultsMax).optional();
const embeddings = "memory by embeddings";
const transcripts = "transcripts in memory search";
const saysSessions = (value: unknown): boolean => Array.isArray(value) && value.includes("sessions");

/** Of `agents.defaults` and of one agent. */
export const memorySearch = () =>
  z.looseObject({
    enabled: key("Off: the agent has no `memory_search` and `memory_get`. Default: true.", z.boolean().optional()),
    extraPaths: key(
      "Further folders or files, as collections that are named after them. Those of an agent come after those of `agents.defaults`.",
      z.array(filledText()).max(limits.memoryCollectionsMax).optional(),
    ),
    qmd: key(
      "Collections. The name is that of a backend that other programs have.",
      z
        .looseObject({
          extraCollections: key(
            "Further collections. Those of an agent come after those of `agents.defaults`.",
            collections().optional(),
          ),
        })
        .optional(),
    ),
    query: key(
      "Searches.",
      z
        .looseObject({
          maxResults: key(`Hits of one search. Default: ${limits.memoryResultsDefault}.`, resultsMax()),
        })
        .optional(),
    ),
    sources: later(
      transcripts,
      'What is searched: "memory", "sessions".',
      z.array(z.string()).optional(),
      saysSessions,
    ),
    experimental: later(transcripts, "Search in transcripts.", anyValue()),
    provider: later(embeddings, "Provider of embeddings.", anyValue()),
    model: later(embeddings, "Model of embeddings.", anyValue()),
    remote: later(embeddings, "Server of embeddings.", anyValue()),
    local: later(embeddings, "Local model of embeddings.", anyValue()),
    fallback: later(embeddings, "Provider when the first fails.", anyValue()),
  });

export const memory = z.looseObject({
  backend: key(
    "Which program searches. Both names stand for the one index of this program, with the collections of both.",
    z.enum(["builtin", "qmd"]).default("builtin"),
  ),
  citations: later("citations of memory", "Whether answers name their notes.", anyValue()),
  qmd: key(
    "What every agent searches.",
    z
      .looseObject({
        includeDefaultMemory: key(
          "Whether `MEMORY.md`, `memory.md` and `memory/` of the workspace are searched.",
          z.boolean().default(true),
        ),
        paths: key("Collections of every agent, before those of `memorySearch`.", collections().default([])),
        limits: key(
          "Bounds.",
          z
            .looseObject({ maxResults: key("As `memorySearch.query.maxResults`, which wins.", resultsMax()) })
            .optional(),
        ),
        sessions: later(transcripts, "Transcripts as a collection.", anyValue()),
        scope: later("memory in group chats", "Which chats may search.", anyValue()),
      })
      .prefault({}),
  ),
});
