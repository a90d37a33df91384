/**
 * `/compact`, `/context`, `/model`, `/think`: what concerns a conversation with a model. The conversation is the module's, so that these
 * go on to it as commands, in their place among the session's messages. Source: behaviour §5.6.
 */
import type { ResolvedAgent } from "../../config/resolved.ts";
import type { ModuleCommand } from "../../kernel/envelope.ts";
import { limits } from "../../kernel/limits.ts";
import { type ChatCommand, takesNothing } from "./table.ts";

interface Row {
  readonly name: ModuleCommand;
  readonly usage: string;
  readonly summary: string;
  readonly takes: (rest: string) => boolean;
}

const rows: readonly Row[] = [
  {
    name: "compact",
    usage: "/compact [what matters most]",
    summary: "sum up the older part of the conversation",
    takes: (rest) => rest.length <= limits.compactFocusCharsMax,
  },
  { name: "context", usage: "/context", summary: "what fills the model's context", takes: takesNothing },
  {
    name: "model",
    usage: "/model [provider/model|default]",
    summary: "which model answers in this session",
    takes: (rest) => /^(?:default|[^\s/]+\/\S+)?$/iu.test(rest) && rest.length <= limits.modelNameCharsMax,
  },
  {
    name: "think",
    usage: "/think [off|low|medium|high|default]",
    summary: "how much the model thinks in this session",
    takes: (rest) => /^(?:off|low|medium|high|default)?$/iu.test(rest),
  },
];

export function makeModelCommands(agents: ReadonlyMap<string, Pick<ResolvedAgent, "module">>): readonly ChatCommand[] {
  return rows.map(({ name, usage, summary, takes }) => ({
    name: `/${name}`,
    usage,
    summary,
    takes,
    // Reading tells what operators are told in any case; the others change what a conversation costs, or lose parts of it.
    needs: (rest) => (name === "compact" || rest !== "" ? "operator.admin" : undefined),
    run({ agentId }, rest) {
      const module = agents.get(agentId)?.module;
      if (module !== "assistant")
        return Promise.resolve({
          reply: `Nothing was done: ${agentId} has no conversation with a model, it runs the module ${module ?? "of nobody"}.`,
        });
      const message = rest === "" ? `/${name}` : `/${name} ${rest}`;
      return Promise.resolve({ reply: "", message, signal: { type: "command", name, rest } as const });
    },
  }));
}
