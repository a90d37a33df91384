/**
 * Channels on the page, in a real browser against the real program. WhatsApp itself is on no test machine: what the gateway says of its account is
 * put into the answers here, on their way to the page; `whatsapp-login.test.ts` has a login with real codes.
 */
import type { Page } from "playwright-core";
import { afterAll, beforeAll, expect, test } from "vitest";
import { seriousFaults } from "../support/axe.ts";
import { useBrowser } from "../support/browser.ts";
import { findFreePort } from "../support/free-port.ts";
import { endPrograms, makeStateDir, type Program, startProgram } from "../support/program.ts";

const { openPage } = useBrowser();

let program: Program;
let page: Page;

/** As the gateway has it. */
interface Link {
  status: "connecting" | "code" | "linked" | "failed";
  code?: { readonly text: string; readonly expiresAtMs: number };
  name?: string;
  reason?: string;
  remedy?: string;
}

const unlinked: Link = { status: "failed", reason: "it is not linked with a phone", remedy: "cloister channels login" };
let link = unlinked;
const asked: string[] = [];

const answerTo = (method: string, params: Readonly<Record<string, unknown>>): object => {
  asked.push(`${method} ${JSON.stringify(params)}`);
  if (method === "channels.logout") link = unlinked;
  else if (params["begin"] === true) link = { status: "connecting" };
  return { channel: "whatsapp", accountId: "home", ...link };
};

/** The answer of `channels.status`, with the account beside those that the gateway has. */
function withWhatsApp(payload: Readonly<Record<string, Readonly<Record<string, unknown>>>>): object {
  const { status, name, reason, remedy } = link;
  const account = {
    accountId: "home",
    running: status !== "failed",
    connected: status === "linked",
    ...(status === "code" ? { linking: true } : {}),
    ...(name === undefined ? {} : { name }),
    ...(reason === undefined ? {} : { lastError: reason, remedy }),
  };
  return {
    ...payload,
    channelOrder: [...Object.values(payload["channelOrder"] ?? {}), "whatsapp"],
    channels: { ...payload["channels"], whatsapp: { linksByCode: true } },
    channelAccounts: { ...payload["channelAccounts"], whatsapp: [account] },
  };
}

beforeAll(async () => {
  const port = await findFreePort();
  program = await startProgram(
    makeStateDir({
      channels: { irc: { host: "127.0.0.1", port, tls: false, nick: "cloister" }, whatsapp: { enabled: false } },
    }),
  );
  page = await openPage(program.pageUrl, { viewport: { width: 1440, height: 900 } });
  await page.routeWebSocket(/./, (socket) => {
    const gateway = socket.connectToServer();
    const statusIds = new Set<string>();
    socket.onMessage((data) => {
      const { id, method, params } = JSON.parse(String(data));
      if (method === "channels.login" || method === "channels.logout")
        return socket.send(JSON.stringify({ type: "res", id, ok: true, payload: answerTo(method, params) }));
      if (method === "channels.status") statusIds.add(id);
      gateway.send(data);
    });
    gateway.onMessage((data) => {
      const frame = JSON.parse(String(data));
      if (!statusIds.delete(frame.id)) return socket.send(data);
      socket.send(JSON.stringify({ ...frame, payload: withWhatsApp(frame.payload) }));
    });
  });
  // The page has its key by now, and connects again by the way that stands between.
  await page.getByTestId("composer").waitFor();
  await page.reload();
  await page.getByTestId("composer").waitFor();
  await page.getByTestId("place-channels").click();
});

afterAll(async () => {
  await page.close();
  expect(await program.stop()).toBe(0);
  endPrograms();
});

const account = (channel: string) => page.locator(`[data-channel=${channel}] [data-testid=channel-account]`);
const press = async (testId: string): Promise<void> => {
  await page.getByTestId(testId).focus();
  await page.keyboard.press("Enter");
};
const drawn = (): Promise<string | null> => page.locator("[data-testid=qr-code] path").getAttribute("d");

/** In both colours: a fault of contrast may be in one of them. */
const expectNoFaults = async (): Promise<void> => {
  for (const theme of ["dark", "light"]) {
    await page.evaluate(`document.documentElement.dataset.theme = "${theme}"`);
    expect(await seriousFaults(page), theme).toEqual([]);
  }
};

test("each account says how it stands and what to do, and only one that is linked by a code has a login", async () => {
  await expect.poll(() => account("irc").count()).toBe(1);
  await expect
    .poll(() => account("irc").textContent())
    .toMatch(/not connected at the moment: 127\.0\.0\.1:\d+ was not reached/);
  expect(await account("irc").getByRole("button").count()).toBe(0);
  expect(await account("whatsapp").textContent()).toContain("not connected: it is not linked with a phone");
  expect(asked, "no code is asked for by looking").toEqual([]);
  await expectNoFaults();
});

test("a login shows its code, another one when that changes, says that it is connected, and is ended by a second press", async () => {
  await press("channel-login");
  await expect.poll(() => page.getByTestId("login").textContent()).toContain("A code is fetched.");
  link = { status: "code", code: { text: "2@first,code,of,some,length==", expiresAtMs: Date.now() + 20_000 } };
  await page.getByTestId("qr-code").waitFor();
  const first = await drawn();
  expect(first?.length).toBeGreaterThan(500);
  expect(await page.getByTestId("qr-code").getAttribute("aria-label")).toContain("whatsapp/home");
  await expectNoFaults();
  link = { status: "code", code: { text: "2@second,code,of,some,length=", expiresAtMs: Date.now() + 20_000 } };
  await expect.poll(drawn).not.toBe(first);
  link = { status: "linked", name: "+15550001234" };
  await expect
    .poll(() => page.getByTestId("login").textContent())
    .toContain("whatsapp/home is connected as +15550001234.");
  expect(await page.getByTestId("qr-code").count()).toBe(0);
  await expect.poll(() => account("whatsapp").getAttribute("data-state")).toBe("connected");
  expect(asked.filter((line) => line.includes('"begin":true'))).toHaveLength(1);

  await press("channel-logout");
  expect(
    asked.some((line) => line.startsWith("channels.logout")),
    "one press ends nothing",
  ).toBe(false);
  await page.keyboard.press("Enter");
  await expect.poll(() => account("whatsapp").getAttribute("data-state")).toBe("failed");
  expect(asked.at(-1)).toBe('channels.logout {"channel":"whatsapp","accountId":"home"}');
});

test("a code is shown no longer to who looks elsewhere, and fits on a phone", async () => {
  await page.setViewportSize({ width: 375, height: 700 });
  await press("channel-login");
  link = { status: "code", code: { text: "2@third", expiresAtMs: Date.now() + 20_000 } };
  await page.getByTestId("qr-code").waitFor();
  const box = await page.getByTestId("qr-code").boundingBox();
  expect(box !== null && box.x >= 0 && box.x + box.width <= 375 && box.width > 200).toBe(true);
  expect(await page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")).toBe(0);
  await page.getByTestId("place-chat").click();
  await page.getByTestId("place-channels").click();
  await account("whatsapp").waitFor();
  expect(await page.getByTestId("qr-code").count()).toBe(0);
});
