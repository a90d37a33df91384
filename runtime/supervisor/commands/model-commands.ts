/**
 * `/compact`, `/context`, `/model`, `/think`, `/verbose`: what concerns a conversation with a model. The conversation is the module's, so that the first
 * two go on to it as commands, in their place among the session's messages. Which model answers is the gateway's matter: the others
 * count from the session's next turn on, whatever waits. Source: behaviour §3.7, §5.6.
 */
import type { ResolvedAgent, ResolvedConfig } from "../../config/resolved.ts";
import type { ModuleCommand } from "../../kernel/envelope.ts";
import { toRefusal } from "../../kernel/errors.ts";
import { limits } from "../../kernel/limits.ts";
import type { SessionRow, Store } from "../../store/port.ts";
import { channelModelOf } from "../channel-models.ts";
import { effectiveChoices } from "../session-choices.ts";
import type { SessionCare } from "../session-care.ts";
import { type ChatCommand, type CommandAnswer, type CommandCall, takesNothing } from "./table.ts";

type Agent = Pick<ResolvedAgent, "module" | "model" | "settings">;

export interface ModelCommandDeps {
  readonly config: Pick<ResolvedConfig, "channelModels" | "models">;
  readonly agents: ReadonlyMap<string, Agent>;
  readonly store: Pick<Store, "session">;
  readonly care: Pick<SessionCare, "patch">;
}

interface Row extends Pick<ChatCommand, "usage" | "summary" | "takes"> {
  readonly name: string;
  readonly run: (call: CommandCall, rest: string, agent: Agent) => Promise<CommandAnswer>;
}

/** What goes on to the module. */
const toModule =
  (name: ModuleCommand): Row["run"] =>
  async (_call, rest) => ({
    reply: "",
    message: rest === "" ? `/${name}` : `/${name} ${rest}`,
    signal: { type: "command", name, rest },
  });

export function makeModelCommands({ config, agents, store, care }: ModelCommandDeps): readonly ChatCommand[] {
  /** Sets it, or only tells how it stands when nothing is named. */
  const choose =
    (
      name: "model" | "thinking" | "verbose",
      tell: (agent: Agent, row: SessionRow | undefined, call: CommandCall) => string,
    ): Row["run"] =>
    async (call, rest, agent) => {
      const { sessionKey, agentId } = call;
      if (rest === "") {
        const told = tell(agent, await store.session(sessionKey), call);
        return { reply: name === "model" && agent.model !== undefined ? told + tellAliases(config.models) : told };
      }
      try {
        const row = await care.patch(sessionKey, agentId, { [name]: rest });
        return { reply: tell(agent, row, { ...call, isOwner: true }) };
      } catch (error) {
        const { message, remedy } = toRefusal(error);
        return { reply: `Nothing was changed: ${message}${remedy === undefined ? "" : ` (${remedy})`}` };
      }
    };

  /** The name of a credential may be a person's address: it is told to owners, and to whoever has just said it. */
  function tellModel(
    agent: Agent,
    row: SessionRow | undefined,
    { sessionKey, conversation, isOwner }: CommandCall,
  ): string {
    const ofAgent = agent.model ?? "none";
    const here = agent.model && channelModelOf(config.channelModels, sessionKey, row?.lastRoute, conversation);
    const usual = here ?? ofAgent;
    const { model: chosen, authProfile } = row?.choices ?? {};
    const named =
      isOwner && authProfile !== undefined ? `the credential ${authProfile}` : "a credential that was chosen for it";
    const first = authProfile === undefined ? "" : `, with ${named} first,`;
    return chosen === undefined
      ? `Model: ${usual}, as configured${here === undefined ? "" : ` for this conversation; the agent's is ${ofAgent}`}.`
      : `Model: ${chosen}${first} in this session; configured is ${usual}. /model default takes it back.`;
  }

  const rows: readonly Row[] = [
    {
      name: "compact",
      usage: "/compact [what matters most]",
      summary: "sum up the older part of the conversation",
      takes: (rest) => Array.from(rest).length <= limits.compactFocusCharsMax,
      run: toModule("compact"),
    },
    {
      name: "context",
      usage: "/context",
      summary: "what fills the model's context",
      takes: takesNothing,
      run: toModule("context"),
    },
    {
      name: "model",
      usage: "/model [provider/model[@profile]|alias|default]",
      summary: "which model answers in this session",
      takes: (rest) => /^\S*$/u.test(rest) && rest.length <= limits.modelNameCharsMax,
      run: choose("model", tellModel),
    },
    {
      name: "think",
      usage: "/think [off|low|medium|high|default]",
      summary: "how much the model thinks in this session",
      takes: (rest) => /^(?:off|low|medium|high|default)?$/iu.test(rest),
      run: choose("thinking", tellThinking),
    },
    {
      name: "verbose",
      usage: "/verbose [off|on|full|default]",
      summary: "whether answers in this session tell which tools were called, and with what",
      takes: (rest) => /^(?:off|on|full|default)?$/iu.test(rest),
      run: choose("verbose", tellVerbose),
    },
  ];

  return rows.map(({ name, usage, summary, takes, run }) => ({
    name: `/${name}`,
    usage,
    summary,
    takes,
    // Reading tells what operators are told in any case; the others change what a conversation costs, or lose parts of it.
    needs: (rest) => (name === "compact" || rest !== "" ? "operator.admin" : undefined),
    async run(call, rest) {
      const agent = agents.get(call.agentId);
      if (agent?.module === "assistant") return run(call, rest, agent);
      return {
        reply: `Nothing was done: ${call.agentId} has no conversation with a model, it runs the module ${agent?.module ?? "of nobody"}.`,
      };
    },
  }));
}

/** What may stand in `/model` instead of a whole name; nothing when no model has an alias. */
function tellAliases({ aliases = {} }: ResolvedConfig["models"]): string {
  const all = Object.entries(aliases).map(([alias, model]) => `${alias} (${model})`);
  return all.length === 0 ? "" : `\nAliases: ${all.join(", ")}.`;
}

const whose = (chosen: string | undefined): string => (chosen === undefined ? ", as configured" : " in this session");

function tellThinking(agent: Agent, row: SessionRow | undefined): string {
  const { thinking } = effectiveChoices(agent, row?.choices);
  return `Thinking: ${thinking}${whose(row?.choices?.thinking)}.`;
}

function tellVerbose(agent: Agent, row: SessionRow | undefined): string {
  const { verbose } = effectiveChoices(agent, row?.choices);
  return `Verbose: ${verbose}${whose(row?.choices?.verbose)}.`;
}
