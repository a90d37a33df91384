/**
 * WhatsApp for the real program: the library that it loads is the tests' own copy, which takes a server of the tests for WhatsApp. All else of it,
 * and the check of the server's certificate, is as it is.
 */
import { copyFileSync, mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import path from "node:path";
import { channel } from "../../channels/whatsapp/index.ts";
import { library } from "../../channels/whatsapp/manifest.ts";
import { serveAccounts } from "../../runtime/channels/accounts.ts";
import { makeChannelClock } from "../../runtime/supervisor/channels/channel-life.ts";
import { libraryDir, loadTestLibrary } from "./whatsapp-library.ts";
import type { WhatsAppServer } from "./whatsapp-socket.ts";

/** What an account of `channels.whatsapp` has of it, in a folder of its own that is there. */
export interface ProgramAccount {
  readonly libraryDir: string;
  readonly authDir: string;
}

/** An account that is linked already. */
export async function linkForProgram(server: WhatsAppServer, folder: string): Promise<ProgramAccount> {
  const account = await prepareForProgram(server, folder);
  await linkAccount(server, account.authDir);
  return account;
}

/** One that nobody has linked. */
export async function prepareForProgram(server: WhatsAppServer, folder: string): Promise<ProgramAccount> {
  await makeLibrary(server, folder);
  return { libraryDir: folder, authDir: path.join(folder, "login") };
}

async function linkAccount(server: WhatsAppServer, authDir: string): Promise<void> {
  const { promise: linked, resolve } = Promise.withResolvers<void>();
  const account = { textChunkLimit: 4_000, authDir, libraryDir, readReceipts: false, socketUrl: server.url };
  let isAsked = false;
  const served = serveAccounts(
    channel,
    { default: account },
    {
      receive: async () => "dropped",
      refused: async () => undefined,
      partSent: async () => undefined,
      log: async () => undefined,
      async state(accountId, state) {
        if (state.type === "failed" && !isAsked) {
          isAsked = true;
          await served.link(accountId, true);
        }
        if (state.type === "linking") await server.scan(state.code.text);
        if (state.type === "online") resolve();
      },
    },
    makeChannelClock(Date.now),
  );
  await linked;
  await served.close();
}

async function makeLibrary(server: WhatsAppServer, folder: string): Promise<void> {
  const { WA_CERT_DETAILS } = await loadTestLibrary();
  const modules = path.join(folder, "node_modules");
  const real = path.join(libraryDir, "node_modules");
  const own = path.join(modules, library.name);
  mkdirSync(path.join(own, "lib"), { recursive: true });
  symlinkSync(path.join(real, "libsignal"), path.join(modules, "libsignal"));
  copyFileSync(path.join(real, library.name, "package.json"), path.join(own, "package.json"));
  const entry = JSON.stringify(path.join(real, library.name, "lib", "index.js"));
  const root = JSON.stringify(Buffer.from(WA_CERT_DETAILS.PUBLIC_KEY).toString("hex"));
  const lines = [
    `import { makeWASocket as make, WA_CERT_DETAILS } from ${entry};`,
    `WA_CERT_DETAILS.PUBLIC_KEY = Buffer.from(${root}, "hex");`,
    `export * from ${entry};`,
    `export const makeWASocket = (config) => make({ ...config, waWebSocketUrl: ${JSON.stringify(server.url)} });`,
  ];
  writeFileSync(path.join(own, "lib", "index.js"), `${lines.join("\n")}\n`);
}
