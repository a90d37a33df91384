/**
 * `/approve`: decides, in a chat, about what waits for an operator. Only an owner whom the configuration names with the channel
 * (`commands.ownerAllowFrom: ["telegram:42"]`) may, and only where the platform vouches for who speaks: a nick of IRC belongs to whoever takes it,
 * and the webhook says what its client says. From anybody else it is an ordinary message. Buttons of channels say the same words.
 */
import { findManifest, type WithOwnChannels } from "../../config/manifests.ts";
import type { ResolvedConfig } from "../../config/resolved.ts";
import type { KernelForEdge } from "../../edge/port.ts";
import { fromRefusal, toRefusal } from "../../kernel/errors.ts";
import {
  type AskOperatorMethod,
  type Choice,
  decisions,
  listApprovals,
  type WaitingApproval,
} from "../approvals-waiting.ts";
import type { ChatCommand, CommandCall } from "./table.ts";

export const approveCommandName = "/approve";
const usage = `${approveCommandName} [<id> ${decisions.join("|")}]`;

export interface ApproveCommandDeps {
  readonly config: Pick<ResolvedConfig, "commands" | "ownChannels">;
  /** The operator's methods. */
  readonly rpc: KernelForEdge["rpc"];
}

export function makeApproveCommand({ config, rpc }: ApproveCommandDeps): ChatCommand {
  const askAs = ({ by }: CommandCall) => askMethodsAs(rpc, by);

  async function decide(call: CommandCall, id: string, decision: string): Promise<string> {
    const waiting = await listApprovals(askAs(call));
    const found = waiting.find((one) => one.id.toLowerCase() === id.toLowerCase());
    if (found === undefined) {
      const [name = ""] = id.split("@");
      const now = waiting.find((one) => one.id.startsWith(`${name}@`));
      return now === undefined
        ? `Nothing was decided: nothing waits with the id ${JSON.stringify(id)}. It was decided, or its time is over.`
        : `Nothing was decided: ${name} is not as it was shown. Now it is this:\n${describe(now)}`;
    }
    const choice = found.choices.find((one) => one.decision === decision);
    if (choice === undefined) return `Nothing was decided: ${found.elsewhere}.`;
    return outcome(choice, found, await askAs(call)(choice.method, choice.params));
  }

  return {
    name: approveCommandName,
    usage,
    summary: "what waits for an operator: list it, or decide about it",
    takes: (rest) => /^(?:\S+\s+(?:allow-once|allow-always|deny))?$/iu.test(rest),
    mayGive: ({ channel, by }) => config.commands.owners.includes(by) && vouchesForSenders(config, channel),
    needs: () => "operator.admin",
    async run(call, rest) {
      // Others would read what waits.
      if (call.isGroup) return { reply: `Nothing was decided: ${approveCommandName} is for your direct chat alone.` };
      try {
        const [id = "", decision = ""] = rest.toLowerCase().split(/\s+/u);
        if (id !== "") return { reply: await decide(call, id, decision) };
        const waiting = await listApprovals(askAs(call));
        return { reply: waiting.length === 0 ? "Nothing waits for a decision." : waiting.map(describe).join("\n\n") };
      } catch (error) {
        const { message, remedy } = toRefusal(error);
        return { reply: `Nothing was decided: ${message}${remedy === undefined ? "" : ` (${remedy})`}` };
      }
    },
  };
}

/** Whether its platform proves who speaks. */
export function vouchesForSenders(config: WithOwnChannels, channel: string): boolean {
  const manifest = findManifest(config, channel);
  return manifest !== undefined && manifest.sendersAreNames !== true;
}

/** In the name of whoever decides, or of the gateway itself. */
export function askMethodsAs(rpc: KernelForEdge["rpc"], by: string): AskOperatorMethod {
  const client = { connId: "", clientId: by, mode: "chat", scopes: ["operator.admin"] };
  return async <T>(method: string, params: object) => {
    const result = await rpc(client, method, params);
    if (!result.ok) throw fromRefusal(result.refusal);
    return result.payload as T;
  };
}

/** The words that decide; what a button says. */
export const wordsOf = (id: string, { decision }: Choice): string => `${approveCommandName} ${id} ${decision}`;

const describe = ({ id, text, choices, elsewhere }: WaitingApproval): string =>
  [text, ...(choices.length === 0 ? [elsewhere] : choices.map((choice) => wordsOf(id, choice)))].join("\n");

function outcome({ decision, method }: Choice, { id, agentId }: WaitingApproval, told: unknown): string {
  const {
    ran,
    told: isHeard,
    delivered = 0,
    notified,
    why,
  } = told as {
    readonly ran?: boolean;
    readonly told?: boolean;
    readonly delivered?: number;
    readonly notified?: boolean;
    readonly why?: string;
  };
  if (decision === "deny") return `Denied: ${id}.`;
  if (method === "exec.approval.resolve") {
    if (ran === true) return `Allowed: ${id}. It runs.`;
    const how = isHeard === true ? "which its session is told now" : "and nobody tells it to";
    return `Allowed: ${id}. It runs once, when ${agentId ?? "the agent"} calls it again, ${how}.`;
  }
  if (method === "channels.pairing.approve")
    return `Approved: ${id}.${notified === true ? " The sender was told." : " The sender could not be told."}`;
  const sent = delivered === 1 ? "1 kept message went out" : `${delivered} kept messages went out`;
  return `Approved: ${id}. ${sent}.${why === undefined ? "" : ` The others are dead letters: ${why}`}`;
}
