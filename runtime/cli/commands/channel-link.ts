/** `cloister channels login|logout` of a channel whose accounts are linked by a code: WhatsApp. */
import { setTimeout as sleep } from "node:timers/promises";
import { renderUnicodeCompact } from "uqr";
import { z } from "zod";
import type { BuiltChannel } from "../../../channels/built.ts";
import { switchAccount } from "../../config/index.ts";
import { failure, isCoded } from "../../kernel/errors.ts";
import { limits } from "../../kernel/limits.ts";
import { changeConfig } from "../change-config.ts";
import type { CliContext, ExitCode } from "../context.ts";
import type { GatewayClient } from "../gateway-client.ts";
import { withGateway } from "../open-client.ts";
import type { Terminal } from "../terminal.ts";
import { formatJson } from "../views/table.ts";

export interface LinkOptions {
  readonly channel: BuiltChannel;
  readonly account?: string;
  readonly json?: boolean;
}

const standing = z.object({
  accountId: z.string().catch(""),
  status: z.enum(["linked", "code", "connecting", "waiting", "failed"]).catch("connecting"),
  name: z.string().optional().catch(undefined),
  code: z.object({ text: z.string(), expiresAtMs: z.number() }).optional().catch(undefined),
  reason: z.string().optional().catch(undefined),
  remedy: z.string().optional().catch(undefined),
});

type Standing = z.infer<typeof standing>;

/** Shows codes until one is scanned. An account that was switched off is switched on. */
export async function runChannelsLink(context: CliContext, options: LinkOptions): Promise<ExitCode> {
  const { terminal } = context;
  const { channel, account, json } = options;
  const wanted = { channel, ...(account === undefined ? {} : { accountId: account }) };
  const ask = async (client: GatewayClient, begin: boolean): Promise<Standing> =>
    standing.parse(await client.request("channels.login", { ...wanted, begin }));
  return withGateway(context, ["operator.admin"], async (client) => {
    let now = await ask(client, true).catch(async (error: unknown): Promise<Standing> => {
      if (!isCoded(error) || error.code !== "CLOISTER_CHANNEL_UNKNOWN") throw error;
      await changeConfig(context, (value) => switchAccount(value, channel, account, true));
      return standing.parse({});
    });
    let hasBegun = now.accountId !== "";
    let shown: string | undefined;
    for (let asked = 0; now.status !== "linked"; asked++) {
      const { status, code, reason = "the link was not made", remedy } = now;
      if (status === "failed") throw failure("CLOISTER_CHANNEL_CREDENTIAL", reason, remedy);
      if (asked >= limits.channelLinkPolls)
        throw failure(
          "CLOISTER_CHANNEL_OFFLINE",
          `the account was not linked in time: ${reason}`,
          "cloister channels status",
        );
      if (code !== undefined && code.text !== shown) {
        shown = code.text;
        showCode(terminal, code, json);
      }
      await sleep(limits.channelLinkPollMs);
      // An account that was switched on takes a moment to be there.
      now = await ask(client, !hasBegun).catch((error: unknown): Standing => {
        if (hasBegun || !isCoded(error) || error.code === "CLOISTER_EDGE_FORBIDDEN") throw error;
        return now;
      });
      hasBegun ||= now.accountId !== "";
    }
    const { accountId, name } = now;
    if (json === true) terminal.out(formatJson({ channel, accountId, status: "linked", name }));
    else terminal.out(`${channel}/${accountId} is linked as ${name ?? "an account without a name"}`);
    return 0;
  });
}

/** Light on dark whatever the terminal's colours are: a camera needs it so. */
function showCode(terminal: Terminal, code: NonNullable<Standing["code"]>, json: boolean | undefined): void {
  if (json === true) return terminal.out(formatJson({ status: "code", ...code }));
  const drawn = renderUnicodeCompact(code.text, { ecc: "L", border: 2 });
  for (const line of drawn.split("\n")) terminal.out(terminal.isTty ? `\u001b[97;40m${line}\u001b[0m` : line);
  terminal.out("Scan it with the app of the account's phone (Settings, Linked devices, Link a device).");
  terminal.out(`It holds until ${new Date(code.expiresAtMs).toISOString()}; then another one follows.`);
}

/** Ends the link at the platform, and forgets it here. */
export async function runChannelsUnlink(
  context: CliContext,
  { channel, account, json }: LinkOptions,
): Promise<ExitCode> {
  const { terminal } = context;
  return withGateway(context, ["operator.admin"], async (client) => {
    const asked = { channel, ...(account === undefined ? {} : { accountId: account }) };
    const answer = z.object({ accountId: z.string().catch("") }).parse(await client.request("channels.logout", asked));
    if (json === true) terminal.out(formatJson({ channel, ...answer, loggedOut: true }));
    else terminal.out(`${channel}/${answer.accountId} is not linked any more; its login was removed`);
    return 0;
  });
}
