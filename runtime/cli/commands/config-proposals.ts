/** `cloister config proposals`: changes that agents propose. Nothing is applied that was not shown. */
import { z } from "zod";
import { failure } from "../../kernel/errors.ts";
import { describeChange } from "../change-config.ts";
import { type CliContext, commandPrefix, type ExitCode } from "../context.ts";
import type { GatewayClient } from "../gateway-client.ts";
import { withGateway } from "../open-client.ts";
import { showableText } from "../terminal.ts";
import { describeCheck, describeProposal } from "../views/proposals.ts";
import { formatJson } from "../views/table.ts";
import { fieldsOf } from "../wire-failure.ts";

export interface ProposalsOptions {
  readonly json?: boolean;
}

export interface ApplyOptions extends ProposalsOptions {
  readonly yes?: boolean;
  /** Also when much of the file would be lost. */
  readonly force?: boolean;
}

const text = z.string().catch("");
const texts = z.array(z.string()).catch([]);
const proposal = z.object({
  id: z.string(),
  agentId: text,
  reason: text,
  createdAtMs: z.number().catch(0),
  expiresAtMs: z.number().catch(0),
  set: z.array(z.object({ key: z.string() })).catch([]),
  unset: texts,
});
const check = z.object({
  file: text,
  hash: text,
  valid: z.boolean().catch(false),
  issues: z.array(z.object({ path: text, message: text, remedy: text.optional() })).catch([]),
  changes: z
    .array(
      z.object({
        path: text,
        before: z.string().optional(),
        after: z.string().optional(),
        isHidden: z.boolean().catch(false),
      }),
    )
    .catch([]),
  moreChanges: z.number().catch(0),
  plan: z
    .object({
      agents: z.object({ added: texts, removed: texts, changed: texts }),
      restart: z.array(z.object({ key: text, why: text })).catch([]),
    })
    .optional()
    .catch(undefined),
  warnings: texts,
  guarded: z.string().optional(),
});

export type ProposalEntry = z.infer<typeof proposal>;
export type CheckEntry = z.infer<typeof check>;

export function runProposalsList(context: CliContext, { json }: ProposalsOptions): Promise<ExitCode> {
  const { terminal } = context;
  return withGateway(context, ["operator.read"], async (client) => {
    const payload = await client.request("config.proposals", {});
    if (json === true) {
      terminal.out(formatJson(payload));
      return 0;
    }
    const { proposals } = read(z.object({ proposals: z.array(proposal) }), "config.proposals", payload);
    if (proposals.length === 0) terminal.err("no proposal waits; agents of tools.config.propose make them");
    for (const one of proposals) {
      for (const line of describeProposal(one, context.nowMs())) terminal.out(showableText(line));
      terminal.out(`  ${commandPrefix(context)} config proposals show ${one.id}`);
    }
    return 0;
  });
}

/** Exit code 1 when it is not valid. */
export function runProposalsShow(context: CliContext, id: string, { json }: ProposalsOptions): Promise<ExitCode> {
  return withGateway(context, ["operator.read"], async (client) => {
    const shown = await show(client, id);
    if (json === true) context.terminal.out(formatJson(shown.payload));
    else tell(context, shown, context.terminal.out);
    return shown.check.valid ? 0 : 1;
  });
}

/** Without `--yes` it shows what would happen and ends with 1. What it applies is the change as it showed it. */
export function runProposalsApply(context: CliContext, id: string, options: ApplyOptions): Promise<ExitCode> {
  const { terminal } = context;
  const { yes, force = false, json } = options;
  return withGateway(context, [yes === true ? "operator.admin" : "operator.read"], async (client) => {
    const shown = await show(client, id);
    tell(context, shown, json === true ? terminal.err : terminal.out);
    if (!shown.check.valid) return 1;
    if (yes !== true) {
      terminal.err("nothing is applied yet: add --yes to apply this");
      return 1;
    }
    const answer = await client.request("config.proposals.apply", { id, hash: shown.check.hash, force });
    if (json === true) terminal.out(formatJson(answer));
    else
      for (const line of describeChange({ through: "gateway", file: shown.check.file, answer: fieldsOf(answer) }))
        terminal.out(line);
    return 0;
  });
}

export function runProposalsReject(context: CliContext, id: string, { json }: ProposalsOptions): Promise<ExitCode> {
  return withGateway(context, ["operator.admin"], async (client) => {
    const answer = await client.request("config.proposals.reject", { id });
    context.terminal.out(json === true ? formatJson(answer) : `${id} was rejected; nothing has changed`);
    return 0;
  });
}

interface Shown {
  readonly payload: unknown;
  readonly proposal: ProposalEntry;
  readonly check: CheckEntry;
}

async function show(client: GatewayClient, id: string): Promise<Shown> {
  const payload = await client.request("config.proposals.show", { id });
  return { payload, ...read(z.object({ proposal, check }), "config.proposals.show", payload) };
}

function tell(context: CliContext, shown: Shown, say: (line: string) => void): void {
  const lines = [...describeProposal(shown.proposal, context.nowMs()), ...describeCheck(shown.check)];
  for (const line of lines) say(showableText(line));
}

function read<T extends z.ZodType>(form: T, method: string, payload: unknown): z.output<T> {
  const parsed = form.safeParse(payload);
  if (parsed.success) return parsed.data;
  throw failure("CLOISTER_INTERNAL", `${method}: the gateway answered in a form that this version does not read.`);
}
