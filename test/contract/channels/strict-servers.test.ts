/** The servers that stand for platforms: a client that leaves out what its platform wants is found. */
import { once } from "node:events";
import path from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { type ClientOptions, WebSocket } from "ws";
import { openBotApi } from "../../support/bot-api.ts";
import { openDiscordApi } from "../../support/discord-api.ts";
import { eventually } from "../../support/eventually.ts";
import { appToken, botToken, makeSaid, openSlackApi } from "../../support/slack-api.ts";
import { openWhatsApp } from "../../support/whatsapp-socket.ts";
import { connectAlone, folder } from "./whatsapp-rig.ts";

function connect(url: string, options?: ClientOptions): WebSocket {
  const socket = new WebSocket(url, options);
  onTestFinished(() => socket.terminate());
  return socket;
}

test("Discord ends a connection on which no heartbeats come", async () => {
  const api = await openDiscordApi();
  onTestFinished(() => api.close());
  api.gateway.paceNext(10, 50);
  const socket = connect(`${api.root.replace(/^http/, "ws").replace(/\/api$/, "")}/gateway?v=10&encoding=json`);
  const [code] = await once(socket, "close");
  expect(code).toBe(4_009);
  expect(api.violations).toEqual(["gateway: no heartbeat for 50 ms, and one was wanted every 10"]);
});

test("Slack wants its pings answered, and acknowledgements of what it has offered alone", async () => {
  const api = await openSlackApi();
  onTestFinished(() => api.close());
  const answer = await fetch(`${api.root}/apps.connections.open`, {
    method: "POST",
    headers: { authorization: `Bearer ${appToken}` },
  });
  const { url } = (await answer.json()) as { url: string };
  const socket = connect(url, { autoPong: false });
  const offers: string[] = [];
  socket.on("message", (data: Buffer) => {
    const { envelope_id: id } = JSON.parse(data.toString("utf8")) as { envelope_id?: string };
    if (id !== undefined) offers.push(id);
  });
  await once(socket, "open");
  api.say(makeSaid({ text: "hello" }));
  await eventually(() => expect(offers).toHaveLength(1));
  socket.send(JSON.stringify({ envelope_id: offers[0] }));
  await eventually(() => expect(api.violations).toEqual(["a ping was not answered before what came after it"]));
  socket.pong();
  socket.send(JSON.stringify({ envelope_id: offers[0] }));
  await eventually(() =>
    expect(api.violations.slice(1)).toEqual([expect.stringMatching(/^acknowledged what was not offered/)]),
  );
});

test("WhatsApp ends a connection on which no pings come, also of a device that is not linked yet", async () => {
  const server = await openWhatsApp({ keepAlive: { everyMs: 10, withinMs: 50 } });
  onTestFinished(() => server.close());
  const client = await connectAlone(server, path.join(folder, "pingless"), { pingMs: 1_000_000 });
  expect(await client.ended).toMatchObject({ reason: "Connection Terminated" });
  expect(server.violations).toEqual(["no ping for 50 ms, and one was wanted every 10"]);
});

test.each([
  ["a parameter", "sendMessage", { chat_id: 1, text: "x", parse: "HTML" }, /Unrecognized key: "parse"/],
  ["a parameter that is missing", "sendMessage", { chat_id: 1 }, /at text/],
  [
    "a field of a reply",
    "sendMessage",
    { chat_id: 1, text: "x", reply_parameters: { message_id: 1, quote_: 1 } },
    /quote_/,
  ],
  [
    "the data of a button, of more than 64 bytes",
    "sendMessage",
    { chat_id: 1, text: "x", reply_markup: { inline_keyboard: [[{ text: "yes", callback_data: "ä".repeat(33) }]] } },
    /callback_data/,
  ],
  [
    "a kind of entity",
    "editMessageText",
    { chat_id: 1, message_id: 2, text: "x", entities: [{ type: "big", offset: 0, length: 1 }] },
    /entities/,
  ],
  ["a reaction", "setMessageReaction", { chat_id: 1, message_id: 2, reaction: ["x"] }, /reaction/],
])("Telegram knows each parameter and what is in it: %s", async (_what, method, given, found) => {
  const api = await openBotApi();
  onTestFinished(() => api.close());
  api.addBot("t", "helper_bot");
  await fetch(`${api.root}/bott/${method}`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(given),
  });
  expect(api.violations).toEqual([expect.stringMatching(found)]);
});

const yes = { type: "button", action_id: "say-0", text: { type: "plain_text", text: "Yes" }, value: "/yes" };
const row = (...elements: readonly object[]) => ({ fallback: "Yes", blocks: [{ type: "actions", elements }] });
const post = { channel: "D42", text: "sure?" };

test.each([
  ["a parameter", "chat.postMessage", { ...post, parse: "full" }, /Unrecognized key: "parse"/],
  ["a parameter that is missing", "chat.postMessage", { channel: "D42" }, /at text/],
  ["a text that is not escaped", "chat.postMessage", { ...post, text: "<!channel> look" }, /not escaped/],
  ["a thread that is no time", "chat.postMessage", { ...post, thread_ts: "first" }, /at thread_ts/],
  ["what is no JSON", "chat.postMessage", { ...post, attachments: "[" }, /no JSON[^]*at attachments/],
  ["attachments that are no list", "chat.postMessage", { ...post, attachments: row(yes) }, /at attachments/],
  ["a field of an attachment", "chat.postMessage", { ...post, attachments: [{ ...row(yes), txt: "x" }] }, /"txt"/],
  ["an attachment without blocks", "chat.postMessage", { ...post, attachments: [{ fallback: "Yes" }] }, /\.blocks/],
  ["a row without buttons", "chat.postMessage", { ...post, attachments: [row()] }, /elements/],
  ["a field of a button", "chat.postMessage", { ...post, attachments: [row({ ...yes, color: "red" })] }, /"color"/],
  [
    "a label as it stands",
    "chat.update",
    { ...post, ts: "1.1", attachments: [row({ ...yes, text: "Yes" })] },
    /elements\[0\]\.text/,
  ],
  [
    "a label of more than 75 characters",
    "chat.postMessage",
    { ...post, attachments: [row({ ...yes, text: { type: "plain_text", text: "y".repeat(76) } })] },
    /elements\[0\]\.text\.text/,
  ],
  ["two buttons of one name", "chat.postMessage", { ...post, attachments: [row(yes, yes)] }, /the same action_id/],
  ["a change that leaves the buttons", "chat.update", { ...post, ts: "1.1" }, /at attachments/],
  ["blocks beside the text", "chat.postMessage", { ...post, blocks: row(yes).blocks }, /"blocks"/],
  ["a reaction with colons", "reactions.add", { channel: "D42", timestamp: "1.1", name: ":eyes:" }, /at name/],
])("Slack knows each parameter and what is in it: %s", async (_what, method, given, found) => {
  const api = await openSlackApi();
  onTestFinished(() => api.close());
  const asText = (value: unknown): string => (typeof value === "string" ? value : JSON.stringify(value));
  await fetch(`${api.root}/${method}`, {
    method: "POST",
    headers: { authorization: `Bearer ${botToken}` },
    body: new URLSearchParams(Object.entries(given).map(([name, value]) => [name, asText(value)])),
  });
  expect(api.violations).toEqual([expect.stringMatching(found)]);
});
