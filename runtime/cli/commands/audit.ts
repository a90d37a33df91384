/** `cloister audit`: lists, verifies and exports the audit trail, of a running gateway or of one that does not run. */
import { createReadStream } from "node:fs";
import { open } from "node:fs/promises";
import { createInterface } from "node:readline/promises";
import { auditLogs } from "../../kernel/audit-types.ts";
import { failure } from "../../kernel/errors.ts";
import { limits } from "../../kernel/limits.ts";
import type { AuditMark } from "../../supervisor/audit-file.ts";
import { checkExport } from "../audit-export.ts";
import type { CliContext, ExitCode } from "../context.ts";
import { withAudit } from "../open-audit.ts";
import { formatAudit, formatFault, formatVerdict } from "../views/audit.ts";
import { formatCount, formatJson } from "../views/table.ts";

interface FilterOptions {
  readonly agent?: string;
  readonly kind?: string;
  /** Milliseconds back from now. */
  readonly since?: number;
}

export interface AuditListOptions extends FilterOptions {
  readonly limit?: number;
  readonly cursor?: string;
  readonly json?: boolean;
}

export interface AuditVerifyOptions {
  readonly anchor?: readonly string[];
  readonly file?: string;
  readonly json?: boolean;
}

export interface AuditExportOptions extends FilterOptions {
  readonly to?: string;
}

export function runAuditList(context: CliContext, options: AuditListOptions): Promise<ExitCode> {
  const { terminal } = context;
  const { limit, cursor, json } = options;
  return withAudit(context, async (audit) => {
    const listing = await audit.list({
      ...filterOf(options),
      ...(limit === undefined ? {} : { limit }),
      ...(cursor === undefined ? {} : { cursor }),
    });
    if (json === true) {
      terminal.out(formatJson(listing));
      return 0;
    }
    if (listing.rows.length === 0) terminal.err("no row of the audit trail");
    else for (const line of formatAudit(listing.rows)) terminal.out(line);
    if (listing.cursor !== undefined) terminal.err(`there are more: --cursor ${listing.cursor}`);
    return 0;
  });
}

export function runAuditVerify(
  context: CliContext,
  { anchor = [], file, json }: AuditVerifyOptions,
): Promise<ExitCode> {
  const { terminal } = context;
  const given = anchor.map(parseAnchor);
  return withAudit(context, async (audit) => {
    const exported = file === undefined ? undefined : await checkExport(linesOf(file));
    // The newest alone: the gateway takes so many.
    const marks = [...given, ...(exported?.marks ?? [])].slice(0, limits.auditAnchorsGivenMax);
    const verdict = await audit.verify({ anchors: marks });
    const ok = verdict.ok && (exported === undefined || exported.faultCount === 0);
    if (json === true)
      terminal.out(formatJson({ ...verdict, ok, ...(exported === undefined ? {} : { file: exported }) }));
    else {
      for (const log of verdict.logs) for (const line of formatVerdict(log)) terminal.out(line);
      if (exported !== undefined) {
        const { rows, faultCount, faults } = exported;
        terminal.out(
          `${file}: ${formatCount(rows, "row")}, ${faultCount === 0 ? "whole" : formatCount(faultCount, "fault")}`,
        );
        for (const fault of faults) terminal.out(formatFault(fault));
      }
      if (ok)
        terminal.err(
          `to compare later: ${verdict.logs.map(({ log, reach }) => `--anchor ${log}:${reach.n}:${reach.hash}`).join(" ")}`,
        );
    }
    return ok ? 0 : 1;
  });
}

export async function runAuditExport(context: CliContext, options: AuditExportOptions): Promise<ExitCode> {
  const { terminal } = context;
  return withAudit(context, async (audit) => {
    const file = options.to === undefined ? undefined : await openNew(options.to);
    let rows = 0;
    try {
      for (let cursor: string | undefined, isFirst = true; isFirst || cursor !== undefined; isFirst = false) {
        const query = { ...filterOf(options), hashes: true, limit: limits.auditListMax };
        const listing = await audit.list(cursor === undefined ? query : { ...query, cursor });
        const lines = listing.rows.map((row) => JSON.stringify(row));
        rows += lines.length;
        if (file === undefined) for (const line of lines) terminal.out(line);
        else if (lines.length > 0) await file.write(`${lines.join("\n")}\n`);
        ({ cursor } = { cursor: undefined, ...listing });
      }
      await file?.sync();
    } finally {
      await file?.close();
    }
    terminal.err(`${formatCount(rows, "row")} of the audit trail exported`);
    return 0;
  });
}

const filterOf = ({ agent, kind, since }: FilterOptions) => ({
  ...(agent === undefined ? {} : { agentId: agent }),
  ...(kind === undefined ? {} : { kind }),
  ...(since === undefined ? {} : { withinMs: since }),
});

function parseAnchor(text: string): AuditMark {
  const [, log, n, hash] = /^([a-z]+):(\d{1,15}):([\w-]{43})$/.exec(text) ?? [];
  const named = auditLogs.find((one) => one === log);
  if (named !== undefined && n !== undefined && hash !== undefined) return { log: named, n: Number(n), hash };
  throw failure(
    "CLOISTER_REQUEST_INVALID",
    `--anchor: found ${JSON.stringify(text)}, wanted log:number:hash, as \`cloister audit verify\` prints it.`,
    "Copy the anchor as it was printed.",
  );
}

async function openNew(file: string): ReturnType<typeof open> {
  try {
    return await open(file, "wx", 0o600);
  } catch (error) {
    throw failure(
      "CLOISTER_REQUEST_INVALID",
      `--to: ${file} cannot be made: ${(error as Error).message}.`,
      "Name a file that is not there yet, in a folder that is.",
      error,
    );
  }
}

async function* linesOf(file: string): AsyncGenerator<string> {
  try {
    for await (const line of createInterface({ input: createReadStream(file) })) yield line;
  } catch (error) {
    throw failure(
      "CLOISTER_REQUEST_INVALID",
      `--file: ${file} cannot be read: ${(error as Error).message}.`,
      "Name an export.",
      error,
    );
  }
}
