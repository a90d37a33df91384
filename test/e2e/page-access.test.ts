/** Devices and senders on the page, and the page as a device of its own, in a real browser against the real program. */
import { mkdtempSync, readFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import type { Page } from "playwright-core";
import { afterAll, beforeAll, expect, test } from "vitest";
import { connectAs, makeDevice } from "../contract/device-kit.ts";
import { actorPath } from "../support/actors.ts";
import { seriousFaults } from "../support/axe.ts";
import { lastAnswer, say, useBrowser } from "../support/browser.ts";
import { runLine } from "../support/command-lines.ts";
import { endPrograms, makeStateDir, type Program, startProgram } from "../support/program.ts";
import { post } from "../support/webhook.ts";

const { openPage } = useBrowser();

const token = "the-gateway-token";
const workspace = mkdtempSync(path.join(os.tmpdir(), "cloister-page-"));
/** Of the tests that leave no device and no request behind. */
let program: Program;

beforeAll(async () => {
  program = await startProgram(
    makeStateDir({
      gateway: { auth: { token } },
      agents: { list: [{ id: "main" }, { id: "runner", module: actorPath("commander"), workspace }] },
      bindings: [
        { agentId: "runner", match: { channel: "webhook", accountId: "home", peer: { kind: "group", id: "room" } } },
      ],
      channels: {
        webhook: { dmPolicy: "pairing", groupPolicy: "open", accounts: { home: { token: "home-token" } } },
      },
    }),
  );
});

afterAll(async () => {
  expect(await program.stop()).toBe(0);
  endPrograms();
});

const press = async (page: Page, testId: string): Promise<void> => {
  await page.getByTestId(testId).first().focus();
  await page.keyboard.press("Enter");
};

test("AC-13.2: a request of a device is shown with what it would get, and decided by one press", async () => {
  const own = await startProgram(makeStateDir({ gateway: { auth: { token } } }));
  const page = await openPage(own.pageUrl);
  await page.getByTestId("composer").waitFor();
  expect(await page.getByTestId("access").count()).toBe(0);

  const remote = { remote: true, auth: { token } } as const;
  const [first, second] = [makeDevice(), makeDevice()];
  await connectAs(own.port, first, { ...remote, scopes: ["operator.read"] });
  const request = page.getByTestId("device-request");
  await expect.poll(() => request.count()).toBe(1);
  expect(await page.getByTestId("access-count").textContent()).toBe("1 waits for an approval");
  expect(await request.textContent()).toMatch(
    /cli \(cli\) is new.*linux.*role operator.*An approval lasts until it is revoked/,
  );
  expect(await page.getByTestId("device-adds").allTextContents()).toEqual([
    "+ operator.read: see agents, sessions, messages, the log and the settings",
  ]);
  expect(await seriousFaults(page)).toEqual([]);

  // It asks for more before anybody has decided: the page shows what is asked now, and that is what is approved.
  await connectAs(own.port, first, { ...remote, scopes: ["operator.write"] });
  await expect.poll(() => page.getByTestId("device-adds").count()).toBe(2);
  await press(page, "device-approve");
  await expect.poll(() => request.count()).toBe(0);
  expect(await page.evaluate("document.activeElement.id"), "the focus stays in the panel").toBe("access-title");
  expect((await connectAs(own.port, first, { ...remote, scopes: ["operator.write"] })).answer.ok).toBe(true);

  await connectAs(own.port, first, { ...remote, scopes: ["operator.write", "operator.approvals"] });
  await expect.poll(() => request.textContent()).toMatch(/wants more access.*It has already: operator\.write/);
  await press(page, "device-reject");
  await connectAs(own.port, second, remote);
  await expect.poll(() => request.getAttribute("data-device")).toBe(second.id);
  await press(page, "device-reject");
  await expect.poll(() => request.count()).toBe(0);
  expect((await connectAs(own.port, second, remote)).answer.ok).toBe(false);

  await page.getByTestId("devices").locator("summary").click();
  expect(await page.getByTestId("device").getAttribute("data-device")).toBe(first.id);
  await press(page, "device-remove");
  await page.keyboard.press("Enter");
  await expect.poll(() => page.getByTestId("device").count()).toBe(0);
  expect((await connectAs(own.port, first, remote)).answer.ok).toBe(false);
  await page.close();
  expect(await own.stop()).toBe(0);
});

test("a command that an agent wants to run is shown with all of it, and runs once when it is allowed", async () => {
  const ran = (): string => readFileSync(path.join(workspace, "ran.txt"), "utf8");
  const run = async (command: string): Promise<unknown> => {
    const text = JSON.stringify({ calls: [{ name: "exec", params: { command } }] });
    const { body } = await post(
      `${program.url}/channels/webhook/home`,
      { text, peer: { kind: "group", id: "room" }, sender: { id: "ana" }, wait: true },
      { authorization: "Bearer home-token" },
    );
    return JSON.parse((body as { readonly reply: string }).reply);
  };
  const page = await openPage(program.pageUrl);
  await page.getByTestId("composer").waitFor();
  expect(await page.getByTestId("commands").count()).toBe(0);
  const wanted = "echo $((40 + 2)) >> ran.txt";
  expect(await run(wanted)).toMatchObject({ status: "needs_approval" });
  const command = page.getByTestId("command");
  await expect.poll(() => command.count()).toBe(1);
  expect(await page.getByTestId("command-words").textContent()).toBe(`["/bin/sh","-c","${wanted}"]`);
  expect(await command.textContent()).toMatch(/runner wants to run a command on the host/);
  expect(await page.getByTestId("access-count").textContent()).toBe("1 waits for an approval");
  expect(await seriousFaults(page)).toEqual([]);

  // One step: its session is told at once, and what was allowed is gone when it has run.
  const focused = await page.evaluate(
    "document.querySelector('[data-testid=command-allow]').click(); document.activeElement.id",
  );
  expect(focused, "the focus stays in the panel").toBe("commands-title");
  // Its session is told, and runs it in the turn in which it hears so.
  await expect.poll(ran).toBe("42\n");
  await expect.poll(() => command.count()).toBe(0);

  expect(await run(wanted), "once is once").toMatchObject({ status: "needs_approval" });
  await expect.poll(() => command.count()).toBe(1);
  await press(page, "command-deny");
  await expect.poll(() => command.count()).toBe(0);
  expect(ran()).toBe("42\n");
  await page.close();
});

test("a sender who waits is shown, and approved or rejected by one press", async () => {
  const write = (id: string) =>
    post(
      `${program.url}/channels/webhook/home`,
      { text: "hello", sender: { id, name: `Ms ${id}` } },
      { authorization: "Bearer home-token" },
    );
  const page = await openPage(program.pageUrl);
  await page.getByTestId("composer").waitFor();
  const request = page.getByTestId("sender-request");
  await write("ana");
  await expect.poll(() => request.textContent()).toMatch(/Ms ana \(ana\) wants to write on webhook.*account home/);
  expect(await seriousFaults(page)).toEqual([]);
  // What looks for faults sees one that is there.
  await page.evaluate("document.querySelector('[data-testid=sender-approve]').removeAttribute('aria-label')");
  await page.evaluate("document.querySelector('[data-testid=sender-approve]').textContent = ''");
  expect(await seriousFaults(page)).toEqual([expect.stringContaining("button-name")]);
  await press(page, "sender-approve");
  await expect.poll(() => request.count()).toBe(0);
  expect((await write("ana")).body).toMatchObject({ status: "accepted" });
  await write("eve");
  await expect.poll(() => request.count()).toBe(1);
  await press(page, "sender-reject");
  await expect.poll(() => request.count()).toBe(0);
  expect((await write("eve")).body).toMatchObject({ status: "dropped" });
  await page.close();
});

test("the page is a device: with the token it waits for an approval, then comes with its own key and keeps no token", async () => {
  const page = await openPage(program.url);
  const signIn = page.getByTestId("sign-in");
  await page.getByTestId("key").fill(token);
  await page.keyboard.press("Enter");
  await expect.poll(() => signIn.textContent()).toContain("This browser waits for an approval");
  const said = (await signIn.textContent()) ?? "";
  expect(await seriousFaults(page)).toEqual([]);
  const [, id = ""] = /cloister devices approve (\S+)/.exec(said) ?? [];
  const approved = await runLine(program.stateDir, ["devices", "approve", id]);
  expect(approved).toMatchObject({ code: 0, stdout: expect.stringContaining("client cloister-page (webchat)") });
  await page.getByTestId("try-again").click();
  await page.getByTestId("composer").waitFor();
  await say(page, "who are you");
  await expect.poll(() => lastAnswer(page).textContent()).toContain("I am main");

  const stored = (): Promise<unknown> => page.evaluate("JSON.stringify(localStorage)");
  expect(await stored()).not.toContain(token);
  await page.reload();
  await page.getByTestId("composer").waitFor();
  const devices = JSON.parse((await runLine(program.stateDir, ["devices", "list", "--json"])).stdout);
  expect(devices).toMatchObject({ pending: [], paired: [{ clientId: "cloister-page", connected: true }] });

  // Another browser has another key: what it took from this one's storage opens nothing.
  const other = await openPage(program.url);
  await other.evaluate(
    `for (const [name, value] of Object.entries(${String(await stored())})) localStorage.setItem(name, value)`,
  );
  await other.reload();
  await expect.poll(() => other.getByTestId("sign-in").textContent()).toContain("AUTH_DEVICE_TOKEN_MISMATCH");

  expect((await runLine(program.stateDir, ["devices", "remove", devices.paired[0].deviceId])).code).toBe(0);
  await expect.poll(() => signIn.count()).toBe(1);
  await page.close();
  await other.close();
});
