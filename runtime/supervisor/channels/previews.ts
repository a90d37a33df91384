/**
 * Answers as people see them while they are written, where the channel can edit its messages:
 *
 *     waiting ──a second──► shown ──each second in which more is written──► edited
 *        │                    └──the answer──► the message becomes the answer, where that is one message and nothing was said behind it
 *        │                                └──else──► the answer is sent, and the message removed
 *        └──the answer, or none──► over
 *
 * With `progress` the message says which tools the turn has called, and none of its words.
 *
 * Nothing of it is kept: the answer waits in the store as every answer does, and is sent whole when the message cannot become it, or a crash
 * came between. A message that a crash left behind ends with a mark that says that it is not the whole. Source: behaviour §5.4.
 */
import { chunksFor, lengthIn } from "../../../channels/chunks.ts";
import { takeMediaLines } from "../../../channels/media.ts";
import type { AccountSettings, ChannelManifest, OutboundMessage, SendResult } from "../../../channels/port.ts";
import type { ChannelClock } from "../../channels/port.ts";
import type { EnvelopeHeader } from "../../kernel/envelope.ts";
import { limits } from "../../kernel/limits.ts";
import type { ChannelRoute } from "../answers.ts";
import type { Runs } from "../runs.ts";
import type { WhyNoSending } from "../send-policy.ts";
import type { ChannelDesk } from "./channel-desk.ts";
import { type Place, placeKey } from "./place-key.ts";

export interface PreviewsDeps {
  readonly channels: Pick<ChannelDesk, "manifest" | "settings" | "sendOnce" | "act">;
  readonly runs: Pick<Runs, "follow">;
  readonly whyNoSending: WhyNoSending;
  /** A text of this envelope as its channel gets it. */
  readonly messageOf: (about: EnvelopeHeader, route: ChannelRoute, text: string) => OutboundMessage;
  /** What is written, as its message begins. */
  readonly asBegun: (about: EnvelopeHeader, route: ChannelRoute, text: string) => string;
  readonly clock: ChannelClock;
}

export interface Previews {
  /** Something else goes to this place: what is shown there stands above it from now on. */
  passed(place: Place): void;
  /** The answer leaves: as the message that is shown, else by `send`. Gives the platform's id, and rejects as `send` does. */
  answer(message: OutboundMessage, send: () => Promise<string | undefined>): Promise<string | undefined>;
}

interface Preview {
  readonly header: EnvelopeHeader;
  readonly route: ChannelRoute;
  readonly place: string;
  readonly settings: AccountSettings;
  readonly over: AbortController;
  text: string;
  /** Called by the turn, the last one last, with how often. */
  readonly tools: Map<string, number>;
  /** What the message has. */
  shown: string;
  messageId: string | undefined;
  isPassed: boolean;
  faults: number;
  /** Undefined: nothing is to be shown at the moment. */
  work: Promise<void> | undefined;
}

/** Behind what is not the whole. */
const mark = " …";

