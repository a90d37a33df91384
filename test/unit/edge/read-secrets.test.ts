/** Doors whose secrets are somewhere else: each is read, and one that cannot be closes its own door alone. */
import { expect, onTestFinished, test, vi } from "vitest";
import type { SecretValue, WithReferences } from "../../../runtime/broker/port.ts";
import type { ChangeableSettings } from "../../../runtime/edge/settings.ts";
import { makeDoorSecrets, readDoorSecrets } from "../../../runtime/edge/read-secrets.ts";

const at = (key: string, id: string) => ({ key, ref: { source: "file", id } }) as const;

const told: WithReferences<ChangeableSettings> = {
  auth: { mode: "token", secret: at("gateway.auth.token", "/k/gateway") },
  trustedProxies: [],
  allowedOrigins: [],
  hooks: { enabled: true, token: at("hooks.token", "/k/hooks"), path: "/hooks", mappings: [] },
  programs: { chatCompletions: true, responses: true, mcp: true },
  metrics: { token: at("gateway.metrics.scrapeToken", "/k/metrics") },
  webhook: {
    accounts: {
      biz: { token: at("channels.webhook.accounts.biz.token", "/k/biz") },
      home: {
        token: "plain",
        outboundUrl: "http://x/",
        outboundToken: at("channels.webhook.accounts.home.outboundToken", "/k/home"),
      },
    },
    defaultAccount: "biz",
  },
  platforms: [
    {
      channel: "telegram",
      accountId: "a",
      proof: { type: "secret", header: "x", secret: at("channels.telegram.webhookSecret", "/k/tg") },
    },
    {
      channel: "slack",
      accountId: "b",
      proof: { type: "signature", header: "x", timeHeader: "y", version: "v0", secret: "plain" },
    },
  ],
  snapshot: { defaultAgentId: "main", mainKey: "main", mainSessionKey: "agent:main:main", scope: "per-sender" },
};

async function read(...missing: readonly string[]) {
  const lines: { readonly message: string; readonly error: unknown }[] = [];
  const reader = {
    read: async (value: SecretValue) =>
      "ref" in value && !missing.includes(value.ref.id)
        ? { value: `in ${value.ref.id}` }
        : { missing: `file: ${"ref" in value ? value.ref.id : ""}: there is none` },
  };
  const settings = await readDoorSecrets<ChangeableSettings>(told, reader, (level, message, fields) => {
    if (level === "error") lines.push({ message, error: fields?.["error"] });
  });
  return { settings, lines };
}

test("another secret counts by the next look, one that comes late opens its door, and one that is gone stays as it was", async () => {
  vi.useFakeTimers();
  onTestFinished(() => void vi.useRealTimers());
  const kept = new Map([["/k/hooks", "h-1"]]);
  const secrets = {
    read: async (value: SecretValue) => {
      const found = "ref" in value ? kept.get(value.ref.id) : undefined;
      return found === undefined ? { missing: "there is none" } : { value: found };
    },
  };
  const lines: string[] = [];
  const changed: ChangeableSettings[] = [];
  const doors = makeDoorSecrets(secrets, (level, message) => void (level === "error" && lines.push(message)), 1_000);
  const some = { ...told, metrics: {}, webhook: null, platforms: [] };
  const first = await doors.read<ChangeableSettings>(some, (next) => void changed.push(next));
  expect([first.auth, first.hooks.token]).toEqual([{ mode: "token" }, "h-1"]);
  await vi.advanceTimersByTimeAsync(5_000);
  expect(changed).toEqual([]);
  expect(lines).toHaveLength(1);
  kept.set("/k/gateway", "g-1").set("/k/hooks", "h-2");
  await vi.advanceTimersByTimeAsync(1_000);
  expect(changed).toMatchObject([{ auth: { mode: "token", secret: "g-1" }, hooks: { token: "h-2" } }]);
  kept.delete("/k/gateway");
  await vi.advanceTimersByTimeAsync(5_000);
  expect(changed).toHaveLength(1);
  expect(lines.slice(1)).toEqual([expect.stringContaining("keeps the secret that it had")]);
  // Another configuration begins anew, and the end is one.
  expect((await doors.read<ChangeableSettings>(some, () => undefined)).auth).toEqual({ mode: "token" });
  doors.close();
  kept.set("/k/gateway", "g-2");
  await vi.advanceTimersByTimeAsync(5_000);
  expect(changed).toHaveLength(1);
  expect(vi.getTimerCount()).toBe(0);
});

test("all of them are read, and the rest stays as it is", async () => {
  const { settings, lines } = await read();
  expect(settings).toEqual({
    ...told,
    auth: { mode: "token", secret: "in /k/gateway" },
    hooks: { enabled: true, token: "in /k/hooks", path: "/hooks", mappings: [] },
    metrics: { token: "in /k/metrics" },
    webhook: {
      accounts: {
        biz: { token: "in /k/biz" },
        home: { token: "plain", outboundUrl: "http://x/", outboundToken: "in /k/home" },
      },
      defaultAccount: "biz",
    },
    platforms: [
      { ...told.platforms[0], proof: { type: "secret", header: "x", secret: "in /k/tg" } },
      told.platforms[1],
    ],
  });
  expect(lines).toEqual([]);
});

test.each([
  ["gateway", "gateway.auth.token", { auth: { mode: "token" } }],
  ["hooks", "hooks.token", { hooks: { enabled: false } }],
  ["metrics", "gateway.metrics.scrapeToken", { metrics: {} }],
  ["biz", "channels.webhook.accounts.biz.token", { webhook: { accounts: { home: { token: "plain" } } } }],
  ["home", "channels.webhook.accounts.home.outboundToken", { webhook: { accounts: { biz: { token: "in /k/biz" } } } }],
  ["tg", "channels.telegram.webhookSecret", { platforms: [told.platforms[1]] }],
])(
  "one that cannot be read closes its own door alone, and the log names key, reference and remedy: %s",
  async (file, key, part) => {
    const whole = (await read()).settings;
    const { settings, lines } = await read(`/k/${file}`);
    expect(settings).toMatchObject(part);
    const changed = Object.keys(part);
    expect({ ...settings, ...Object.fromEntries(changed.map((name) => [name, undefined])) }).toEqual({
      ...whole,
      ...Object.fromEntries(changed.map((name) => [name, undefined])),
    });
    expect(lines).toMatchObject([
      {
        error: {
          code: "CLOISTER_SECRET_MISSING",
          message: `${key} refers to a secret that cannot be read: file: /k/${file}: there is none`,
          remedy: expect.stringContaining(key),
        },
      },
    ]);
    // No secret is left in what closed, nor the open door that a blank one would be.
    const { auth, hooks, webhook } = settings;
    expect(auth).not.toHaveProperty("secret", "");
    if (file === "gateway") expect(auth).not.toHaveProperty("secret");
    if (file === "hooks") expect(hooks.enabled).toBe(false);
    if (file === "biz" || file === "home") expect(Object.keys(webhook?.accounts ?? {})).toHaveLength(1);
  },
);
