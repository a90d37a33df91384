/** The process that `cloister doctor` lets read the store: places as JSON on its input, one line of JSON for each as it is read. */
import { text } from "node:stream/consumers";
import { z } from "zod";
import { reportEnvironment } from "../../store/lmdb/report.ts";
import type { CliContext, ExitCode } from "../context.ts";

const places = z.array(z.object({ kind: z.enum(["registry", "journal", "agent"]), dir: z.string() }));

export async function runStoreReport({ terminal, nowMs }: CliContext): Promise<ExitCode> {
  let isUsed = false;
  for (const place of places.parse(JSON.parse(await text(terminal.input)))) {
    const report = await reportEnvironment(place, nowMs(), isUsed);
    // The registry, which says so, comes first.
    isUsed ||= report.owner?.isAlive === true;
    terminal.out(JSON.stringify(report));
  }
  return 0;
}
