/**
 * Answers that go out in pieces while they are written, each a message that stays:
 *
 *     written ──long enough, or quiet at a break, or whole──► kept in the store ──► sent ──► settled
 *     the answer ──► what of it no piece has said is sent as every answer is
 *
 * A piece is in the store before it leaves, and goes with the outbound row of its answer. So a turn that is handled again, in this process or
 * the next, says nothing twice: as long as it writes the same, it goes on behind what was said; where it writes something else, from there.
 * One that may have left when the process ended is sent again under its key. Source: behaviour §5.4; docs/adr/0066-pieces-of-answers.md.
 */
import { lengthIn } from "../../../channels/chunks.ts";
import type { ResolvedConfig } from "../../config/resolved.ts";
import type { ChannelClock } from "../../channels/port.ts";
import type { EnvelopeHeader } from "../../kernel/envelope.ts";
import { toRefusal } from "../../kernel/errors.ts";
import { limits } from "../../kernel/limits.ts";
import type { BlockRow, Store } from "../../store/port.ts";
import { unasked } from "../answer-address.ts";
import type { ChannelRoute, Deliver } from "../answers.ts";
import type { Logger } from "../driver.ts";
import type { Runs } from "../runs.ts";
import type { WhyNoSending } from "../send-policy.ts";
import { nextPiece, type Piece, type PieceSizes, restOf } from "./block-text.ts";
import type { ChannelDesk } from "./channel-desk.ts";
import type { ResponsePrefix } from "./response-prefix.ts";

export interface BlocksDeps {
  readonly rules: () => ResolvedConfig["blocks"];
  readonly pauseOf: (agentId: string) => { readonly minMs: number; readonly maxMs: number } | undefined;
  readonly channels: Pick<ChannelDesk, "manifest" | "settings">;
  readonly runs: Pick<Runs, "follow">;
  readonly store: Pick<Store, "keepBlock" | "blocks">;
  readonly whyNoSending: WhyNoSending;
  /** What the agent's answers begin with there. */
  readonly prefixOf: ResponsePrefix["of"];
  /** Resolves when the channel has it, and tells whoever else has to know. */
  readonly send: SendPiece;
  readonly clock: ChannelClock;
  readonly log: Pick<Logger, "warn">;
}

export interface Blocks {
  /** Whether answers leave this account in pieces. */
  isOn(channel: string, accountId: string): boolean;
  /** The answer leaves: what of it is not said, by `send`. */
  answer(about: About, route: ChannelRoute, text: string, leftAtMs: number | undefined, send: SendRest): Promise<void>;
}

type About = Parameters<Deliver>[0];
/** `isFirst`: nothing of the answer was said before it. */
type SendRest = (text: string, route: ChannelRoute, isFirst: boolean) => Promise<void>;
type SendPiece = (
  about: About,
  route: ChannelRoute,
  text: string,
  isFirst: boolean,
  leftAtMs?: number,
) => Promise<void>;

interface Talk {
  readonly about: About;
  readonly route: ChannelRoute;
  readonly over: AbortController;
  /** What the turn has written since it began, or began anew. */
  text: string;
  /** How much of that is whole. */
  wholeTo: number;
  heardAtMs: number;
  /** What was said, in pieces; undefined: the store was not asked. */
  said: string[] | undefined;
  next: number;
  /** No further piece goes; the answer says the rest. */
  isGivenUp: boolean;
  isEnded: boolean;
  work: Promise<void> | undefined;
}

