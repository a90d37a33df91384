/** What a hook asks for beside its message: where the answer goes, which model gives it, and in which time. Source: behaviour §5.9. */
import type { ModelSettings } from "../broker/port.ts";
import type { ResolvedConfig } from "../config/resolved.ts";
import type { HookDelivery, HookWishes } from "../edge/port.ts";
import type { ReplyRoute } from "../kernel/envelope.ts";
import { failure } from "../kernel/errors.ts";
import { changeChoices, type TurnChoices } from "../kernel/session-choices.ts";
import { mainSessionKey } from "../routing/index.ts";
import type { Store } from "../store/port.ts";
import { accountOf, readAddress, unasked } from "./answer-address.ts";
import { readChoices } from "./session-choices.ts";

export interface HookWishesDeps {
  readonly config: Pick<ResolvedConfig, "channelDefaults" | "accountsOn" | "bindings" | "session">;
  readonly store: Pick<Store, "session">;
  readonly models: () => Pick<ModelSettings, "agents" | "catalogue">;
  /** Whether answers to this account leave by themselves. */
  readonly carriesAnswers: (channel: string, accountId: string) => boolean;
}

interface FoundWishes {
  readonly replyRoute: ReplyRoute;
  readonly choices?: TurnChoices;
  readonly turnMsMax?: number;
}

/** Rejects with CLOISTER_REQUEST_INVALID or CLOISTER_CAPABILITY_DENIED when one of them cannot be met: nothing is accepted then. */
export async function readHookWishes(
  deps: HookWishesDeps,
  { delivery, model, thinking, turnMsMax }: HookWishes,
  { agentId, sessionKey }: { readonly agentId: string; readonly sessionKey: string },
): Promise<FoundWishes> {
  const choices: TurnChoices | undefined = changeChoices(
    undefined,
    readChoices(deps.models(), agentId, { model, thinking }),
  );
  const replyRoute: ReplyRoute =
    delivery === undefined ? { type: "none" } : await routeOf(deps, delivery, agentId, sessionKey);
  return {
    replyRoute,
    ...(choices === undefined ? {} : { choices }),
    ...(turnMsMax === undefined ? {} : { turnMsMax }),
  };
}

async function routeOf(
  { config, store, carriesAnswers }: HookWishesDeps,
  { channel, to }: HookDelivery,
  agentId: string,
  sessionKey: string,
): Promise<ReplyRoute> {
  const isLast = channel === "last";
  if (isLast && to !== undefined) throw invalid("to: the hook names nobody on a channel", "name its channel beside to");
  const spokeIn = async (key: string) => (await store.session(key))?.lastRoute;
  const route = isLast
    ? ((await spokeIn(sessionKey)) ?? (await spokeIn(mainSessionKey(agentId, config.session))))
    : readAddress(channel, accountOf(config, channel, agentId), to ?? "");
  if (route?.type !== "channel")
    throw isLast
      ? invalid(`deliver: nobody has written to ${agentId} by a channel yet`, "name channel and to")
      : invalid(`channel: the hook names nobody on ${channel}`, "to is kind:id, e.g. direct:ana");
  if (carriesAnswers(route.channel, route.accountId)) return unasked(route);
  throw invalid(
    `channel: no answers leave through account ${route.accountId} of channel ${route.channel}`,
    "`cloister channels` shows the accounts",
  );
}

const invalid = (what: string, remedy: string): Error => failure("CLOISTER_REQUEST_INVALID", what, remedy);
