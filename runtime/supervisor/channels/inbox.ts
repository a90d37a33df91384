/**
 * Files of messages on their way to an agent: below its workspace before the message is stored, so that a turn finds what its message names. One
 * that does not come is told in its place; until then its message waits, and with it what comes behind it in its chat. They are named by the message, so one that is offered again fetches none twice.
 */
import { createHash } from "node:crypto";
import { fileNameOf } from "../../../channels/media.ts";
import type { InboundEvent } from "../../../channels/port.ts";
import { type AttachedFile, attachedText, inboxFolder, messageFolder } from "../../kernel/attached-files.ts";
import { limits } from "../../kernel/limits.ts";
import type { Logger } from "../driver.ts";
import type { ChannelDesk } from "./channel-desk.ts";

export interface InboxDeps {
  readonly channels: Pick<ChannelDesk, "fetch">;
  readonly workspaceOf: (agentId: string) => string | undefined;
  readonly newId: () => string;
  readonly log: Logger;
}

/** Of what it makes: gives what stands behind the text. Never rejects. */
export function makeInbox({ channels, workspaceOf, newId, log }: InboxDeps) {
  return async (event: InboundEvent, agentId: string): Promise<string> => {
    const workspace = workspaceOf(agentId);
    const { media = [] } = event;
    if (media.length === 0 || workspace === undefined) return "";
    const folder = `${inboxFolder}/${folderName(event, newId)}`;
    const files: AttachedFile[] = [];
    for (const [at, one] of media.slice(0, limits.channelMediaMax).entries()) {
      const name = `${at + 1}-${fileNameOf(one)}`;
      const to = { workspace, folder, name, bytesMax: limits.channelMediaBytesDefault };
      const result = await channels.fetch(event, one, to);
      const type = one.mimeType === undefined ? one.kind : `${one.kind}, ${one.mimeType.slice(0, 100)}`;
      if (result.status === "saved") files.push({ path: `${folder}/${name}`, type, bytes: result.bytes });
      else {
        files.push({ name, type, reason: result.reason });
        const { channel, accountId: account } = event;
        log.warn({ channel, account, agent: agentId, reason: result.reason }, "a file of a message was not fetched");
      }
    }
    return attachedText(files, media.length - files.length, limits.channelMediaMax);
  };
}

/** The same for a message that is offered again. */
function folderName({ channel, accountId, peer, messageId, tsMs }: InboundEvent, newId: () => string): string {
  const what = JSON.stringify([channel, accountId, peer.kind, peer.id, messageId ?? newId()]);
  return messageFolder(tsMs, createHash("sha256").update(what).digest("hex"));
}
