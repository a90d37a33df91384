/**
 * The login of WhatsApp as people do it, with the real program, the real library, and a real browser: the phone of the test scans what is shown to it,
 * and knows nothing else.
 */
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { DatabaseSync } from "node:sqlite";
import type { Page } from "playwright-core";
import { afterAll, beforeAll, expect, test } from "vitest";
import { useBrowser } from "../support/browser.ts";
import { eventually } from "../support/eventually.ts";
import {
  endPrograms,
  makeStateDir,
  type Program,
  repoRoot,
  runCommand,
  startCommand,
  startProgram,
} from "../support/program.ts";
import { readQrLines, readQrPicture } from "../support/qr-reader.ts";
import { prepareForProgram, type ProgramAccount } from "../support/whatsapp-program.ts";
import { openWhatsApp, type WhatsAppServer } from "../support/whatsapp-socket.ts";

const { openPage } = useBrowser();
const stateDir = makeStateDir();
let server: WhatsAppServer;
let login: ProgramAccount;
let program: Program;
let page: Page;

beforeAll(async () => {
  server = await openWhatsApp();
  const folder = path.join(stateDir, "whatsapp");
  mkdirSync(folder);
  login = await prepareForProgram(server, folder);
  const config = {
    agents: { list: [{ id: "main", module: path.join(repoRoot, "test", "fixtures", "actors", "numbered.ts") }] },
    bindings: [{ agentId: "main", match: { channel: "whatsapp" } }],
    channels: { whatsapp: { ...login, dmPolicy: "open", allowFrom: ["*"] } },
  };
  writeFileSync(path.join(stateDir, "cloister.json"), JSON.stringify(config), { mode: 0o600 });
  program = await startProgram(stateDir);
});

afterAll(async () => {
  endPrograms();
  await server.close();
});

const account = () => page.locator("[data-channel=whatsapp] [data-testid=channel-account]");
const stateOfAccount = (): Promise<string | null> => account().getAttribute("data-state");
const channels = (...words: readonly string[]) => runCommand(stateDir, ["channels", ...words, "--channel", "whatsapp"]);

/** Somebody writes, and has an answer. */
async function exchange(text: string): Promise<void> {
  await server.say(server.person("15550001234", "70001", "Ana"), text);
  await eventually(() => expect(server.arrived.at(-1)?.text).toContain(text));
}

test("the page shows a code as a picture, the phone that scans it links the account, and the page says so", async () => {
  page = await openPage(program.pageUrl, { deviceScaleFactor: 4 });
  await page.getByTestId("composer").waitFor();
  await page.getByTestId("place-channels").click();
  await expect.poll(() => account().textContent()).toContain("it is not linked with a phone");
  expect(server.connections(), "nobody has asked for a code").toBe(0);
  await page.getByTestId("channel-login").click();
  await page.getByTestId("qr-code").waitFor();
  await server.scan(readQrPicture(await page.getByTestId("qr-code").screenshot()));
  await expect
    .poll(() => page.getByTestId("login").textContent())
    .toContain("whatsapp/default is connected as +15550009999.");
  await expect.poll(stateOfAccount).toBe("connected");
  expect(server.deviceId()).toBe(7);
  await exchange("from the page");
});

test("a probe asks WhatsApp now", async () => {
  const before = server.pings();
  const { code, stdout } = await channels("status", "--probe");
  expect([code, stdout]).toEqual([0, expect.stringMatching(/whatsapp +default +connected/)]);
  expect(server.pings()).toBe(before + 1);
});

test("a logout ends the link on the phone and leaves nothing of it here, and the next start asks for a new code", async () => {
  const { code, stdout } = await channels("logout");
  expect([code, stdout]).toEqual([0, "whatsapp/default is not linked any more; its login was removed\n"]);
  expect(server.deviceId()).toBeUndefined();
  await expect.poll(stateOfAccount).toBe("failed");
  await page.close();
  expect(await program.stop()).toBe(0);
  const kept = readdirSync(login.authDir).map((name) => readFileSync(path.join(login.authDir, name), "latin1"));
  expect(kept.join()).not.toMatch(/"private"|privKey|15550009999/);
  const file = new DatabaseSync(path.join(login.authDir, "login.sqlite"), { readOnly: true });
  expect(file.prepare("SELECT count(*) AS rows FROM keys").get()).toEqual({ rows: 0 });
  file.close();
  program = await startProgram(stateDir);
  await eventually(async () => expect((await channels("status")).stdout).toContain("it is not linked with a phone"));
});

test("the terminal shows a code, and the phone that scans the drawing links the account anew", async () => {
  const command = startCommand(stateDir, ["channels", "login", "--channel", "whatsapp"]);
  const shown = await eventually(() => {
    const [drawing, rest] = command.stdout().split("Scan it");
    expect(rest, command.stderr()).toBeDefined();
    return drawing ?? "";
  });
  await server.scan(readQrLines(shown.trimEnd().split("\n")));
  const { code, stdout } = await command.finished;
  expect([code, stdout]).toEqual([0, expect.stringContaining("whatsapp/default is linked as +15550009999\n")]);
  expect(server.deviceId()).toBe(8);
  await exchange("from the terminal");
  expect(await program.stop()).toBe(0);
  expect(server.violations).toEqual([]);
});
