/** Platforms that call the gateway: by the address and the secret of their account, and by nothing else. */
import { expect, test } from "vitest";
import { failure } from "../../runtime/kernel/errors.ts";
import { openEdge, postJson } from "./edge-kit.ts";

const header = "x-telegram-bot-api-secret-token";
const door = (accountId: string, secret: string) => ({ channel: "telegram", accountId, header, secret });
const platforms = [door("default", "first-secret"), door("work", "second-secret")];
const update = { update_id: 1, message: { text: "hello" } };

test("what a platform says goes to its channel and account, and 200 comes when it is stored", async () => {
  const { port, kernel } = await openEdge({ settings: { platforms } });
  const stored = Promise.withResolvers<void>();
  kernel.answers.platformCalled = () => stored.promise;
  const answer = postJson(port, "/channels/telegram/work", { [header]: "second-secret" }, update);
  let isAnswered = false;
  void answer.then(() => (isAnswered = true));
  await expect.poll(() => kernel.calls).toEqual([{ method: "platformCalled", args: ["telegram", "work", update] }]);
  expect(isAnswered).toBe(false);
  stored.resolve();
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
