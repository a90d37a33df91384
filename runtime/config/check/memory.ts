/** Whether who makes vectors of notes is a provider that can. */
import { embedApis } from "../../broker/port.ts";
import type { NamedAgent } from "../agents.ts";
import type { Draft } from "../draft.ts";
import type { ConfigIssue, Path } from "../issue.ts";
import { embeddingsOf } from "../memory.ts";
import { apiOf, isKnown } from "../models.ts";
import { makeIssue } from "../validate.ts";

export function checkMemory(agents: readonly NamedAgent[], draft: Draft): ConfigIssue[] {
  const { providers, mode } = draft.config.models;
  const inherited = draft.config.agents.defaults.memorySearch ?? {};
  const issues = new Map<string, ConfigIssue>();
  for (const { entry, path } of agents) {
    const found = embeddingsOf(entry.memorySearch ?? {}, inherited);
    if (found === undefined) continue;
    const { provider, model, isInherited } = found;
    const at: Path = [...(isInherited ? ["agents", "defaults"] : path), "memorySearch"];
    const written = Object.hasOwn(providers, provider) ? providers[provider] : undefined;
    const report = (key: string, message: string, remedy: string): void => {
      const issue = makeIssue([...at, key], message, remedy, draft.written);
      issues.set(`${issue.path} ${message}`, issue);
    };
    if (written === undefined && !(mode === "merge" && isKnown(provider))) {
      report(
        "provider",
        "names no provider of models",
        `Write one of ${[...new Set(["openai", "google", "ollama", ...Object.keys(providers)])].join(", ")}, or add it to models.providers.`,
      );
      continue;
    }
    const own = written?.models.find(({ id }) => id === model)?.api;
    const api = own ?? apiOf(provider, written ?? {});
    if (api !== undefined && embedApis[api] === undefined)
      report(
        "provider",
        `names a provider that makes no vectors: its api is ${api}`,
        'Write "openai", "google", "ollama" or one of api "openai-completions".',
      );
    else if (model === undefined)
      report(
        "model",
        "is missing: of this provider no model for embeddings is known",
        "Name one, as the provider calls it.",
      );
  }
  return [...issues.values()];
}
