/** `cloister actor check`: the kit for authors of actors, for who writes no test. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { failure } from "../../kernel/errors.ts";
import type { Sibling } from "../../testing/actor-port.ts";
import { checkActor, formatReport } from "../../testing/index.ts";
import type { CliContext, ExitCode } from "../context.ts";
import { formatJson } from "../views/table.ts";

export interface ActorCheckOptions {
  readonly say?: readonly string[];
  readonly options?: object;
  readonly modelSays?: readonly string[];
  readonly beside?: readonly string[];
  readonly json?: boolean;
}

/** Exit code 1 when something is wrong with the actor. */
export async function runActorCheck(
  { cwd, terminal }: CliContext,
  file: string,
  { say = [], options = {}, modelSays, beside = [], json }: ActorCheckOptions,
): Promise<ExitCode> {
  const agents = Object.fromEntries(beside.map(readSibling));
  const report = await inEmptyFolder(cwd, () =>
    checkActor(path.resolve(cwd, file), {
      conversation: say,
      options: { ...options },
      agents,
      ...(modelSays === undefined ? {} : { model: modelSays }),
    }),
  );
  if (json === true) terminal.out(formatJson(report));
  else if (say.length === 0)
    terminal.out(`${report.module} loads as an actor; with --say it is talked with, and crashed`);
  else {
    for (const { text, reply, status } of report.turns) {
      terminal.out(`> ${text}`);
      terminal.out(`< ${reply ?? `(${status})`}`);
    }
    for (const line of formatReport(report)) terminal.out(line);
  }
  return report.ok ? 0 : 1;
}

function readSibling(text: string): readonly [string, Sibling] {
  const [, id, says] = /^([^=]+)=(.*)$/s.exec(text) ?? [];
  if (id !== undefined && says !== undefined) return [id, says];
  throw failure(
    "CLOISTER_REQUEST_INVALID",
    `--beside: found ${JSON.stringify(text)}, wanted an agent and what it answers`,
    'for example --beside "raul=I am here"',
  );
}

/** A confined cell may read below the working directory of its process; a gateway's is empty. */
async function inEmptyFolder<T>(before: string, work: () => Promise<T>): Promise<T> {
  const folder = await mkdtemp(path.join(tmpdir(), "cloister-empty-"));
  process.chdir(folder);
  try {
    return await work();
  } finally {
    process.chdir(before);
    await rm(folder, { recursive: true, force: true });
  }
}
