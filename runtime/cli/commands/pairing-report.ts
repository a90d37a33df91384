/** `cloister doctor --pairing`: everything that a question about "pairing required" is asked back for, once, and safe to paste. */
import { z } from "zod";
import { limits } from "../../kernel/limits.ts";
import { commandPrefix, type CliContext, type ExitCode } from "../context.ts";
import { checkConfig } from "../diagnosis/config.ts";
import { type Answers, askGateway } from "../diagnosis/gateway.ts";
import { redactText } from "../../observe/redact.ts";
import { readLogTail } from "../../observe/log-tail.ts";
import { parseLogLine } from "../log-lines.ts";
import { formatAccess } from "../views/access.ts";
import { formatDevices } from "../views/devices.ts";
import { formatAuth } from "../views/start.ts";
import { formatFacts, formatJson } from "../views/table.ts";
import { parseDeviceList } from "./devices.ts";

const auditLinesMax = 20;

interface Report {
  readonly version: string;
  readonly gateway:
    | { readonly url: string; readonly version: string }
    | { readonly fault: string; readonly remedy?: string };
  readonly auth: string;
  readonly access?: { readonly role: string; readonly scopes: readonly string[] };
  readonly pending: readonly object[];
  readonly paired: readonly object[];
  /** Oldest first. */
  readonly audit: readonly string[];
}

/** Exit code 1 when the gateway does not answer; what can be told without it is told all the same. */
export async function runPairingReport(context: CliContext, { json }: { readonly json?: boolean }): Promise<ExitCode> {
  const { terminal, version } = context;
  const contact = await askGateway(context, [["device.pair.list", {}]]);
  const { config } = context.options.url === undefined ? await checkConfig(context) : {};
  const answers = contact.type === "answered" ? contact.answers : undefined;
  const devices = devicesOf(answers);
  const report: Report = {
    version,
    gateway:
      contact.type === "answered"
        ? { url: contact.answers.url, version: contact.answers.hello.version }
        : {
            fault: contact.error.message,
            ...(contact.error.remedy === undefined ? {} : { remedy: contact.error.remedy }),
          },
    auth: config === undefined ? "not known here" : formatAuth(config.gateway.auth),
    ...(answers === undefined ? {} : { access: { role: answers.hello.role, scopes: answers.hello.scopes } }),
    pending: devices.pending.map(withoutKeys),
    paired: devices.paired.map(withoutKeys),
    audit: config === undefined ? [] : await auditLines(config.logging.file),
  };
  if (json === true) terminal.out(redactText(formatJson(report)));
  else for (const line of formatReport(context, report, answers)) terminal.out(redactText(line));
  return answers === undefined ? 1 : 0;
}

const deviceRows = z.object({ pending: z.array(z.looseObject({})), paired: z.array(z.looseObject({})) });

const devicesOf = (answers: Answers | undefined): z.infer<typeof deviceRows> =>
  deviceRows.safeParse(answers?.payloads.get("device.pair.list")).data ?? { pending: [], paired: [] };

function withoutKeys(row: Record<string, unknown>): object {
  const { publicKey, ...shown } = row;
  return publicKey === undefined ? row : shown;
}

/** What the log says of devices and refusals at the door. */
async function auditLines(file: string): Promise<readonly string[]> {
  try {
    const { lines } = await readLogTail(file, { linesMax: Infinity, bytesMax: limits.logTailBytesMax });
    const records = lines.map(parseLogLine).filter((record) => record !== undefined);
    return records
      .filter(({ message }) => /security audit|device pairing|closed before connect/.test(message))
      .map(({ time, message }) => `${time} ${message}`)
      .slice(-auditLinesMax);
  } catch (error) {
    return [`the log ${file} cannot be read: ${(error as Error).message}`];
  }
}

function formatReport(context: CliContext, report: Report, answers: Answers | undefined): readonly string[] {
  const { gateway, audit } = report;
  const facts = formatFacts([
    ["cloister", report.version],
    ["gateway", "fault" in gateway ? gateway.fault : `${gateway.url}, version ${gateway.version}`],
    ...("remedy" in gateway && gateway.remedy !== undefined ? [["", `→ ${gateway.remedy}`] as const] : []),
    ["auth", report.auth],
    ...(answers === undefined ? [] : [["this command line", formatAccess(answers.hello)] as const]),
    ["agents", "are no devices: they never need pairing"],
  ]);
  const payload = answers?.payloads.get("device.pair.list");
  return [
    ...facts,
    "",
    ...(payload === undefined
      ? ["the devices are known to a gateway that answers"]
      : formatDevices(parseDeviceList(payload), context.nowMs(), commandPrefix(context))),
    "",
    ...(audit.length === 0 ? ["the log tells of no device and no refused connection"] : audit),
  ];
}
