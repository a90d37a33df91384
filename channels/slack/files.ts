/** Files of messages: fetched from Slack with the account's token, and put there. */
import type { FilesUploadV2Arguments, WebClient } from "@slack/web-api";
import { failure } from "../../runtime/kernel/errors.ts";
import { download } from "../download.ts";
import type { OutboundFile } from "../port.ts";
import type { SlackSettings } from "./manifest.ts";

export async function uploadFile(
  api: WebClient,
  channel: string,
  { name, content }: OutboundFile,
  thread: string | undefined,
): Promise<void> {
  const file = { filename: name, file: Buffer.from(content), channel_id: channel };
  const upload: FilesUploadV2Arguments = thread === undefined ? file : { ...file, thread_ts: thread };
  await api.filesUploadV2(upload);
}

/** The token goes to Slack alone: a file may be another service's, and its address is what somebody shared. */
export async function fetchFile(
  ref: string,
  { botToken, apiRoot }: Pick<SlackSettings, "botToken" | "apiRoot">,
  bytesMax: number,
  signal: AbortSignal,
): Promise<Uint8Array> {
  if (!isOfSlack(ref, apiRoot))
    throw failure("CLOISTER_CHANNEL_OFFLINE", "the file is kept by another service than Slack");
  // Slack sends whoever may not have it, for want of the scope files:read, to its page of login.
  return download(ref, { headers: { authorization: `Bearer ${botToken}` }, redirect: "error", bytesMax, signal });
}

function isOfSlack(ref: string, apiRoot: string): boolean {
  const { origin, hostname, protocol } = URL.parse(ref) ?? { origin: "", hostname: "", protocol: "" };
  return (protocol === "https:" && hostname.endsWith(".slack.com")) || origin === new URL(apiRoot).origin;
}
