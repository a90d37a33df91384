/** Platforms that call the gateway: by the address and the secret of their account, and by nothing else. */
import { expect, test } from "vitest";
import type { PlatformDoor } from "../../runtime/edge/platform-door.ts";
import { failure } from "../../runtime/kernel/errors.ts";
import { limits } from "../../runtime/kernel/limits.ts";
import { signCall } from "../support/slack-api.ts";
import { ask, openEdge, postJson } from "./edge-kit.ts";

const header = "x-telegram-bot-api-secret-token";
const door = (accountId: string, secret: string): PlatformDoor => ({
  channel: "telegram",
  accountId,
  proof: { type: "secret", header, secret },
});
const platforms = [door("default", "first-secret"), door("work", "second-secret")];
const update = { update_id: 1, message: { text: "hello" } };

test("what a platform says goes to its channel and account, and 200 comes when it is stored", async () => {
  const { port, kernel } = await openEdge({ settings: { platforms } });
  const stored = Promise.withResolvers<undefined>();
  kernel.answers.platformCalled = () => stored.promise;
  const answer = postJson(port, "/channels/telegram/work", { [header]: "second-secret" }, update);
  let isAnswered = false;
  void answer.then(() => (isAnswered = true));
  await expect.poll(() => kernel.calls).toEqual([{ method: "platformCalled", args: ["telegram", "work", update] }]);
  expect(isAnswered).toBe(false);
  stored.resolve(undefined);
  expect((await answer).status).toBe(200);
});

test("what is not stored is told with another status, so that the platform calls again", async () => {
  const { port, kernel } = await openEdge({ settings: { platforms } });
  kernel.answers.platformCalled = () => Promise.reject(failure("CLOISTER_CHANNEL_OFFLINE", "not connected yet"));
  const answer = await postJson(port, "/channels/telegram/default", { [header]: "first-secret" }, update);
  expect(answer).toMatchObject({ status: 503, json: { error: { code: "CLOISTER_CHANNEL_OFFLINE" } } });
});

test("another account's secret, none, and one in the address open nothing", async () => {
  const { port, kernel } = await openEdge({ settings: { platforms } });
  const path = "/channels/telegram/default";
  expect((await postJson(port, path, { [header]: "second-secret" }, update)).status).toBe(401);
  expect((await postJson(port, path, {}, update)).status).toBe(401);
  expect((await postJson(port, `${path}?token=first-secret`, {}, update)).status).toBe(400);
  expect((await postJson(port, "/channels/telegram/other", { [header]: "first-secret" }, update)).status).toBe(404);
  expect(kernel.calls).toEqual([]);
});

test("an account that is not called has no address", async () => {
  const { port } = await openEdge();
  expect((await postJson(port, "/channels/telegram/default", { [header]: "first-secret" }, update)).status).toBe(404);
});

const signing = { version: "v0", secret: "8f742231b10e8888abcd99yyyzzz85a5" };
const signed: PlatformDoor = {
  channel: "slack",
  accountId: "default",
  proof: { type: "signature", header: "x-slack-signature", timeHeader: "x-slack-request-timestamp", ...signing },
};
const said = JSON.stringify({ type: "url_verification", challenge: "c" });

const sign = (body: string, atMs: number, secret = signing.secret): Record<string, string> => ({
  ...signCall(body, atMs, secret),
  "content-type": "application/json",
});

test("a signed call goes to its account, and what the account wants to say is the answer", async () => {
  const { port, kernel, clock } = await openEdge({ settings: { platforms: [signed] } });
  kernel.answers.platformCalled = async () => ({ challenge: "c" });
  const answer = await ask(port, "POST", "/channels/slack/default", sign(said, clock.ms), said);
  expect(answer).toMatchObject({ status: 200, json: { challenge: "c" } });
  expect(kernel.calls).toEqual([{ method: "platformCalled", args: ["slack", "default", JSON.parse(said)] }]);
});

test("a signed form is an object of its texts, and an answer that nobody wants is empty", async () => {
  const { port, kernel, clock } = await openEdge({ settings: { platforms: [signed] } });
  const form = "command=%2Fask&text=what+is+new&user_id=U1";
  const headers = { ...sign(form, clock.ms), "content-type": "application/x-www-form-urlencoded" };
  expect(await ask(port, "POST", "/channels/slack/default", headers, form)).toMatchObject({ status: 200, text: "" });
  expect(kernel.calls).toEqual([
    { method: "platformCalled", args: ["slack", "default", { command: "/ask", text: "what is new", user_id: "U1" }] },
  ]);
});

test("a call that is signed with another secret, changed on its way, recorded or not signed opens nothing", async () => {
  const { port, kernel, clock } = await openEdge({ settings: { platforms: [signed] } });
  const call = async (headers: Record<string, string>, body = said) =>
    (await ask(port, "POST", "/channels/slack/default", headers, body)).status;
  expect(await call(sign(said, clock.ms, "another"))).toBe(401);
  expect(await call(sign(said, clock.ms), `${said} `)).toBe(401);
  expect(await call(sign(said, clock.ms - limits.signedCallMs - 1_000))).toBe(401);
  expect(await call(sign(said, clock.ms + limits.signedCallMs + 2_000))).toBe(401);
  expect(await call({ "content-type": "application/json" })).toBe(401);
  expect(kernel.calls).toEqual([]);
  expect(await call(sign(said, clock.ms))).toBe(200);
});

test("wrong signatures lock the address out, as wrong tokens do", async () => {
  const { port, clock } = await openEdge({ settings: { platforms: [signed] } });
  const call = (secret: string) => ask(port, "POST", "/channels/slack/default", sign(said, clock.ms, secret), said);
  for (let n = 0; n < 20; n++) expect((await call("another")).status).toBe(401);
  expect((await call(signing.secret)).status).toBe(429);
});
