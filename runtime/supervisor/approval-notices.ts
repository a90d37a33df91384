/**
 * Owners hear, in their direct chat, of what waits for an operator, with buttons where the channel has them. Each of `commands.ownerAllowFrom` that is
 * named with a channel (`telegram:42`) is told, by the account that the agent is bound to there. What waits is durable where it is kept; who was
 * told is not: what still waits after a restart is told again. Told is also what is lost on the way to one owner: `/approve` lists it.
 */
import type { ResolvedConfig } from "../config/resolved.ts";
import type { GatewayEvent, KernelForEdge } from "../edge/port.ts";
import { toRefusal } from "../kernel/errors.ts";
import { ownerRoutes } from "./answer-address.ts";
import type { ChannelRoute } from "./answers.ts";
import { listApprovals, type WaitingApproval } from "./approvals-waiting.ts";
import { askMethodsAs, vouchesForSenders, wordsOf } from "./commands/approve-command.ts";
import type { Logger } from "./driver.ts";
import type { Post } from "./post.ts";

export interface ApprovalNoticesDeps {
  readonly config: Pick<ResolvedConfig, "commands" | "channelDefaults" | "accountsOn" | "bindings" | "ownChannels">;
  readonly rpc: KernelForEdge["rpc"];
  readonly post: Post;
  readonly carriesAnswers: (channel: string, accountId: string) => boolean;
  readonly newId: () => string;
  readonly log: Logger;
}

export interface ApprovalNotices {
  /** Something may wait that did not: of the events of the gateway. */
  heard(event: Pick<GatewayEvent, "event">): void;
  /** Tells of what the last process left. */
  start(): void;
}

const tells: ReadonlySet<string> = new Set(["exec.approvals", "grants.requests", "channels.pairing.requested"]);

export function makeApprovalNotices(deps: ApprovalNoticesDeps): ApprovalNotices {
  const { config, log } = deps;
  /** Of what waits, what was told: without the revision, so that each is told once. */
  let told: ReadonlySet<string> = new Set();
  let looked: Promise<void> = Promise.resolve();

  const placesOf = (agentId: string | undefined): readonly ChannelRoute[] =>
    config.commands.text
      ? ownerRoutes(config, agentId).filter(
          ({ channel, peerKind }) => peerKind === "direct" && vouchesForSenders(config, channel),
        )
      : [];

  const routesOf = (agentId: string | undefined): readonly ChannelRoute[] =>
    placesOf(agentId).filter(({ channel, accountId }) => deps.carriesAnswers(channel, accountId));

  function tell({ id, agentId, text, choices, elsewhere }: WaitingApproval): void {
    const buttons = choices.map((choice) => ({ label: choice.label, text: wordsOf(id, choice) }));
    const shown = choices.length === 0 && !text.includes(elsewhere) ? `${text}\n${elsewhere}` : text;
    // Of no agent: no line of it names a file of a workspace.
    for (const route of routesOf(agentId))
      void deps
        .post({ id: deps.newId(), agentId: "", sessionKey: "" }, route, shown, undefined, buttons)
        .catch((error: unknown) =>
          log.warn(
            { channel: route.channel, account: route.accountId, request: id, error: toRefusal(error) },
            "an owner could not be told of what waits for a decision",
          ),
        );
  }

  async function look(): Promise<void> {
    // Whom an account reaches is asked for each: it is its agent's.
    if (placesOf(undefined).length === 0) return;
    const all = await listApprovals(askMethodsAs(deps.rpc, "approval-notices"));
    const waiting = all.filter(({ agentId }) => routesOf(agentId).length > 0);
    const before = told;
    told = new Set(waiting.map(nameOf));
    for (const one of waiting) if (!before.has(nameOf(one))) tell(one);
  }

  const lookNext = (): void => {
    looked = looked
      .then(look)
      .catch((error: unknown) => log.error({ error: toRefusal(error) }, "what waits for a decision could not be told"));
  };

  return {
    heard({ event }) {
      if (tells.has(event)) lookNext();
    },
    start: lookNext,
  };
}

const nameOf = ({ id }: WaitingApproval): string => id.split("@")[0] ?? id;
