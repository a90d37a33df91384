/** The code behind an agent: one of the shipped modules by name, or a file. */
import type { NamedAgent } from "./agents.ts";
import { resolveConfigPath } from "./agents.ts";
import type { Draft } from "./draft.ts";
import { findNearest } from "./suggest.ts";

const builtins = ["assistant", "scripted", "echo", "relay"] as const;

export type AgentModule =
  | { readonly kind: "builtin" | "file"; readonly module: string }
  | { readonly kind: "wrong"; readonly message: string; readonly remedy: string };

export function findModule(agent: NamedAgent, draft: Draft): AgentModule {
  const { defaults } = draft.config.agents;
  // Without a model there is nobody who would answer; the rules of `scripted` say how to configure one.
  const usual = (agent.entry.model ?? defaults.model) === undefined ? "scripted" : "assistant";
  const name = (agent.entry.module ?? defaults.module ?? usual).trim();
  if ((builtins as readonly string[]).includes(name)) return { kind: "builtin", module: name };
  const names = builtins.join(", ");
  if (/[\\/]/.test(name) || /\.[cm]?[jt]s$/.test(name)) return { kind: "file", module: resolveConfigPath(name, draft) };
  const near = findNearest(name, builtins);
  return {
    kind: "wrong",
    message: `must be one of ${names}, or the path of a module file`,
    remedy: near === undefined ? "A path has a slash or ends in .ts or .js." : `Did you mean "${near}"?`,
  };
}
