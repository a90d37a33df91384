/** Rules of accessibility, checked in the browser by axe. */
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import type { Page } from "playwright-core";

const source = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

/** What breaks a rule of WCAG 2 (A and AA), as `impact rule: selector`; those of minor and moderate impact are left out. */
export async function seriousFaults(page: Page): Promise<readonly string[]> {
  await page.evaluate(source);
  return page.evaluate(`(async () => {
    const { violations } = await axe.run({ runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"] });
    return violations
      .filter(({ impact }) => impact === "serious" || impact === "critical")
      .flatMap(({ id, impact, nodes }) => nodes.map(({ target }) => impact + " " + id + ": " + target.join(" ")));
  })()`);
}
