/** What is done to a message that is on Slack already. */
import type { WebClient } from "@slack/web-api";
import { failure } from "../../runtime/kernel/errors.ts";
import type { ChannelAction } from "../port.ts";
import { reactionName } from "./emoji.ts";
import { toMrkdwn } from "./format.ts";

/** Rejects with what Slack says; with `CLOISTER_REQUEST_INVALID` where it was not asked. `selfId`: whose reactions are taken away. */
export async function changeMessage(
  api: WebClient,
  channel: string,
  ts: string,
  change: ChannelAction["change"],
  selfId: string | undefined,
): Promise<void> {
  if (change.type === "edit") {
    // Buttons of the words before stand in attachments, which Slack keeps unless it is told otherwise.
    await api.chat.update({ channel, ts, text: toMrkdwn(change.text), attachments: [] });
    return;
  }
  if (change.type === "remove") {
    await api.chat.delete({ channel, ts });
    return;
  }
  if (change.emoji === "") return takeReactionsAway(api, channel, ts, selfId);
  const name = reactionName(change.emoji);
  if (name === undefined)
    throw failure(
      "CLOISTER_REQUEST_INVALID",
      `Slack has no name for the reaction ${JSON.stringify(change.emoji)} here; its own name, such as :eyes:, works`,
    );
  await api.reactions.add({ channel, timestamp: ts, name });
}

async function takeReactionsAway(
  api: WebClient,
  channel: string,
  timestamp: string,
  selfId: string | undefined,
): Promise<void> {
  const { message } = await api.reactions.get({ channel, timestamp, full: true });
  for (const { name, users = [] } of message?.reactions ?? [])
    if (name !== undefined && selfId !== undefined && users.includes(selfId))
      await api.reactions.remove({ channel, timestamp, name });
}
