/**
 * Messages of channels on their way to the accept path: may it come in, is it meant for an agent, for which one or which several,
 * and what of the group do they see with it. What decides is pure (`runtime/groups`); here are its state and its order:
 *
 *     admission ──no──► dropped        own answer come back, or a pair of bots over its budget ──► dropped
 *         │
 *     mention gate ──no──► kept as context ("pending")
 *         │
 *     one agent, or a broadcast
 *
 * Messages of one room are taken one after the other, so that what an agent is shown of the room and what counts as seen agree.
 * Source: behaviour §2.7, §2.8.
 */
import type { SenderPlace } from "../../auth/senders.ts";
import type { InboundEvent, Peer } from "../../channels/port.ts";
import type { ResolvedConfig } from "../config/resolved.ts";
import type { InboundResult } from "../edge/port.ts";
import {
  type AccountRules,
  type AgentReply,
  type BroadcastEntry,
  cut,
  digestLines,
  findBroadcast,
  findRules,
  frameDigest,
  frameMessage,
  judgeAdmission,
  judgeMention,
  makeLoopGuard,
  makeMentionPatterns,
  pairName,
} from "../groups/index.ts";
import type { Fate, RoomSight } from "../kernel/envelope.ts";
import { toRefusal } from "../kernel/errors.ts";
import type { Admission } from "../kernel/kernel.ts";
import { limits } from "../kernel/limits.ts";
import { agentsOfRoom, resolveRoute, type Route, type RouteTable, routeToAgent } from "../routing/index.ts";
import type { RoomRow, Store } from "../store/port.ts";
import type { ChannelRoute } from "./answers.ts";
import { type Accept, makeBroadcasts } from "./broadcasts.ts";
import type { CommandResult, Commands } from "./commands/index.ts";
import type { Logger } from "./driver.ts";
import { makeDerived } from "./live-config.ts";
import type { Runs } from "./runs.ts";
import type { SenderDesk } from "./senders.ts";
import {
  conversationOf,
  dedupeOf,
  dropLine,
  type Heard,
  letterOf,
  makeAdmission,
  peerText,
  placeOf,
  provenanceOf,
  replyRouteOf,
  roomKey,
} from "./mail-admission.ts";
import type { ThreadBindings } from "./thread-bindings.ts";

export interface ChannelMailDeps {
  readonly config: ResolvedConfig;
  readonly routes: RouteTable;
  readonly store: Pick<Store, "room" | "activation" | "keepRoomRow" | "keepLetter">;
  readonly runs: Runs;
  readonly accept: Accept;
  readonly newUuid: () => string;
  readonly nowMs: () => number;
  readonly log: Logger;
  readonly commands: Pick<Commands, "fromChannel">;
  readonly senders: Pick<SenderDesk, "isKnown" | "ask">;
  readonly threads: Pick<ThreadBindings, "heard">;
  /** Puts the files of a message below the workspace of an agent that is to have it. Gives what stands behind the text. Never rejects. */
  readonly bring: (event: InboundEvent, agentId: string) => Promise<string>;
  /** Sends the answer of a command through its channel. */
  readonly answer: (about: AnsweredCommand, route: ChannelRoute, text: string) => void;
  /** Whether answers to this account leave by themselves; else they stay in the session. */
  readonly carriesAnswers: (channel: string, accountId: string) => boolean;
}

export interface AnsweredCommand {
  readonly id: string;
  readonly agentId: string;
  readonly sessionKey: string;
}

/** An answer that its conversation has: delivered, or ended in the session when nothing is delivered. */
export interface Answered {
  readonly envelopeId: string;
  readonly agentId: string;
  readonly channel: string;
  readonly accountId: string;
  readonly peer: Peer;
  readonly threadId?: string;
  readonly text: string;
  readonly platformMessageId?: string;
}

type Dropped = Extract<InboundResult, { status: "dropped" }>;
type GateInput = Parameters<typeof judgeMention>[0];

