/** The long soak: `npm run soak -- [recycles] [minutes] [seed]`, both bounds at the least. Prints the report as JSON; exit code 1 when something was lost. */
import { soak } from "./soak.ts";

const [recycles = 2_000, minutes = 0, seed = 1] = process.argv.slice(2).map(Number);
if (![recycles, minutes, seed].every((number) => Number.isFinite(number) && number >= 0)) {
  process.stderr.write(`soak: found ${process.argv.slice(2).join(" ")}, wanted numbers: recycles, minutes, seed\n`);
  process.exit(2);
}
const report = await soak({ seed, recycles, minutes, progress: (text) => process.stderr.write(`soak: ${text}\n`) });
process.stdout.write(`${JSON.stringify(report, undefined, 2)}\n`);
process.exitCode = report.violations.length === 0 ? 0 : 1;
