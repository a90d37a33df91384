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
  programs: { chatCompletions: true, responses: true, mcp: true, a2a: true },
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
  const { settings: first, follow } = await doors.read<ChangeableSettings>(some);
  follow((next) => void changed.push(next));
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
  expect(lines).toEqual([
    "the door of the gateway's token or password is closed: a secret cannot be read",
    "the door of the gateway's token or password keeps the secret that it had: a secret cannot be read",
  ]);
  // A configuration that does not come into force leaves the one before as it is; the next one begins anew.
  const refused = await doors.read<ChangeableSettings>({ ...some, hooks: told.hooks });
  expect(refused.settings.auth).toEqual({ mode: "token" });
  kept.set("/k/hooks", "h-3");
  await vi.advanceTimersByTimeAsync(1_000);
  expect(changed.slice(1)).toMatchObject([{ auth: { secret: "g-1" }, hooks: { token: "h-3" } }]);
  const others: ChangeableSettings[] = [];
  (await doors.read<ChangeableSettings>({ ...some })).follow((next) => void others.push(next));
  kept.set("/k/gateway", "g-2");
  await vi.advanceTimersByTimeAsync(5_000);
  expect([changed.length, others.map(({ auth }) => auth)]).toEqual([2, [{ mode: "token", secret: "g-2" }]]);
  // What is read when the end comes is not followed.
  const late = await doors.read<ChangeableSettings>({ ...some });
  doors.close();
  late.follow(() => undefined);
  expect(vi.getTimerCount()).toBe(0);
});

test("a place that does not answer is asked once, and nothing is heard of it after the end", async () => {
  vi.useFakeTimers();
  onTestFinished(() => void vi.useRealTimers());
  let asked = 0;
  const answers: ((value: { readonly value: string }) => void)[] = [];
  const secrets = {
    read: async () =>
      ++asked === 1 ? { value: "h-1" } : new Promise<{ value: string }>((resolve) => void answers.push(resolve)),
  };
  const doors = makeDoorSecrets(secrets, () => undefined, 1_000);
  const changed: ChangeableSettings[] = [];
  const some = { ...told, auth: { mode: "none" } as const, metrics: {}, webhook: null, platforms: [] };
  (await doors.read<ChangeableSettings>(some)).follow((next) => void changed.push(next));
  await vi.advanceTimersByTimeAsync(10_000);
  expect(asked).toBe(2);
  answers.shift()?.({ value: "h-2" });
  await vi.advanceTimersByTimeAsync(1_000);
  expect(changed).toMatchObject([{ hooks: { token: "h-2" } }]);
  expect(asked).toBe(3);
  doors.close();
  answers.shift()?.({ value: "h-3" });
  await vi.advanceTimersByTimeAsync(10_000);
  expect([changed.length, asked, vi.getTimerCount()]).toEqual([1, 3, 0]);
});

test("a look at once tells which keys are renewed, and keeps the doors whose secrets cannot be read", async () => {
  vi.useFakeTimers();
  onTestFinished(() => void vi.useRealTimers());
  const kept = new Map([
    ["/k/gateway", "g-1"],
    ["/k/home", "o-1"],
  ]);
  const secrets = {
    read: async (value: SecretValue) => {
      const found = "ref" in value ? kept.get(value.ref.id) : undefined;
      return found === undefined ? { missing: "there is none" } : { value: found };
    },
  };
  const doors = makeDoorSecrets(secrets, () => undefined, 1_000);
  expect(await doors.look()).toEqual({ renewed: [], unread: [] });
  const changed: ChangeableSettings[] = [];
  const some = { ...told, metrics: {}, platforms: [] };
  (await doors.read<ChangeableSettings>(some)).follow((next) => void changed.push(next));
  kept.delete("/k/gateway");
  kept.set("/k/home", "o-2").set("/k/hooks", "h-1");
  expect(await doors.look()).toEqual({
    renewed: ["channels.webhook.accounts.home.outboundToken", "hooks.token"],
    unread: ["channels.webhook.accounts.biz.token", "gateway.auth.token"].map((path) => ({
      path,
      message: "there is none",
      remedy: `let the file be there, of the gateway's user and closed to others, or correct ${path}`,
    })),
  });
  expect(changed).toMatchObject([
    { auth: { secret: "g-1" }, hooks: { token: "h-1" }, webhook: { accounts: { home: { outboundToken: "o-2" } } } },
  ]);
  expect(vi.getTimerCount()).toBe(1);
  doors.close();
  expect(await doors.look()).toEqual({ renewed: [], unread: [] });
  expect([changed.length, vi.getTimerCount()]).toEqual([1, 0]);
});

test("a look that began before does not bring back what was there then", async () => {
  vi.useFakeTimers();
  onTestFinished(() => void vi.useRealTimers());
  const answers: ((value: { readonly value: string }) => void)[] = [];
  let isSlow = false;
  const secrets = {
    read: async () =>
      isSlow ? new Promise<{ value: string }>((resolve) => void answers.push(resolve)) : { value: "h-1" },
  };
  const doors = makeDoorSecrets(secrets, () => undefined, 1_000);
  const changed: ChangeableSettings[] = [];
  const some = { ...told, auth: { mode: "none" } as const, metrics: {}, webhook: null, platforms: [] };
  (await doors.read<ChangeableSettings>(some)).follow((next) => void changed.push(next));
  isSlow = true;
  await vi.advanceTimersByTimeAsync(1_000);
  const looked = doors.look();
  await vi.advanceTimersByTimeAsync(0);
  answers.pop()?.({ value: "h-2" });
  await vi.advanceTimersByTimeAsync(0);
  answers.pop()?.({ value: "h-3" });
  expect(await looked).toEqual({ renewed: ["hooks.token"], unread: [] });
  expect(changed.map(({ hooks }) => hooks.token)).toEqual(["h-2", "h-3"]);
  doors.close();
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
