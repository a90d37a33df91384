/** `cloister deadletters`: messages that will not be handled. Lists, shows, replays and purges them. */
import { failure } from "../../kernel/errors.ts";
import { type CliContext, commandPrefix, type ExitCode } from "../context.ts";
import { parseDeadLetter, parseDeadLetters, parsePurged, parseReplayed } from "../gateway-rows.ts";
import { withGateway } from "../open-client.ts";
import { formatDeadLetter, formatDeadLetters } from "../views/dead-letters.ts";
import { formatCount, formatJson } from "../views/table.ts";

interface FilterOptions {
  readonly agent?: string;
  readonly fate?: string;
  readonly json?: boolean;
}

export interface DeadLettersOptions extends FilterOptions {
  readonly limit?: number;
  readonly offset?: number;
}

export interface DeadLetterOptions {
  readonly json?: boolean;
}

export interface PurgeOptions extends FilterOptions {
  /** Days. */
  readonly olderThan?: number;
  readonly all?: boolean;
}

export function runDeadLettersList(context: CliContext, options: DeadLettersOptions): Promise<ExitCode> {
  const { terminal } = context;
  const { limit, offset, json } = options;
  return withGateway(context, ["operator.read"], async (client) => {
    const payload = await client.request("deadletters.list", {
      ...filterOf(options),
      ...(limit === undefined ? {} : { limit }),
      ...(offset === undefined ? {} : { offset }),
    });
    if (json === true) {
      terminal.out(formatJson(payload));
      return 0;
    }
    const { letters, total } = parseDeadLetters(payload);
    if (letters.length === 0) terminal.err(total === 0 ? "no dead letter" : `no dead letter here; there are ${total}`);
    else for (const line of formatDeadLetters(letters, context.nowMs())) terminal.out(line);
    const next = (offset ?? 0) + letters.length;
    if (letters.length > 0 && next < total) terminal.err(`${next} of ${total}; the next: --offset ${next}`);
    return 0;
  });
}

export function runDeadLettersShow(context: CliContext, id: string, { json }: DeadLetterOptions): Promise<ExitCode> {
  const { terminal } = context;
  return withGateway(context, ["operator.read"], async (client) => {
    const payload = await client.request("deadletters.show", { id });
    if (json === true) terminal.out(formatJson(payload));
    else for (const line of formatDeadLetter(parseDeadLetter(payload))) terminal.out(line);
    return 0;
  });
}

/**
 * The message goes to its agent again, or the answer to its channel. What refuses it is the failure of the command, and the
 * letter stays.
 */
export function runDeadLettersReplay(context: CliContext, id: string, { json }: DeadLetterOptions): Promise<ExitCode> {
  const { terminal } = context;
  return withGateway(context, ["operator.admin"], async (client) => {
    const payload = await client.request("deadletters.replay", { id });
    if (json === true) {
      terminal.out(formatJson(payload));
      return 0;
    }
    const { sessionKey, envelopeId } = parseReplayed(payload);
    if (envelopeId === undefined) {
      terminal.out(`the answer of ${id} was sent again, and its channel took it; ${sessionKey} had no turn`);
      return 0;
    }
    terminal.out(`${id} was given to ${sessionKey} again, as ${envelopeId}`);
    terminal.err(`how it ends: \`${commandPrefix(context)} history ${sessionKey}\``);
    return 0;
  });
}

export async function runDeadLettersPurge(
  context: CliContext,
  id: string | undefined,
  options: PurgeOptions,
): Promise<ExitCode> {
  const { olderThan, all, json } = options;
  const asked = {
    ...filterOf(options),
    ...(id === undefined ? {} : { id }),
    ...(olderThan === undefined ? {} : { olderThanMs: olderThan * 86_400_000 }),
    ...(all === true ? { all } : {}),
  };
  const named = Object.keys(asked);
  if (named.length === 0 || ((id !== undefined || all === true) && named.length > 1)) {
    throw failure(
      "CLOISTER_REQUEST_INVALID",
      `Purging dead letters: found ${named.length === 0 ? "nothing that says which" : named.join(" and ")}, wanted an id alone, --all alone, or any of --fate, --agent and --older-than.`,
      `See \`${commandPrefix(context)} deadletters purge --help\`.`,
    );
  }
  return withGateway(context, ["operator.admin"], async (client) => {
    const payload = await client.request("deadletters.purge", asked);
    context.terminal.out(
      json === true ? formatJson(payload) : `${formatCount(parsePurged(payload), "dead letter")} purged`,
    );
    return 0;
  });
}

const filterOf = ({ agent, fate }: FilterOptions): object => ({
  ...(agent === undefined ? {} : { agentId: agent }),
  ...(fate === undefined ? {} : { fate }),
});
