/** What a file says about wrong credentials. */
import { expect, it } from "vitest";
import { changeableSettings } from "../../../runtime/supervisor/edge-settings.ts";
import { loadText } from "./load-text.ts";

it("gateway.auth.rateLimit reaches the edge, is filled in, and is not told as not active", async () => {
  const { resolved } = await loadText({ gateway: { auth: { rateLimit: { maxAttempts: 3, exemptLoopback: false } } } });
  const loginRule = { failuresMax: 3, windowMs: 60_000, lockoutMs: 300_000, exemptLoopback: false };
  expect(changeableSettings(resolved).loginRule).toEqual(loginRule);
  expect(resolved.notActive).toEqual([]);
  expect(changeableSettings((await loadText({})).resolved)).not.toHaveProperty("loginRule");
});

it.each(["maxAttempts", "windowMs", "lockoutMs"])("%s has bounds", async (name) => {
  for (const value of [0, 1e9])
    await expect(loadText({ gateway: { auth: { rateLimit: { [name]: value } } } })).rejects.toThrow(name);
});
