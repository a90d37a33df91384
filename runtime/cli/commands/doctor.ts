/** `cloister doctor`, `cloister agents doctor`: what is wrong, why it matters, what to do. */
import { type CliContext, commandPrefix, type ExitCode } from "../context.ts";
import { diagnose } from "../diagnosis/diagnose.ts";
import { exitCodeOf, plainFinding, type Repairable } from "../diagnosis/finding.ts";
import { type DiagnosedMachine, thisMachine } from "../diagnosis/machine.ts";
import { checkPatterns, findPatterns } from "../diagnosis/patterns.ts";
import { type ReadStore, readStore as readStoreOutside } from "../diagnosis/store.ts";
import { readConfigInForce } from "../running-config.ts";
import { formatFindings } from "../views/findings.ts";
import { formatPatterns } from "../views/patterns.ts";
import { formatJson } from "../views/table.ts";

export interface DoctorOptions {
  readonly json?: boolean;
  readonly fix?: boolean;
  readonly deep?: boolean;
}

/** Exit code 1 while something does not work. With `fix`, what can be repaired without loss is, and everything is looked at again. */
export async function runDoctor(
  context: CliContext,
  { json, fix, deep = false }: DoctorOptions,
  machine: DiagnosedMachine = thisMachine,
  readStore: ReadStore = readStoreOutside,
): Promise<ExitCode> {
  const { terminal, version, platform } = context;
  const look = (): Promise<readonly Repairable[]> => diagnose({ context, machine, readStore, deep });
  let findings = await look();
  const repaired = fix === true ? await repairAll(findings) : [];
  if (repaired.length > 0) findings = await look();
  const code = exitCodeOf(findings);
  if (json === true) {
    const facts = { version, node: machine.node, platform };
    terminal.out(formatJson({ ok: code === 0, ...facts, repaired, findings: findings.map(plainFinding) }));
    return code;
  }
  terminal.out(`cloister ${version}, Node ${machine.node}, ${platform}`);
  for (const line of repaired) terminal.out(`repaired ${line}`);
  for (const line of formatFindings(findings)) terminal.out(line);
  const repairs = findings.filter(({ repair }) => repair !== undefined).length;
  if (repairs > 0) terminal.err(`\`${commandPrefix(context)} doctor --fix\` repairs ${repairs} of them without loss`);
  return code;
}

async function repairAll(findings: readonly Repairable[]): Promise<readonly string[]> {
  const done: string[] = [];
  for (const { repair } of findings) {
    if (repair === undefined) continue;
    try {
      await repair.run();
      done.push(repair.done);
    } catch (error) {
      done.push(`nothing: ${repair.done} failed: ${(error as Error).message}`);
    }
  }
  return done;
}

/** Needs no gateway; with one, the config that it runs with is judged. */
export async function runAgentsDoctor(context: CliContext, { json }: Pick<DoctorOptions, "json">): Promise<ExitCode> {
  const { terminal } = context;
  const config = await readConfigInForce(context);
  const patterns = findPatterns(config);
  const findings = checkPatterns(config);
  const code = exitCodeOf(findings);
  if (json === true) {
    terminal.out(formatJson({ ok: code === 0, ...patterns, findings }));
    return code;
  }
  for (const line of formatPatterns(patterns)) terminal.out(line);
  if (findings.length > 0) for (const line of ["", ...formatFindings(findings)]) terminal.out(line);
  return code;
}