export function makePreviews({ channels, runs, whyNoSending, messageOf, asBegun, clock }: PreviewsDeps): Previews {
  /** By the envelope whose answer is written. */
  const open = new Map<string, Preview>();

  function begin(header: EnvelopeHeader): Preview | undefined {
    const { replyRoute: route, from } = header;
    if (route.type !== "channel" || from.type !== "channel") return undefined;
    const { channel, accountId } = route;
    if (channels.manifest(channel)?.capabilities.edit !== true) return undefined;
    const settings = channels.settings(channel, accountId);
    if (settings?.preview === undefined) return undefined;
    const place = placeKey(messageOf(header, route, ""));
    const begun: Preview = {
      header,
      route,
      place,
      settings,
      over: new AbortController(),
      text: "",
      tools: new Map(),
      shown: "",
      messageId: undefined,
      isPassed: false,
      faults: 0,
      work: undefined,
    };
    const [oldest] = open.values();
    if (open.size >= limits.channelPreviewsMax && oldest !== undefined) {
      oldest.over.abort();
      open.delete(oldest.header.id);
    }
    open.set(header.id, begun);
    return begun;
  }

  async function show(preview: Preview): Promise<void> {
    const { header, route, over } = preview;
    if (preview.messageId === undefined && (await whyNoSending(header.sessionKey, route)) !== undefined)
      return giveUp(preview);
    for (let pauseMs: number = limits.channelPreviewMs; ; ) {
      await clock.pause(pauseMs, over.signal);
      const text = shownText(preview, channels.manifest(preview.route.channel), asBegun);
      if (over.signal.aborted || isGivenUp(preview) || text === preview.shown) return;
      const result = await put(preview, text);
      pauseMs = limits.channelPreviewMs;
      if (result.status === "sent") {
        preview.shown = text;
        preview.messageId ??= result.platformMessageId;
      } else {
        preview.faults++;
        pauseMs = Math.max(pauseMs, result.retryAfterMs ?? 0);
      }
      // One that has no name, or may be there, can neither be edited nor removed: there is to be no second one.
      const isThere = result.status === "sent" || result.mayHaveArrived === true;
      if (isThere && preview.messageId === undefined) giveUp(preview);
    }
  }

  function put({ header, route, messageId }: Preview, text: string): Promise<SendResult> {
    const message = messageOf(header, route, text);
    if (messageId !== undefined) return change(message, messageId, { type: "edit", text });
    return channels.sendOnce({ ...message, idempotencyKey: `${message.idempotencyKey}:preview` });
  }

  const change = (
    { channel, accountId, peer, threadId }: OutboundMessage,
    messageId: string,
    what: Parameters<ChannelDesk["act"]>[2]["change"],
  ): Promise<SendResult> =>
    channels.act(channel, accountId, {
      peer,
      messageId,
      change: what,
      ...(threadId === undefined ? {} : { threadId }),
    });

  /** Nothing more is shown when it resolves. */
  async function close(preview: Preview): Promise<void> {
    open.delete(preview.header.id);
    preview.over.abort();
    await preview.work;
  }

  /** The turn is over. A message that may become its answer waits for that, which may be withheld: then it stays as it is. */
  async function settle(preview: Preview, hasAnswer: boolean): Promise<void> {
    await preview.work;
    if (hasAnswer && preview.messageId !== undefined) return;
    if (open.delete(preview.header.id)) await remove(preview, messageOf(preview.header, preview.route, ""));
  }

  /** Whoever sees it for longer than the answer reads it twice, and loses nothing. */
  async function remove({ messageId }: Preview, message: OutboundMessage): Promise<void> {
    if (messageId !== undefined) await change(message, messageId, { type: "remove" });
  }

  function hear(header: EnvelopeHeader, take: (preview: Preview) => void): void {
    const preview = open.get(header.id) ?? begin(header);
    if (preview === undefined || preview.over.signal.aborted || isGivenUp(preview)) return;
    take(preview);
    preview.work ??= show(preview)
      .catch(() => undefined)
      .finally(() => void (preview.work = undefined));
  }

  runs.follow({
    // Its turn begins anew, and tells from its beginning what it has to say.
    began({ id }) {
      const preview = open.get(id);
      if (preview === undefined) return;
      preview.text = "";
      preview.tools.clear();
    },
    streamed: (header, text) => hear(header, (preview) => void (preview.text += text)),
    called(header, tool) {
      const { replyRoute: to } = header;
      if (to.type !== "channel" || channels.settings(to.channel, to.accountId)?.preview !== "progress") return;
      hear(header, ({ tools }) => {
        const before = tools.get(tool) ?? 0;
        tools.delete(tool);
        tools.set(tool, before + 1);
      });
    },
    ended({ id }, outcome) {
      const preview = open.get(id);
      if (preview === undefined) return;
      preview.over.abort();
      void settle(preview, outcome.status === "ok");
    },
  });

  return {
    passed(place) {
      const passed = placeKey(place);
      for (const preview of open.values()) if (preview.place === passed) preview.isPassed = true;
    },
    async answer(message, send) {
      const preview = open.get(message.idempotencyKey);
      if (preview === undefined) return send();
      await close(preview);
      const { messageId } = preview;
      if (
        messageId !== undefined &&
        !preview.isPassed &&
        isOneMessage(message, preview.settings, channels.manifest(message.channel))
      ) {
        const result = await change(message, messageId, { type: "edit", text: message.text });
        if (result.status === "sent") return messageId;
      }
      try {
        return await send();
      } finally {
        void remove(preview, message);
      }
    },
  };
}

const isGivenUp = ({ faults }: Preview): boolean => faults >= limits.channelAttemptsMax;

function giveUp(preview: Preview): void {
  preview.faults = limits.channelAttemptsMax;
}

/** As much of what is written so far as one message takes. */
function shownText(preview: Preview, manifest: ChannelManifest | undefined, asBegun: PreviewsDeps["asBegun"]): string {
  const { header, route, settings } = preview;
  const { textChunkLimit } = settings;
  if (manifest === undefined) return "";
  const ready = settings.preview === "progress" ? progressText(preview) : asBegun(header, route, writtenText(preview));
  const { max, unit } = manifest.text;
  const [first = ""] = chunksFor(ready, { max: max - lengthIn(unit, mark), unit }, textChunkLimit - mark.length);
  return first.trim() === "" ? "" : first.trimEnd() + mark;
}

function writtenText({ text, settings: { preview } }: Preview): string {
  const { text: said } = takeMediaLines(text, limits.channelFilesMax);
  return preview === "block" ? said.slice(0, Math.max(0, said.lastIndexOf("\n\n"))) : said;
}

/** Never what the tools were asked: others may read it there. */
function progressText({ tools }: Preview): string {
  const last = [...tools].slice(-limits.channelPreviewToolsMax);
  const named = last.map(([name, count]) => `\`${name.replaceAll("`", "")}\`${count === 1 ? "" : ` (${count} times)`}`);
  return named.length === 0 ? "Working" : `Working: ${named.join(", ")}`;
}

function isOneMessage(
  { text, files, buttons }: OutboundMessage,
  { textChunkLimit }: AccountSettings,
  manifest: ChannelManifest | undefined,
): boolean {
  if (manifest === undefined || files !== undefined || buttons !== undefined || text.trim() === "") return false;
  const { max, unit } = manifest.text;
  return lengthIn(unit, text) <= Math.min(max, textChunkLimit);
}
