/** Accounts whose credential is somewhere else: read before each connection, and told when it is not there. */
import { expect, test } from "vitest";
import type { AccountSettings, ChannelAdapter, ChannelHost, ChannelModule } from "../../../channels/port.ts";
import type { SecretValue } from "../../../runtime/broker/port.ts";
import { withSecrets } from "../../../runtime/channels/with-secrets.ts";
import { failure } from "../../../runtime/kernel/errors.ts";
import { limits } from "../../../runtime/kernel/limits.ts";
import { makeVirtualClock, settle } from "../../support/virtual-clock.ts";

interface Settings extends AccountSettings {
  readonly botToken: string;
}

const at = { key: "channels.test.botToken", ref: { source: "store", id: "bot" } } as const;
const peer = { kind: "direct", id: "ana" } as const;

function open(botToken: string | typeof at, isRefused: (token: string) => boolean = () => false) {
  const opened: string[] = [];
  let ran = 0;
  let held: Promise<void> | undefined;
  let kept: string | undefined = "t-1";
  const forgets: (number | undefined)[] = [];
  const channel: ChannelModule<Settings> = {
    manifest: { id: "test" } as never,
    open: (settings) => {
      opened.push(settings.botToken);
      return {
        run: async () => {
          ran++;
          if (isRefused(settings.botToken)) throw failure("CLOISTER_CHANNEL_CREDENTIAL", "no");
        },
        probe: async () => ({ id: settings.botToken, name: "bot" }),
        send: async () => ({ status: "sent", platformMessageId: settings.botToken }),
        act: async () => ({ status: "sent" }),
        fetch: async () => new Uint8Array([1]),
        called: async () => ({ ok: settings.botToken }),
      } satisfies ChannelAdapter;
    },
  };
  const secrets = {
    async read(told: SecretValue) {
      await held;
      return "ref" in told && kept !== undefined ? { value: kept } : { missing: "store: bot: there is none" };
    },
    forget: (olderMs?: number) => void forgets.push(olderMs),
  };
  const clock = makeVirtualClock();
  const host = { pause: clock.pause } as Partial<ChannelHost> as ChannelHost;
  const adapter = withSecrets(channel, secrets).open({ botToken, textChunkLimit: 100 }, host);
  return {
    adapter,
    clock,
    opened,
    ran: () => ran,
    keep: (value: string | undefined) => (kept = value),
    /** A secret takes until what this gives is called. */
    hold() {
      const { promise, resolve } = Promise.withResolvers<void>();
      held = promise;
      return resolve;
    },
    forgets,
    run: () => adapter.run(new AbortController().signal),
  };
}

test("a text is handed on as it is", async () => {
  const { opened, run } = open("plain");
  await run();
  expect(opened).toEqual(["plain"]);
});

test("a reference is followed before each connection, so that another secret counts with the next one", async () => {
  const { adapter, opened, keep, run } = open(at);
  expect(opened).toEqual([]);
  await run();
  await run();
  expect(opened).toEqual(["t-1"]);
  expect(await adapter.send({} as never)).toMatchObject({ platformMessageId: "t-1" });
  expect(await adapter.act?.({} as never)).toEqual({ status: "sent" });
  expect(await adapter.fetch?.({} as never, 1, AbortSignal.timeout(1))).toEqual(new Uint8Array([1]));
  expect(await adapter.called?.({})).toEqual({ ok: "t-1" });
  await adapter.typing?.(peer, undefined);
  keep("t-2");
  await run();
  expect(opened).toEqual(["t-1", "t-2"]);
  expect(await adapter.probe(AbortSignal.timeout(1_000))).toEqual({ id: "t-2", name: "bot" });
});

test("one that cannot be read keeps the account from connecting, and says its key, the reference and what to do", async () => {
  const { keep, run, opened } = open(at);
  keep(undefined);
  const refused = run();
  await expect(refused).rejects.toMatchObject({
    code: "CLOISTER_SECRET_MISSING",
    message: "channels.test.botToken refers to a secret that cannot be read: store: bot: there is none",
    remedy: "keep it with `cloister secrets set <name>`, or correct channels.test.botToken",
  });
  expect(opened).toEqual([]);
  // Not for ever: whoever keeps it need not start anything.
  keep("t-3");
  await run();
  expect(opened).toEqual(["t-3"]);
});

