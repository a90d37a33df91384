/** `memory` and `memorySearch`: which notes an agent searches. Source: behaviour §1.3, §6.5. */
import * as z from "zod";
import { limits } from "../../kernel/limits.ts";
import { anyValue, filledText } from "./values.ts";
import { inert, key, later } from "./note.ts";

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
const embeddings = "memory by embeddings of a server of its own";
/** The peer's words for a model in its own process, and for "whichever has a key". */
const isNoProvider = (value: unknown): boolean => value === "local" || value === "auto";
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
          minScore: key(
            "How near a note must be to be found by meaning, as the cosine of their vectors. Default: 0.35.",
            z.number().min(0).max(1).optional(),
          ),
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
    provider: later(
      embeddings,
      'Who makes vectors of the notes, so that they are found by meaning too: a provider of `models.providers`, or one that is known by name. "none": nobody. The notes go there. Default: nobody.',
      filledText().optional(),
      isNoProvider,
    ),
    model: key(
      "The model that makes them, as the provider names it. Default: of openai `text-embedding-3-small`, of google `gemini-embedding-001`, of ollama `nomic-embed-text`.",
      filledText().optional(),
    ),
    remote: later(
      embeddings,
      "A server beside those of `models.providers`. While it stands here, notes are given to nobody.",
      anyValue(),
    ),
    local: later(embeddings, "A model in this process.", anyValue()),
    fallback: inert(
      "Who makes vectors when the provider fails.",
      "Vectors of two models cannot be compared: until the provider is back, notes are found by their words.",
      anyValue(),
    ),
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
