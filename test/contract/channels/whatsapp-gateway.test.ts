/**
 * A gateway with WhatsApp beside Telegram: linked by an operator, from what somebody writes to the answer. WhatsApp's adapter runs in the thread of the
 * test, which alone trusts the root of the test's server.
 */
import { mkdtemp } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { afterEach, expect, test } from "vitest";
import { channel as whatsapp } from "../../../channels/whatsapp/index.ts";
import type { WhatsAppSettings } from "../../../channels/whatsapp/manifest.ts";
import { serveAccounts } from "../../../runtime/channels/accounts.ts";
import type { Client } from "../../../runtime/edge/port.ts";
import { makeChannelClock, type StartChannel } from "../../../runtime/supervisor/channels/channel-life.ts";
import { startChannelThread } from "../../../runtime/supervisor/channels/start-channel.ts";
import { makeMessage, openBotApi } from "../../support/bot-api.ts";
import { eventually } from "../../support/eventually.ts";
import { groupsOf, makeConfig, openGateway } from "../../support/gateway.ts";
import { libraryDir } from "../../support/whatsapp-library.ts";
import { openWhatsApp } from "../../support/whatsapp-socket.ts";

const operator: Client = { connId: "c", clientId: "cli", mode: "cli", scopes: ["operator.admin"] };
const token = "1:A";
const opened: { close(): Promise<unknown> }[] = [];
afterEach(async () => {
  await Promise.all(opened.splice(0).map((one) => one.close()));
});

const startHere: StartChannel = async (init, handlers, onLost) => {
  if (init.channel !== "whatsapp") return startChannelThread(init, handlers, onLost);
  const accounts = init.accounts as Readonly<Record<string, WhatsAppSettings>>;
  const remote = serveAccounts(whatsapp, accounts, handlers, makeChannelClock(Date.now), init.menu);
  return { remote, stop: async () => undefined };
};

/** As seed 002 has it: WhatsApp for every day, Telegram for work. */
async function open() {
  const server = await openWhatsApp();
  const api = await openBotApi();
  opened.push(server, api);
  api.addBot(token, "opus_bot");
  const account: WhatsAppSettings = {
    textChunkLimit: 4_000,
    authDir: await mkdtemp(path.join(os.tmpdir(), "whatsapp-login-")),
    libraryDir,
    readReceipts: true,
    socketUrl: server.url,
  };
  const config = makeConfig([{ id: "chat" }, { id: "opus" }], {
    channels: {
      whatsapp: { default: account },
      telegram: { default: { botToken: token, apiRoot: api.root, textChunkLimit: 4_000 } },
    },
    channelDefaults: { whatsapp: "default", telegram: "default" },
    groups: groupsOf({
      channels: {
        whatsapp: { dmPolicy: "pairing", accounts: { default: {} } },
        telegram: { dmPolicy: "open", allowFrom: ["*"], accounts: { default: {} } },
      },
    }),
    bindings: [
      { index: 0, agentId: "chat", match: { channel: "whatsapp" } },
      { index: 1, agentId: "opus", match: { channel: "telegram" } },
    ],
  });
  const gateway = await openGateway([], {}, { config, startChannel: startHere });
  const rpc = async (method: string, params: object): Promise<Record<string, unknown>> => {
    const result = await gateway.doors.rpc(operator, method, params);
    if (!result.ok) throw new Error(result.refusal.message);
    return result.payload as Record<string, unknown>;
  };
  const login = (begin: boolean) => rpc("channels.login", { channel: "whatsapp", begin });
  await eventually(async () => expect(await login(false)).toMatchObject({ status: "failed" }));
  await login(true);
  await eventually(async () => expect(await login(false)).toMatchObject({ status: "code" }));
  const { code } = await login(false);
  await server.scan((code as { readonly text: string }).text);
  await eventually(async () => expect(await login(false)).toMatchObject({ status: "linked" }));
  return { server, api, gateway, rpc };
}

test("an agent for each channel, and DM approval on WhatsApp: a stranger gets a code, an operator approves it, and then the agent answers", async () => {
  const { server, api, gateway, rpc } = await open();
  const ana = server.person("15550001234", "70001", "Ana");
  await server.say(ana, "who are you");
  await eventually(() => expect(server.arrived).toHaveLength(1));
  const [, code] = /Code: ([A-Z2-9]{8})/.exec(server.arrived[0]?.text ?? "") ?? [];
  await server.say(ana, "are you there");
  await eventually(() => expect(server.unconfirmed()).toBe(0));
  await rpc("channels.pairing.approve", { code });
  await server.say(ana, "who are you");
  api.push(token, { message: makeMessage({ text: "who are you" }) });
  await eventually(() =>
    expect(server.arrived.map(({ text }) => text).slice(1)).toEqual([expect.stringContaining("I am chat")]),
  );
  await eventually(() =>
    expect(api.sent(token)).toMatchObject([{ chat: 42, text: expect.stringContaining("I am opus") }]),
  );
  await eventually(() => expect(server.unconfirmed()).toBe(0));
  await gateway.drain(1_000);
  expect(server.arrived).toHaveLength(2);
  expect([...server.violations, ...api.violations]).toEqual([]);
});
