/** A reload of secrets as a whole: what is told and audited of it, and how long it waits. */
import { expect, test } from "vitest";
import { nothingRead, type SecretsRead } from "../../../runtime/broker/secrets-read.ts";
import { reloadSecrets } from "../../../runtime/supervisor/reload-secrets.ts";

const unread = { path: "hooks.token", message: "there is no file", remedy: "write it" };
const reader = (read: Promise<SecretsRead>) => ({ readSecrets: () => read });

async function reload(readers: Parameters<typeof reloadSecrets>[0]) {
  const audited: object[] = [];
  const told = await reloadSecrets(readers, "cli", (row) => void audited.push(row), 20);
  return { told, audited };
}

test("who did it and which keys are audited, and nothing that is behind them", async () => {
  const gateway = reader(Promise.resolve({ renewed: ["gateway.auth.token"], unread: [unread] }));
  const { told, audited } = await reload({ models: reader(Promise.resolve(nothingRead)), mcp: undefined, gateway });
  expect(told).toEqual({ renewed: ["gateway.auth.token"], unread: [unread] });
  expect(audited).toEqual([
    {
      type: "secrets_reloaded",
      subject: "cli",
      object: "secrets",
      detail: "renewed: gateway.auth.token; not read: hooks.token",
    },
  ]);
});

test("what is late, or fails, is told as not read; the others are not held up", async () => {
  const { told, audited } = await reload({
    channels: reader(new Promise(() => undefined)),
    mcp: reader(Promise.reject(new Error("the thread is gone"))),
    models: reader(Promise.resolve({ renewed: ["models.providers.p.apiKey"], unread: [] })),
  });
  expect(told).toMatchObject({
    renewed: ["models.providers.p.apiKey"],
    unread: [{ path: "channels", message: expect.stringContaining("within 0.02 s") }, { path: "mcp" }],
  });
  expect(audited).toMatchObject([{ detail: "renewed: models.providers.p.apiKey; not read: channels, mcp" }]);
});