export function makeBlocks({
  rules,
  pauseOf,
  channels,
  runs,
  store,
  whyNoSending,
  prefixOf,
  send,
  clock,
  log,
}: BlocksDeps): Blocks {
  /** By the envelope whose answer is written. */
  const open = new Map<string, Talk>();

  const isOn = (channel: string, accountId: string): boolean => {
    const settings = channels.settings(channel, accountId);
    return settings !== undefined && (settings.inBlocks ?? rules().byDefault);
  };

  const makeTalk = (about: About, route: ChannelRoute): Talk => ({
    about,
    route,
    over: new AbortController(),
    text: "",
    wholeTo: 0,
    heardAtMs: clock.nowMs(),
    said: undefined,
    next: 0,
    isGivenUp: false,
    isEnded: false,
    work: undefined,
  });

  function begin(header: EnvelopeHeader): Talk | undefined {
    const { replyRoute: route, from } = header;
    if (route.type !== "channel" || from.type !== "channel" || !isOn(route.channel, route.accountId)) return undefined;
    if (open.size >= limits.blockAnswersMax) {
      const over = [...open.values()].find(({ isEnded, work }) => isEnded && work === undefined);
      if (over === undefined) return undefined;
      open.delete(over.about.id);
    }
    const begun = makeTalk(header, route);
    open.set(header.id, begun);
    return begun;
  }

  /** What earlier deliveries of the turn said; what may not have left goes again, as it was. */
  async function takeUp(talk: Talk): Promise<string[]> {
    const said: string[] = [];
    for (const row of await store.blocks(talk.about.agentId, talk.about.id)) {
      truncate(said, row.at);
      said.push(row.said);
      talk.next = row.number + 1;
      if (!row.isSettled && !(await leave(talk, row, row.atMs))) said.pop();
    }
    talk.said = said;
    return said;
  }

  /** Says what may be said now, and waits for what may be said when it is quiet. */
  async function tell(talk: Talk): Promise<void> {
    const { about, route, over } = talk;
    if (talk.said === undefined && (await whyNoSending(about.sessionKey, route)) !== undefined) talk.isGivenUp = true;
    const said = talk.isGivenUp ? [] : (talk.said ?? (await takeUp(talk)));
    while (!over.signal.aborted && !talk.isGivenUp) {
      const isBehind = bringInLine(talk, said);
      const { idleMs, wholeTexts } = rules();
      const quietAtMs = talk.heardAtMs + idleMs;
      const isQuiet = clock.nowMs() >= quietAtMs;
      const isWhole = talk.wholeTo === talk.text.length;
      const shown = wholeTexts ? talk.text.slice(0, talk.wholeTo) : talk.text;
      const when = isQuiet ? (isWhole || wholeTexts ? "all" : "quiet") : "writing";
      const piece = isBehind ? undefined : nextPiece(shown, lengthOf(said), sizesOf(talk, said, rules()), when);
      if (piece !== undefined) await say(talk, said, piece);
      else if (isQuiet) return;
      else await clock.pause(quietAtMs - clock.nowMs(), over.signal);
    }
  }

  function sizesOf(
    { about, route }: Talk,
    said: readonly string[],
    blocks: ReturnType<BlocksDeps["rules"]>,
  ): PieceSizes {
    const { channel, accountId } = route;
    const { max, unit } = channels.manifest(channel)?.text ?? { max: blocks.charsMax, unit: "utf16" as const };
    const { textChunkLimit = max } = channels.settings(channel, accountId) ?? {};
    const prefix = lengthOf(said) === 0 ? prefixOf(about.agentId, route) : "";
    const prefixChars = prefix === "" ? 0 : lengthIn(unit, prefix) + 1;
    const charsMax = Math.min(blocks.charsMax, Math.min(max, textChunkLimit) - prefixChars);
    return { ...blocks, charsMax, lengthOf: (text) => lengthIn(unit, text) };
  }

  async function say(talk: Talk, said: string[], { text, said: part }: Piece): Promise<void> {
    const { about, over } = talk;
    const row: BlockRow = {
      number: talk.next++,
      at: lengthOf(said),
      said: part,
      text,
      atMs: clock.nowMs(),
      isSettled: false,
    };
    const pause = said.length === 0 ? undefined : pauseOf(about.agentId);
    if (pause !== undefined)
      await clock.pause(Math.round(pause.minMs + clock.random() * (pause.maxMs - pause.minMs)), over.signal);
    await store.keepBlock(about.agentId, about.id, row);
    said.push(part);
    if (!(await leave(talk, row))) said.pop();
  }

  /** False: its channel does not take it. The answer has it then, with its attempts and its dead letter. */
  async function leave(talk: Talk, row: BlockRow, leftAtMs?: number): Promise<boolean> {
    const { about, route } = talk;
    let isSent = true;
    try {
      await send({ ...about, id: keyOf(about, row) }, routeBehind(row.at, route), row.text, row.at === 0, leftAtMs);
    } catch (error) {
      if (toRefusal(error).code === "CLOISTER_THREAD_LOST") {
        // The process ends: it is kept as it is, for the next one. An answer that is there already has to find it so, and be kept as well.
        talk.said = undefined;
        throw error;
      }
      note(talk, error);
      isSent = false;
    }
    await store.keepBlock(about.agentId, about.id, { ...row, said: isSent ? row.said : "", isSettled: true });
    return isSent;
  }

  function note(talk: Talk, error: unknown): void {
    const { id: envelope, sessionKey: session } = talk.about;
    talk.isGivenUp = true;
    log.warn(
      { envelope, session, channel: talk.route.channel, error: toRefusal(error) },
      "a piece of an answer did not leave; the rest comes with the answer",
    );
  }

  function start(talk: Talk): void {
    if (talk.over.signal.aborted || talk.isGivenUp) return;
    talk.work ??= tell(talk)
      .catch((error: unknown) => note(talk, error))
      .finally(() => void (talk.work = undefined));
  }

  runs.follow({
    began({ id }) {
      const talk = open.get(id);
      if (talk === undefined) return;
      talk.text = "";
      talk.wholeTo = 0;
    },
    streamed(header, text) {
      const talk = open.get(header.id) ?? begin(header);
      if (talk === undefined) return;
      talk.text += text;
      talk.heardAtMs = clock.nowMs();
      start(talk);
    },
    called({ id }) {
      const talk = open.get(id);
      if (talk === undefined) return;
      talk.wholeTo = talk.text.length;
      start(talk);
    },
    ended({ id }, outcome) {
      const talk = open.get(id);
      if (talk === undefined) return;
      talk.isEnded = true;
      talk.over.abort();
      if (outcome.status !== "ok") open.delete(id);
    },
  });

  return {
    isOn,
    async answer(about, route, text, leftAtMs, sendRest) {
      const known = open.get(about.id);
      // One that made room for another, or is written by a turn that is handled again beyond the bound, may have said something all the same.
      if (known === undefined && leftAtMs === undefined && !isOn(route.channel, route.accountId))
        return sendRest(text, route, true);
      const talk = known ?? makeTalk(about, route);
      talk.over.abort();
      open.delete(about.id);
      await talk.work;
      const said = talk.said ?? (await takeUp(talk));
      const rest = restOf(text, said.join(""));
      const at = lengthOf(said);
      if (rest.trim() !== "") await sendRest(rest, routeBehind(at, route), at === 0);
    },
  };
}

/** The first message alone names the one that it answers. */
const routeBehind = (at: number, route: ChannelRoute): ChannelRoute => (at === 0 ? route : unasked(route));

/** No part of a long answer has it: those are numbered behind the envelope's id (`runtime/channels/accounts.ts`), and platforms drop what comes under a key again. */
const keyOf = ({ id }: Pick<About, "id">, { number }: Pick<BlockRow, "number">): string => `${id}:piece-${number}`;

const lengthOf = (parts: readonly string[]): number => parts.reduce((sum, { length }) => sum + length, 0);

/** Takes away what begins at this place or goes beyond it. */
function truncate(said: string[], at: number): void {
  while (lengthOf(said) > at) said.pop();
}

/** A turn that began anew may write something else: what it has not said so is said from there. True: it is not yet as far as it was. */
function bringInLine({ text }: Talk, said: string[]): boolean {
  const all = said.join("");
  if (text.startsWith(all)) return false;
  if (all.startsWith(text)) return true;
  let same = 0;
  let at = 0;
  while (same < said.length && text.startsWith(said[same] ?? "", at)) at += said[same++]?.length ?? 0;
  said.length = same;
  return false;
}
