/** `cloister pairing …`: senders on channels who wait for an approval, and those who have one. */
import { z } from "zod";
import { failure } from "../../kernel/errors.ts";
import type { CliContext, ExitCode } from "../context.ts";
import { parse } from "../gateway-rows.ts";
import { withOperator } from "../open-client.ts";
import { formatSenders } from "../views/senders.ts";
import { formatJson } from "../views/table.ts";

export interface PairingOptions {
  readonly account?: string;
  readonly json?: boolean;
}

const place = { channel: z.string(), accountId: z.string(), senderId: z.string(), senderName: z.string().optional() };
const waiting = z.object({ ...place, code: z.string(), createdAtMs: z.number(), expiresAtMs: z.number() });
const approved = z.object({ ...place, approvedAtMs: z.number(), by: z.string() });
const listed = z.object({ requests: z.array(waiting), approved: z.array(approved) });

export type SendersListed = z.infer<typeof listed>;

export function runPairingList(
  context: CliContext,
  channel: string | undefined,
  { account, json }: PairingOptions,
): Promise<ExitCode> {
  return withOperator(context, ["operator.pairing"], async (client) => {
    const payload = await client.request("channels.pairing.list", filterOf(channel, account));
    if (json === true) context.terminal.out(formatJson(payload));
    else
      for (const line of formatSenders(parse("channels.pairing.list", listed, payload), context.nowMs()))
        context.terminal.out(line);
    return 0;
  });
}

/** `words` is the code, or channel and code. */
export function runPairingDecision(
  context: CliContext,
  what: "approve" | "dismiss",
  words: readonly string[],
  { account, json, notify }: PairingOptions & { readonly notify?: boolean },
): Promise<ExitCode> {
  const code = words.at(-1) ?? "";
  if (words.length > 2)
    throw failure(
      "CLOISTER_REQUEST_INVALID",
      `pairing ${what}: found ${words.length} words, wanted [channel] <code>.`,
      "cloister pairing list",
    );
  const params = { code, ...filterOf(words.length === 2 ? words[0] : undefined, account) };
  return withOperator(context, [what === "approve" ? "operator.admin" : "operator.pairing"], async (client) => {
    const payload = await client.request(`channels.pairing.${what}`, notify === true ? { ...params, notify } : params);
    const { senderId, channel, notified } = z
      .looseObject({ senderId: z.string().catch(""), channel: z.string().catch(""), notified: z.boolean().optional() })
      .parse(payload);
    if (json === true) context.terminal.out(formatJson(payload));
    else if (what === "dismiss") context.terminal.out(`${senderId} on ${channel} was rejected`);
    else context.terminal.out(`${senderId} may write directly on ${channel}; nothing else was given`);
    if (notified === false) context.terminal.err("the sender could not be told: the channel did not take the message");
    return 0;
  });
}

export function runPairingRemove(
  context: CliContext,
  channel: string,
  senderId: string,
  { account = "default", json }: PairingOptions,
): Promise<ExitCode> {
  return withOperator(context, ["operator.admin"], async (client) => {
    const payload = await client.request("channels.pairing.remove", { channel, accountId: account, senderId });
    context.terminal.out(json === true ? formatJson(payload) : `${senderId} on ${channel} has to be approved again`);
    return 0;
  });
}

const filterOf = (channel: string | undefined, account: string | undefined) => ({
  ...(channel === undefined ? {} : { channel }),
  ...(account === undefined ? {} : { accountId: account }),
});
