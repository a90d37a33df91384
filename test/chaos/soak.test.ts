/** Cells that are replaced a hundred times under load leave nothing behind and lose nothing. The long run is `npm run soak`. */
import { afterAll, expect, test } from "vitest";
import { endPrograms } from "../support/program.ts";
import { soak } from "./soak.ts";

afterAll(endPrograms);

test("100 replaced cells: no commit is lost, and no descriptor, map or thread stays", async () => {
  const report = await soak({ seed: 1, recycles: 100 });
  process.stdout.write(`${JSON.stringify(report)}\n`);
  expect(report.violations).toEqual([]);
  expect(report.recycles).toBeGreaterThanOrEqual(100);
  for (const [way, count] of Object.entries(report.byWay)) expect(count, way).toBeGreaterThan(5);
  expect(report.accepted).toBeGreaterThan(300);
  // A cell has a thread, descriptors and maps of its own: if each left one, there would be 70 more after the warm-up.
  const { first, last } = report;
  expect(last.threads - first.threads).toBeLessThan(10);
  expect(last.descriptors - first.descriptors).toBeLessThan(35);
});