export interface ChannelMail {
  inbound(event: InboundEvent, idempotencyKey: string | undefined): Promise<InboundResult>;
  /** Whether the rules let an agent have it: who says it may, and in a group that asks for it the agent is mentioned. */
  isMeant(event: InboundEvent): Promise<boolean>;
  /** Keeps a message that was not taken as a dead letter of each agent of its conversation; not where the rules do not admit it. */
  giveUp(event: InboundEvent, fate: Fate, reason: string): Promise<void>;
  /** Shows an answer to the other agents of its group. Never rejects. */
  answered(answer: Answered): Promise<void>;
}

/** Words alone may have more of them behind them. */
const mayGoOn = (
  { media, signal }: Heard,
  { debounceMs }: AccountRules,
  isCommand: boolean,
): Pick<Admission, "holdMs"> =>
  debounceMs === 0 || isCommand || signal !== undefined || (media ?? []).length > 0 ? {} : { holdMs: debounceMs };

export function makeChannelMail(deps: ChannelMailDeps): ChannelMail {
  const { config, routes, store, log, nowMs } = deps;
  const chats = makeDerived(
    () => config.agents,
    (agents) => {
      const groupChats = new Map(
        agents.flatMap(({ id, groupChat }) => (groupChat === undefined ? [] : [[id, groupChat] as const])),
      );
      return { groupChats, patterns: makeMentionPatterns(config.groups, Object.fromEntries(groupChats)) };
    },
  );
  const guard = makeLoopGuard(limits.botPairsMax);
  const broadcasts = makeBroadcasts({
    ...deps,
    addresses: (agentId, text) => chats().patterns.addresses(agentId, text),
    keepRefused: (admission, { code, message }) =>
      store.keepLetter(
        letterOf(admission, deps.newUuid(), nowMs()),
        "refused",
        `${code}: ${message}`,
        admission.dedupe,
      ),
  });
  /** The last work on each room, until it has settled. */
  const tails = new Map<string, Promise<unknown>>();

  const inRoom = <T>(room: string, work: () => Promise<T>): Promise<T> => {
    const done = (tails.get(room) ?? Promise.resolve()).then(work, work);
    tails.set(room, done);
    const forget = (): void => {
      if (tails.get(room) === done) tails.delete(room);
    };
    done.then(forget, forget);
    return done;
  };

  const drop = (event: InboundEvent, route: Route, reason: string, rule: string, remedy: string): Dropped => {
    log.info(
      { channel: route.channel, account: route.accountId, peer: peerText(event.peer), rule },
      dropLine(route.channel, reason),
    );
    return { status: "dropped", reason, rule, remedy };
  };

  const isHeard = (event: InboundEvent, route: Route, rules: AccountRules): boolean => {
    if (event.sender.isBot !== true) return true;
    const place = `${route.channel}:${peerText(event.peer)}`;
    const receiver = event.selfId ?? `account:${route.accountId}`;
    return guard.hears(pairName(place, event.sender.id, receiver), rules.botBudget, nowMs());
  };

  const tooOften = (event: InboundEvent, route: Route, { keys, botBudget }: AccountRules): InboundResult =>
    drop(
      event,
      route,
      `blocked: bots answer each other more than ${botBudget.events} times in ${botBudget.windowMs / 1000} s; the pair is not heard for ${botBudget.cooldownMs / 1000} s`,
      keys.botLoopProtection,
      `wait, or raise ${keys.botLoopProtection}.maxEventsPerWindow`,
    );

  const admissionOf = (event: Heard, route: Route, body: string, key: string | undefined, sees?: RoomSight) =>
    makeAdmission(event, route, body, key, sees, deps.carriesAnswers(route.channel, route.accountId));

  async function toOne(event: Heard, route: Route, admission: Admission, isMentioned = false): Promise<InboundResult> {
    const result = await deps.accept(admission);
    if (result.status === "refused") return result;
    const { agentId, sessionKey, matchedBy } = route;
    return { status: result.status, runId: result.runId, agentId, sessionKey, matchedBy, turn: { isMentioned } };
  }

  const gateOf = (
    event: InboundEvent,
    { channel }: Route,
    targets: readonly Route[],
    rest: Pick<GateInput, "rules" | "group" | "activation" | "isCommand">,
  ) =>
    judgeMention({
      ...rest,
      facts: { ...event, channel },
      patterns: chats().patterns,
      agentIds: targets.map(({ agentId }) => agentId),
    });

  async function toGroup(
    event: Heard,
    route: Route,
    rules: AccountRules,
    group: GateInput["group"],
    key: string | undefined,
    isCommand: boolean,
  ): Promise<Rest> {
    const room = roomKey(route.channel, route.accountId, event.peer, event.threadId);
    const { entry, targets } = targetsOf(event, route);
    const isShared = entry !== undefined || agentsOfRoom(routes, event).length > 1;
    const view = await store.room({
      room,
      sessionKey: route.sessionKey,
      agents: targets.map(({ agentId }) => ({ agentId, limit: historyLimit(rules, agentId) })),
      ...(event.messageId === undefined ? {} : { id: event.messageId }),
    });
    if (view.isOwn)
      return settled(
        drop(
          event,
          route,
          "an answer of our own that came back",
          rules.keys.allowBots,
          "nothing: every agent of the group has it already",
        ),
      );
    const gate = gateOf(event, route, targets, { rules, group, activation: view.activation, isCommand });
    const row: RoomRow = {
      id: key ?? deps.newUuid(),
      ...(event.messageId === undefined || event.messageId === key ? {} : { otherId: event.messageId }),
      speaker: event.sender.name ?? event.sender.id,
      text: cut(event.text, limits.roomRowCharsMax),
      atMs: nowMs(),
    };
    if (!gate.open) {
      if (rules.historyLimit > 0) await store.keepRoomRow(room, row, rules.historyLimit);
      log.info(
        { channel: route.channel, account: route.accountId, peer: peerText(event.peer) },
        dropLine(route.channel, `${gate.reason}${rules.historyLimit > 0 ? "; kept as context" : ""}`),
      );
      return settled({ status: "pending", reason: gate.reason, remedy: gate.remedy });
    }
    if (!isHeard(event, route, rules)) return settled(tooOften(event, route, rules));
    const kept =
      isShared && rules.historyLimit > 0 ? await store.keepRoomRow(room, row, rules.historyLimit) : undefined;
    const upto = Math.max(view.last, kept?.seq ?? 0);
    const brought = new Map<string, string>();
    for (const { agentId } of targets) brought.set(agentId, await deps.bring(event, agentId));
    const bodyFor = (agentId: string): string => {
      const before = (view.unseen[agentId] ?? []).filter(({ id }) => id !== row.id);
      return frameMessage(
        before.map(({ speaker, text, agentId: by }) => ({ speaker, text, isAgent: by !== undefined })),
        event.text + (brought.get(agentId) ?? ""),
      );
    };
    const sightOf = (agentId: string): RoomSight | undefined =>
      upto === 0 ? undefined : { room, agentId, upto, ids: [] };
    const isMentioned = gate.mentionedBy !== undefined;
    if (entry === undefined) {
      const { agentId } = route;
      const hasNews = (view.unseen[agentId] ?? []).length > 0 || kept !== undefined;
      const admission = {
        ...admissionOf(event, route, bodyFor(agentId), key, hasNews ? sightOf(agentId) : undefined),
        ...mayGoOn(event, rules, isCommand),
      };
      // What the next message of the room shows depends on what this one did.
      if (hasNews) return settled(await toOne(event, route, admission, isMentioned));
      return () => toOne(event, route, admission, isMentioned);
    }
    const routeOf = new Map(targets.map((target) => [target.agentId, target]));
    const admit = (agentId: string, round: number, replies: readonly AgentReply[]): Admission => {
      const target = routeOf.get(agentId) ?? route;
      const roundKey = key === undefined ? undefined : round === 1 ? key : `${key}\n${round}`;
      const admission =
        round === 1
          ? admissionOf(event, target, bodyFor(agentId), roundKey, sightOf(agentId))
          : admissionOf(event, target, frameDigest(digestLines(replies), event.text), roundKey, {
              room,
              agentId,
              upto: 0,
              ids: replies.map(({ envelopeId }) => envelopeId),
            });
      const from = routeOf.get(replies[0]?.agentId ?? "");
      return {
        ...admission,
        ...(roundKey === undefined ? {} : { dedupe: dedupeOf(event, target, roundKey, true) }),
        // From the second round on it is the siblings' word, and not the sender's.
        ...(from === undefined
          ? {}
          : {
              chain: [from.sessionKey],
              provenance: {
                kind: "inter_session",
                sourceSessionKey: from.sessionKey,
                sourceChannel: route.channel,
                sourceTool: "broadcast",
              },
            }),
      };
    };
    const started = await broadcasts.start({ entry, text: event.text, admit });
    return settled(started.status === "accepted" ? { ...started, turn: { isMentioned } } : started);
  }

  function targetsOf(event: InboundEvent, route: Route): { entry?: BroadcastEntry; targets: readonly Route[] } {
    if (route.matchedBy === "thread") return { targets: [route] };
    const entry = findBroadcast(config.groups.broadcast.entries, { channel: route.channel, peer: event.peer });
    if (entry === undefined) return { targets: [route] };
    return { entry, targets: entry.agents.map((agentId) => routeToAgent(routes, event, agentId)) };
  }

  /**
   * Carries out a command, in a broadcast for each of its agents: before the mention gate, and past every queue. A text is what
   * goes on to the agents. Undefined: it is none.
   */
  async function command(
    event: InboundEvent,
    route: Route,
    key: string | undefined,
  ): Promise<InboundResult | Pick<Heard, "text" | "signal" | "choices"> | undefined> {
    const { entry, targets } = targetsOf(event, route);
    const results: { readonly target: Route; readonly result: CommandResult }[] = [];
    for (const target of targets) {
      const { agentId, sessionKey } = target;
      const dedupe = key === undefined ? {} : { dedupe: dedupeOf(event, target, key, entry !== undefined) };
      const result = await deps.commands.fromChannel(event.text, event, {
        agentId,
        sessionKey,
        provenance: provenanceOf(event, target),
        conversation: conversationOf(event, target),
        ...dedupe,
      });
      if (result === undefined) return undefined;
      results.push({ target, result });
    }
    const texts: string[] = [];
    let first: InboundResult | undefined;
    for (const { target, result } of results) {
      if (result.status === "goes-on") {
        const { status: _, message: text, ...rest } = result;
        return { text, ...rest };
      }
      const { agentId, sessionKey, matchedBy } = target;
      first ??= { status: result.status, runId: result.runId, agentId, sessionKey, matchedBy };
      if (result.status === "accepted") texts.push(entry === undefined ? result.reply : `${agentId}: ${result.reply}`);
    }
    const replyRoute = replyRouteOf(event, route, deps.carriesAnswers(route.channel, route.accountId));
    if (first !== undefined && "runId" in first && replyRoute.type === "channel" && texts.length > 0)
      deps.answer({ ...first, id: first.runId }, replyRoute, texts.join("\n"));
    return first;
  }

  /** To the sub-agent's session that has the conversation, if one has it. */
  function routeToThread(event: InboundEvent, route: Route): Route {
    const binding = deps.threads.heard(conversationOf(event, route));
    if (binding === undefined) return route;
    const { agentId, sessionKey } = binding;
    return { ...route, agentId, sessionKey, lastRoutePolicy: "session", matchedBy: "thread" };
  }

  function judge(said: InboundEvent) {
    const routed = resolveRoute(routes, said);
    const rules = findRules(config.groups, routed.channel, routed.accountId);
    const place = placeOf(said, routed);
    const approved = said.peer.kind === "direct" && deps.senders.isKnown(place);
    return { routed, rules, place, judged: judgeAdmission(rules, { ...said, channel: routed.channel, approved }) };
  }

  /** Told once, where the sender is: by the channel, and to whoever posted the message. */
  async function askForSender(
    event: InboundEvent,
    route: Route,
    place: SenderPlace,
    dropped: Dropped,
  ): Promise<InboundResult> {
    const { name } = event.sender;
    const reply = await deps.senders.ask({
      ...place,
      peerId: event.peer.id,
      ...(name === undefined ? {} : { senderName: name }),
    });
    if (reply === undefined) return dropped;
    const replyRoute = replyRouteOf(event, route, deps.carriesAnswers(route.channel, route.accountId));
    if (replyRoute.type === "channel") deps.answer({ ...route, id: deps.newUuid() }, replyRoute, reply);
    return { ...dropped, reply };
  }

  function historyLimit(rules: AccountRules, agentId: string): number {
    return Math.min(rules.historyLimit, chats().groupChats.get(agentId)?.historyLimit ?? rules.historyLimit);
  }

  return {
    async inbound(said, idempotencyKey) {
      const { routed, rules, place, judged } = judge(said);
      if (!judged.admitted) {
        const dropped = drop(said, routed, judged.reason, judged.rule, judged.remedy);
        return judged.asksApproval === true ? askForSender(said, routed, place, dropped) : dropped;
      }
      const route = routeToThread(said, routed);
      const event = inThread(said, route);
      const key = idempotencyKey ?? event.messageId;
      // A direct chat may have several agents as well; there everything is meant for them.
      const group =
        judged.group ?? (targetsOf(event, route).entry === undefined ? undefined : { requireMention: false });
      if (group === undefined && !isHeard(event, route, rules)) return tooOften(event, route, rules);
      const ordered = event.sender.isBot === true ? undefined : await command(event, route, key);
      if (ordered !== undefined && "status" in ordered) return ordered;
      const message = ordered === undefined ? event : { ...event, ...ordered };
      if (group === undefined) {
        const body = message.text + (await deps.bring(message, route.agentId));
        const isCommand = ordered !== undefined;
        return toOne(message, route, {
          ...admissionOf(message, route, body, key),
          ...mayGoOn(message, rules, isCommand),
        });
      }
      const room = roomKey(route.channel, route.accountId, event.peer, event.threadId);
      const rest = await inRoom(room, () => toGroup(message, route, rules, group, key, ordered !== undefined));
      return rest();
    },

    async isMeant(said) {
      const { judged, routed, rules } = judge(said);
      if (!judged.admitted) return false;
      if (judged.group === undefined) return true;
      const route = routeToThread(said, routed);
      const event = inThread(said, route);
      const { targets } = targetsOf(event, route);
      const activation = await store.activation(route.sessionKey);
      return gateOf(event, route, targets, { rules, group: judged.group, activation, isCommand: false }).open;
    },

    async giveUp(event, fate, reason) {
      const { judged, routed } = judge(event);
      if (!judged.admitted) return;
      for (const target of targetsOf(event, routeToThread(event, routed)).targets) {
        const body = event.text + (await deps.bring(event, target.agentId));
        const letter = letterOf(admissionOf(event, target, body, undefined), deps.newUuid(), nowMs());
        await store.keepLetter(letter, fate, reason);
      }
    },

    async answered({ envelopeId, agentId, channel, accountId, peer, threadId, text, platformMessageId }) {
      if (peer.kind === "direct") return;
      const facts = { channel, accountId, peer };
      const { historyLimit: keep } = findRules(config.groups, channel, accountId);
      const entry = findBroadcast(config.groups.broadcast.entries, facts);
      if (keep === 0 || (entry === undefined && agentsOfRoom(routes, facts).length < 2)) return;
      const room = roomKey(channel, accountId, peer, threadId);
      const row: RoomRow = {
        id: envelopeId,
        ...(platformMessageId === undefined ? {} : { otherId: platformMessageId }),
        speaker: agentId,
        agentId,
        text: cut(text, limits.roomRowCharsMax),
        atMs: nowMs(),
      };
      await inRoom(room, () => store.keepRoomRow(room, row, keep)).catch((error: unknown) =>
        log.error(
          { agent: agentId, envelope: envelopeId, error: toRefusal(error) },
          "an answer could not be shown to the other agents of its group",
        ),
      );
    },
  };
}

const inThread = (said: InboundEvent, route: Route): InboundEvent =>
  route.matchedBy === "thread" ? { ...said, botInThread: true } : said;

/** What is still to be done when the next message of the room may come: a message alone needs no order beyond that of its mailbox. */
type Rest = () => Promise<InboundResult>;

const settled =
  (result: InboundResult): Rest =>
  () =>
    Promise.resolve(result);
