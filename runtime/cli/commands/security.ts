/** `cloister security audit`: what the configuration and the files open, with the key that would close it. */
import { findPaths } from "../../config/index.ts";
import type { CliContext, ExitCode } from "../context.ts";
import { exitCodeOf, type Finding, plainFinding, type Repairable } from "../diagnosis/finding.ts";
import { type DiagnosedMachine, thisMachine } from "../diagnosis/machine.ts";
import { auditSecurity } from "../diagnosis/security.ts";
import { checkStateDir } from "../diagnosis/state-dir.ts";
import { surroundings } from "../read-config.ts";
import { readConfigInForce } from "../running-config.ts";
import { formatFindings } from "../views/findings.ts";
import { formatJson } from "../views/table.ts";

export interface SecurityOptions {
  readonly json?: boolean;
}

/** Exit code 1 when something is open to strangers. Needs no gateway; with one, the config that it runs with is judged. */
export async function runSecurityAudit(
  context: CliContext,
  { json }: SecurityOptions,
  machine: DiagnosedMachine = thisMachine,
): Promise<ExitCode> {
  const { terminal } = context;
  const config = await readConfigInForce(context);
  const findings: readonly Repairable[] = [...auditSecurity(config), ...(await checkFiles(context, machine))];
  const code = exitCodeOf(findings);
  if (json === true)
    terminal.out(formatJson({ ok: code === 0, configPath: config.configPath, findings: findings.map(plainFinding) }));
  else for (const line of formatFindings(findings)) terminal.out(line);
  return code;
}

/** What of the state directory is about others, not about room and reach. */
async function checkFiles(context: CliContext, machine: DiagnosedMachine): Promise<readonly Repairable[]> {
  const { stateDir } = await findPaths(surroundings(context));
  const found = await checkStateDir(stateDir, machine);
  const about = new Set(["state.open", "state.key-open", "state.owner"]);
  const asRoot: Finding = {
    id: "process.root",
    severity: "warning",
    what: "this runs as root, and a gateway that is started so does too",
    why: "What breaks out of it has the whole machine.",
    remedy: "Run it as a user of its own; see docs/guides/run-as-a-service.md.",
  };
  return [...found.filter(({ id }) => about.has(id)), ...(machine.uid === 0 ? [asRoot] : [])];
}
