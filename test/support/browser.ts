/** A real browser for the page's tests. A fault on a page, or a request that leaves its origin, fails the test that met it. */
import { type Browser, chromium, type Locator, type Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, expect } from "vitest";
import { chromiumPath } from "./program.ts";

export interface TestBrowser {
  readonly openPage: (url: string, options?: Parameters<Browser["newPage"]>[0]) => Promise<Page>;
  /** Faults of this test so far. */
  readonly faults: string[];
}

/** For one file of tests: started before the first of them. */
export function useBrowser(): TestBrowser {
  let browser: Browser;
  const faults: string[] = [];

  beforeAll(async () => {
    browser = await chromium.launch({
      executablePath: chromiumPath(),
      args: [
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-quic",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
      ],
    });
  });
  afterEach(() => {
    expect(faults.splice(0)).toEqual([]);
  });
  afterAll(() => browser.close());

  return {
    faults,
    async openPage(url, options = {}) {
      const page = await browser.newPage(options);
      page.on("pageerror", (error) => faults.push(`page error: ${error.message}`));
      page.on("console", (message) => {
        if (message.type() === "error") faults.push(`console: ${message.text()}`);
      });
      page.on("request", (request) => {
        if (!request.url().startsWith(new URL(url).origin))
          faults.push(`a request left the page's origin: ${request.url()}`);
      });
      await page.goto(url);
      return page;
    },
  };
}

export async function say(page: Page, text: string): Promise<void> {
  await page.getByTestId("composer").fill(text);
  await page.keyboard.press("Enter");
}

export function lastAnswer(page: Page): Locator {
  return page.locator("[data-testid=message][data-role=assistant][data-state=settled]").last();
}
