/** An account of WhatsApp, linked with the phone of the tests' server: what every test of the channel begins with. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { afterAll, expect, onTestFinished } from "vitest";
import type { ChannelHost } from "../../../channels/port.ts";
import { connect, type Connection, makeMemory } from "../../../channels/whatsapp/connection.ts";
import { channel as module } from "../../../channels/whatsapp/index.ts";
import { type KeyData, loadLibrary } from "../../../channels/whatsapp/library.ts";
import { openLogin } from "../../../channels/whatsapp/login.ts";
import type { WhatsAppSettings } from "../../../channels/whatsapp/manifest.ts";
import { eventually } from "../../support/eventually.ts";
import { libraryDir } from "../../support/whatsapp-library.ts";
import { openWhatsApp, type WhatsAppOptions, type WhatsAppServer } from "../../support/whatsapp-socket.ts";
import { type ChannelRig, type OpenChannel, openChannel, type Platform } from "./suite.ts";

/** Goes when the tests of the file have ended. */
export const folder = mkdtempSync(path.join(tmpdir(), "cloister-whatsapp-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
let folders = 0;

type Opened = Pick<OpenChannel, "channel" | "states">;

/** Opens the account and scans its code, as everybody has to once. */
export async function link({ channel, states }: Opened, server: WhatsAppServer): Promise<void> {
  await eventually(() => expect(states.at(-1)).toMatchObject({ type: "failed" }));
  await channel.link("default", true);
  await eventually(() => expect(states.at(-1)).toMatchObject({ type: "linking" }));
  const state = states.at(-1);
  if (state?.type === "linking") await server.scan(state.code.text);
}

export async function openScene(options: WhatsAppOptions = {}) {
  const server = await openWhatsApp(options);
  const ana = server.person("15550001234", "70001", "Ana");
  const family = server.group("120363000000000001@g.us", [ana]);
  const settings: WhatsAppSettings = {
    textChunkLimit: 100_000,
    authDir: path.join(folder, String(++folders)),
    libraryDir,
    readReceipts: true,
    socketUrl: server.url,
  };
  const platform: Platform = {
    async say(text, { inGroup = false, mentions = false, at } = {}) {
      await server.say(ana, text, {
        ...(inGroup ? { group: family } : {}),
        ...(mentions ? { mentions: [server.owner] } : {}),
        ...(at === undefined ? {} : { id: `3A000000000000000${at}` }),
      });
    },
    person: { peer: { kind: "direct", id: "+15550001234" }, senderId: "+15550001234", senderName: "Ana" },
    group: { kind: "group", id: family.id },
    nowhere: { kind: "direct", id: "ana" },
    arrived: () =>
      server.arrived.map(({ place, text }) => ({ place: place === ana.jid ? "+15550001234" : place, text })),
    files: () =>
      server.arrivedFiles.map(({ place, name, content }) => ({
        place: place === ana.jid ? "+15550001234" : place,
        name,
        content: content.toString(),
      })),
    async sayFile(text, { name, content }) {
      const part = { fileName: name, mimetype: "text/plain" };
      await server.say(ana, text, { file: { type: "document", content: Buffer.from(content), part } });
    },
    changes: () => server.changes.map(({ messageId, change }) => ({ messageId, change })),
    lose: async () => server.drop(),
    violations: () => server.violations,
    unconfirmed: () => server.unconfirmed(),
    typed: () => server.typed.length,
    close: () => server.close(),
  };
  const prepare = (opened: Opened): Promise<void> => link(opened, server);
  return { server, ana, family, settings, platform, prepare };
}

type Scene = Awaited<ReturnType<typeof openScene>>;

export const rigOf = (make: () => Promise<Scene>): ChannelRig<WhatsAppSettings> => ({
  module,
  idsOfMessages: true,
  appsKnowRepeats: true,
  open: make,
});

/** Linked, online, with what a test needs of it. */
export async function open(take?: Parameters<typeof openChannel>[1], options: WhatsAppOptions = {}) {
  const scene = await openScene(options);
  return {
    ...scene,
    ...(await openChannel(
      rigOf(async () => scene),
      take,
    )),
  };
}

/** Of an account that is linked already. */
export const noPrepare = async (): Promise<void> => undefined;

const nobody: ChannelHost = {
  accountId: "default",
  menu: [],
  receive: async () => "taken",
  reacted: async () => undefined,
  online: () => undefined,
  linking: () => undefined,
  log: () => undefined,
  nowMs: () => Date.now(),
  pause: (ms, signal) => delay(ms, undefined, { signal }).catch(() => undefined),
};

interface Alone {
  /** Called before keys are kept. */
  readonly beforeKept?: (data: KeyData) => Promise<void>;
  readonly pingMs?: number;
}

/** One connection by itself, over the real library, until the end of the test. */
export async function connectAlone(server: WhatsAppServer, authDir: string, how: Alone): Promise<Connection> {
  const library = await loadLibrary(libraryDir);
  const login = openLogin(authDir, library);
  const { beforeKept = async () => undefined, pingMs: keepAliveIntervalMs } = how;
  const ending = new AbortController();
  const connection = connect({
    library: {
      ...library,
      makeWASocket: (config) =>
        library.makeWASocket(keepAliveIntervalMs === undefined ? config : { ...config, keepAliveIntervalMs }),
    },
    login: {
      ...login,
      keys: { ...login.keys, set: async (data) => beforeKept(data).then(() => login.keys.set(data)) },
    },
    settings: { textChunkLimit: 100_000, authDir, libraryDir, readReceipts: false, socketUrl: server.url },
    host: nobody,
    memory: makeMemory(),
    onCode: () => undefined,
    signal: ending.signal,
  });
  onTestFinished(async () => {
    ending.abort();
    await connection.ended;
    login.close();
  });
  return connection;
}