test("what is asked of an account before its first connection is refused as long as that, and a platform calls again", async () => {
  const { adapter } = open(at);
  await expect(adapter.called?.({})).rejects.toMatchObject({
    code: "CLOISTER_CHANNEL_OFFLINE",
    message: "the account is not connected yet",
  });
});

test("an account that ends while its secret is read waits for none, and begins no connection", async () => {
  const ending = new AbortController();
  const opened = open(at);
  const { adapter, ran } = opened;
  const read = opened.hold();
  const run = adapter.run(ending.signal);
  ending.abort();
  await run;
  read();
  await settle();
  expect(ran()).toBe(0);
});

test("what a program said is asked for again when the platform does not take it", async () => {
  const { run, forgets } = open(at, (token) => token === "t-1");
  await expect(run()).rejects.toMatchObject({ code: "CLOISTER_CHANNEL_CREDENTIAL" });
  expect(forgets).toHaveLength(1);
});

test("an account that was not taken learns that its secret is another one, and not that it is away or the same again", async () => {
  const { adapter, run, keep, clock } = open(at, () => true);
  await expect(run()).rejects.toMatchObject({ code: "CLOISTER_CHANNEL_CREDENTIAL" });
  let isOther = false;
  void adapter.whenOther?.(new AbortController().signal).then(() => (isOther = true));
  for (const value of ["t-1", undefined, "t-1"]) {
    keep(value);
    await clock.advance(limits.channelSecretLookMs);
    expect(isOther).toBe(false);
  }
  keep("t-2");
  await clock.advance(limits.channelSecretLookMs - 1);
  expect(isOther).toBe(false);
  await clock.advance(1);
  expect(isOther).toBe(true);
});

test("a program is asked again for the secret of an account that was not taken, once a minute", async () => {
  const { adapter, run, forgets, clock } = open(at, () => true);
  await expect(run()).rejects.toThrow();
  const ending = new AbortController();
  const looked = adapter.whenOther?.(ending.signal);
  await clock.advance(2 * limits.channelSecretLookMs);
  ending.abort();
  await looked;
  expect(forgets).toEqual([limits.secretProgramAgainMs, limits.secretProgramLookMs, limits.secretProgramLookMs]);
});

test("what looks for another secret ends with its signal", async () => {
  const { adapter, run, clock } = open(at, () => true);
  await expect(run()).rejects.toThrow();
  const ending = new AbortController();
  const looked = adapter.whenOther?.(ending.signal);
  ending.abort();
  await looked;
  await clock.advance(10 * limits.channelSecretLookMs);
  expect(clock.pauses).toEqual([limits.channelSecretLookMs]);
});

test("an account with a text has nothing else to look for", () => {
  expect("whenOther" in open("plain").adapter).toBe(false);
});

test("what is read anew is told by its key when it is another one, and counts with the next connection", async () => {
  const { adapter, opened, keep, run } = open(at);
  const renewed = { renewed: ["channels.test.botToken"], unread: [] };
  // Nothing runs with it so far.
  expect(await adapter.readSecrets?.()).toEqual(renewed);
  await run();
  expect(await adapter.readSecrets?.()).toEqual({ renewed: [], unread: [] });
  keep(undefined);
  expect(await adapter.readSecrets?.()).toEqual({
    renewed: [],
    unread: [
      {
        path: "channels.test.botToken",
        message: "store: bot: there is none",
        remedy: "keep it with `cloister secrets set <name>`, or correct channels.test.botToken",
      },
    ],
  });
  keep("t-2");
  expect(await adapter.readSecrets?.()).toEqual(renewed);
  expect(opened).toEqual(["t-1"]);
  await run();
  expect(await adapter.readSecrets?.()).toEqual({ renewed: [], unread: [] });
  expect(opened).toEqual(["t-1", "t-2"]);
  expect("readSecrets" in open("plain").adapter).toBe(false);
});
