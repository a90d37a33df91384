/**
 * Each kind of channel has a thread of its own: one that hangs, throws or fills its memory is replaced, and the other channels and all agents go on
 * meanwhile; and an agent that never gives up its thread holds up no channel. Real threads; WhatsApp's library, which the operator installs,
 * stands for whatever goes wrong in one.
 */
import { existsSync, mkdirSync, mkdtempSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { expect, onTestFinished, test } from "vitest";
import { library } from "../../../channels/whatsapp/manifest.ts";
import type { ChannelForKernel } from "../../../runtime/channels/port.ts";
import type { Client } from "../../../runtime/edge/port.ts";
import { limits } from "../../../runtime/kernel/limits.ts";
import type { StartChannel } from "../../../runtime/supervisor/channels/channel-life.ts";
import { startChannelThread } from "../../../runtime/supervisor/channels/start-channel.ts";
import { entryUrl } from "../../../runtime/thread/entries.ts";
import { startTrustedThread } from "../../../runtime/thread/trusted-thread.ts";
import { actor } from "../../support/actors.ts";
import { makeMessage, openBotApi } from "../../support/bot-api.ts";
import { openDiscordApi } from "../../support/discord-api.ts";
import { eventually } from "../../support/eventually.ts";
import { groupsOf, makeConfig, openGateway } from "../../support/gateway.ts";

const operator: Client = { connId: "c", clientId: "cli", mode: "cli", scopes: ["operator.admin"] };
const token = "1:A";

/** A busy machine may hold up a thread that starts for so long; then it is ended once more than it has to be. */
const stuckMs = 4_000;

/** WhatsApp's as `startChannelThread` has it, but for how soon it is seen that it stands still, and how little memory it has. */
const startSoonSeen: StartChannel = (init, handlers, onLost) =>
  init.channel === "whatsapp"
    ? startTrustedThread<ChannelForKernel>({
        entry: entryUrl("channel"),
        name: `channel ${init.channel}`,
        init,
        handlers,
        onLost,
        stuckMs,
        heapMb: 64,
        graceMs: limits.channelThreadGraceMs,
      })
    : startChannelThread(init, handlers, onLost);

const none: Status = { channels: {}, channelAccounts: {} };

interface Status {
  readonly channels: Readonly<Record<string, { readonly restarts: number }>>;
  readonly channelAccounts: Readonly<Record<string, readonly object[]>>;
}

async function openTelegram() {
  const api = await openBotApi();
  onTestFinished(() => api.close());
  api.addBot(token, "main_bot");
  let messageId = 0;
  /** Somebody asks, and is answered. */
  const ask = async (): Promise<void> => {
    const before = api.sent(token).length;
    api.push(token, { message: makeMessage({ message_id: (messageId += 1), text: "who are you" }) });
    await eventually(() => expect(api.sent(token)).toHaveLength(before + 1));
    expect(api.sent(token).at(-1)?.text).toContain("I am main");
  };
  return { api, ask, account: { botToken: token, apiRoot: api.root, textChunkLimit: 4_000 } };
}

const faults = {
  hangs: { code: "for (;;);", reason: /its loop did not turn for 4000 ms/ },
  throws: { code: 'throw new Error("on purpose");', reason: /on purpose/ },
  leaks: {
    code: `const kept = [];
      const leak = () => {
        for (let n = 0; n < 100; n++) kept.push(Array.from({ length: 1000 }, (_, at) => ({ at })));
        setImmediate(leak);
      };
      leak();`,
    reason: /memory/,
  },
};

/** A library that does so once, in the thread that has loaded it, and leaves a file that says so. */
function makeFaultyLibrary(code: string): { readonly libraryDir: string; readonly hasBegun: () => boolean } {
  const libraryDir = mkdtempSync(path.join(os.tmpdir(), "cloister-faulty-"));
  const begun = path.join(libraryDir, "begun");
  const modules = path.join(libraryDir, "node_modules");
  const write = (name: string, content: string): void => {
    mkdirSync(path.dirname(path.join(modules, name)), { recursive: true });
    writeFileSync(path.join(modules, name), content);
  };
  write(`${library.name}/package.json`, JSON.stringify({ ...library, type: "module" }));
  write("libsignal/src/curve.js", "exports.verifySignature = () => true;");
  write("libsignal/src/session_cipher.js", "module.exports = class {};");
  write(
    `${library.name}/lib/index.js`,
    `import { existsSync, writeFileSync } from "node:fs";
    const begun = ${JSON.stringify(begun)};
    if (!existsSync(begun)) setTimeout(() => { writeFileSync(begun, ""); ${code} }, 20);
    export const initAuthCreds = () => ({});
    export const BufferJSON = {};`,
  );
  return { libraryDir, hasBegun: () => existsSync(begun) };
}

test.each(Object.entries(faults))(
  "a channel's thread that %s is started again, while another channel and its agent go on",
  async (_name, { code, reason }) => {
    const { api, ask, account } = await openTelegram();
    const { libraryDir, hasBegun } = makeFaultyLibrary(code);
    const authDir = mkdtempSync(path.join(os.tmpdir(), "cloister-login-"));
    const config = makeConfig([{ id: "main" }], {
      channels: {
        telegram: { default: account },
        whatsapp: { default: { textChunkLimit: 4_000, authDir, libraryDir, readReceipts: false } },
      },
      channelDefaults: { telegram: "default", whatsapp: "default" },
      groups: groupsOf({
        channels: {
          telegram: { dmPolicy: "open", allowFrom: ["*"], accounts: { default: {} } },
          whatsapp: { accounts: { default: {} } },
        },
      }),
      bindings: [{ index: 0, agentId: "main", match: { channel: "telegram" } }],
    });
    const gateway = await openGateway([], {}, { config, startChannel: startSoonSeen });
    await eventually(() => expect(hasBegun()).toBe(true));
    await ask();
    await eventually(async () => {
      const status = await gateway.doors.rpc(operator, "channels.status", {});
      const { channels, channelAccounts } = status.ok ? (status.payload as Status) : none;
      expect(channels["telegram"]).toMatchObject({ running: true, restarts: 0 });
      expect(channels["whatsapp"]?.restarts).toBeGreaterThan(0);
      // What its own thread says of it again.
      expect(channelAccounts["whatsapp"]).toMatchObject([
        { lastError: expect.stringContaining("it is not linked with a phone") },
      ]);
    });
    const lost = gateway.logged.filter(({ message }) => message.startsWith("the thread of a channel was lost"));
    expect(JSON.stringify(lost)).toMatch(reason);
    expect(new Set(lost.map(({ fields }) => (fields as { channel?: string }).channel))).toEqual(new Set(["whatsapp"]));
    await ask();
    await gateway.drain(1_000);
    expect(api.violations).toEqual([]);
  },
);

test("the timers that a library leaves behind hold up nobody who waits for the end of its channel", async () => {
  const { libraryDir, hasBegun } = makeFaultyLibrary("setInterval(() => undefined, 1_000_000);");
  const authDir = mkdtempSync(path.join(os.tmpdir(), "cloister-login-"));
  const accounts = { default: { textChunkLimit: 4_000, authDir, libraryDir, readReceipts: false } };
  const nothing = async (): Promise<void> => undefined;
  const { remote, stop } = await startChannelThread(
    { channel: "whatsapp", accounts, stateDir: authDir, menu: [] },
    { receive: async () => "taken", refused: nothing, partSent: nothing, log: nothing, state: nothing },
    () => expect.unreachable(),
  );
  await eventually(() => expect(hasBegun()).toBe(true));
  await remote.close();
  const late = new AbortController();
  const tooLong = delay(limits.threadStopMs, "too long", { signal: late.signal }).catch(() => undefined);
  expect(await Promise.race([stop(), tooLong])).toBeUndefined();
  late.abort();
});

test("no channel misses a heartbeat while an agent spins, and people are answered on all of them", async () => {
  const { api: telegram, ask, account } = await openTelegram();
  const discord = await openDiscordApi();
  onTestFinished(() => discord.close());
  const bot = "DISCORD.TOKEN";
  discord.addBot(bot, { id: "200000000000000001", username: "main" });
  const folder = mkdtempSync(path.join(os.tmpdir(), "cloister-discord-"));
  const heardFile = path.join(folder, "heard.sqlite");
  const config = makeConfig([{ id: "main" }, { id: "busy", ...actor("crasher") }], {
    channels: {
      telegram: { default: account },
      discord: { default: { token: bot, apiRoot: discord.root, textChunkLimit: 2_000, heardFile } },
    },
    channelDefaults: { telegram: "default", discord: "default" },
    groups: groupsOf({
      channels: {
        telegram: { dmPolicy: "open", allowFrom: ["*"], accounts: { default: {} } },
        discord: { accounts: { default: {} } },
      },
    }),
    bindings: [{ index: 0, agentId: "main", match: { channel: "telegram" } }],
  });
  const gateway = await openGateway([], {}, { config, startChannel: startChannelThread });
  await discord.until(() => discord.gateway.sessions(bot) === 1);
  // It has said that it will hold its thread for a minute, and never gives it up.
  const said = await gateway.doors.rpc(operator, "chat.send", { sessionKey: "agent:busy:main", message: "busyloop" });
  expect(said).toMatchObject({ ok: true });
  const isSpinning = (): void =>
    expect(gateway.agents().find(({ agentId }) => agentId === "busy")).toMatchObject({ activeRuns: 1, restarts: 0 });
  await eventually(isSpinning);
  const beats = (): number => discord.gateway.frames.filter(({ op }) => op === 1).length;
  for (let n = 1; n <= 20; n++) {
    const before = beats();
    discord.gateway.tell(bot, { op: 1, d: null, s: null, t: null });
    await discord.until(() => beats() > before);
    if (n % 5 === 0) await ask();
  }
  isSpinning();
  const logins = discord.gateway.frames.filter(({ op }) => op === 2 || op === 6);
  expect(logins, "it has logged in once, and has never lost its session").toHaveLength(1);
  expect([...telegram.violations, ...discord.violations]).toEqual([]);
  await gateway.drain(0);
});
