/** The audit trail on the page, in a real browser against the real program. */
import path from "node:path";
import { afterAll, expect, test } from "vitest";
import { openLmdbEnvironment } from "../../runtime/store/lmdb/environment.ts";
import { seriousFaults } from "../support/axe.ts";
import { lastAnswer, say, useBrowser } from "../support/browser.ts";
import { endPrograms, makeStateDir, runCommand, startProgram } from "../support/program.ts";

const { openPage } = useBrowser();

afterAll(endPrograms);

test("the audit trail is shown when asked for, filtered, and checked; what was changed is told", async () => {
  const stateDir = makeStateDir({
    agents: {
      list: [
        { id: "main", module: "echo" },
        { id: "raul", module: "echo" },
      ],
    },
  });
  const program = await startProgram(stateDir);
  expect((await runCommand(stateDir, ["grants", "add", "main", "raul", "send"])).code).toBe(0);
  const page = await openPage(program.pageUrl);
  await page.getByTestId("composer").waitFor();
  await say(page, "a secret");
  await lastAnswer(page).waitFor();
  const rows = page.getByTestId("audit-row");
  const types = (): Promise<unknown> => rows.evaluateAll((found) => found.map((row) => row.getAttribute("data-type")));
  expect(await rows.count(), "nothing is read before somebody asks").toBe(0);

  await page.getByTestId("audit-show").focus();
  await page.keyboard.press("Enter");
  await expect.poll(types).toEqual(expect.arrayContaining(["message", "grant_added"]));
  expect(await page.getByTestId("audit").textContent()).not.toContain("secret");
  await page.getByTestId("audit-kind").selectOption("grant");
  await expect.poll(types).toEqual(["grant_added"]);
  await page.getByTestId("audit-kind").selectOption("");
  await page.getByTestId("audit-agent").selectOption("main");
  await expect.poll(types).toEqual(["message"]);
  expect(await seriousFaults(page)).toEqual([]);

  await page.getByTestId("audit-verify").click();
  await expect
    .poll(() => page.getByTestId("audit-verdict").textContent())
    .toMatch(/^Each of \d+ rows is what was written\.$/);
  const registry = await openLmdbEnvironment(path.join(stateDir, "store", "registry"));
  await registry.write(() => registry.remove(["audit", 1]));
  await registry.close();
  await page.getByTestId("audit-verify").click();
  await expect
    .poll(() => page.getByTestId("audit").textContent())
    .toContain("decisions row 1: missing, there is no such row");
  expect(await seriousFaults(page)).toEqual([]);
  await page.close();
  expect(await program.stop()).toBe(0);
});
