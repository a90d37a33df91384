/** Slack that calls the real program, from its configuration to the answer: what Slack has signed is heard, and nothing else is. */
import { afterAll, afterEach, expect, test } from "vitest";
import { eventually } from "../support/eventually.ts";
import { endPrograms, makeStateDir, startProgram } from "../support/program.ts";
import { botToken, callback, makeSaid, openSlackApi, signCall, type SlackApi } from "../support/slack-api.ts";
import { post } from "../support/webhook.ts";

afterAll(endPrograms);
const opened: SlackApi[] = [];
afterEach(async () => {
  await Promise.all(opened.splice(0).map((api) => api.close()));
});

const signingSecret = "8f742231b10e8888abcd99yyyzzz85a5";

test("what Slack signs is answered; another signature, an old one and none are refused, and a recorded call is handled once", async () => {
  const api = await openSlackApi({ signingSecret });
  opened.push(api);
  const program = await startProgram(
    makeStateDir({
      gateway: { auth: { mode: "none" } },
      agents: { list: [{ id: "main", module: "echo" }] },
      channels: {
        slack: { mode: "http", botToken, signingSecret, apiRoot: api.root, dmPolicy: "open", allowFrom: ["*"] },
      },
      bindings: [{ agentId: "main", match: { channel: "slack" } }],
    }),
  );
  const texts = (): readonly (string | undefined)[] => api.posts().map(({ text }) => text);
  const call = (body: string, headers: Readonly<Record<string, string>>) =>
    post(`${program.url}/channels/slack/default`, body, headers);

  // Slack asks whether somebody is there before it takes the address.
  const question = JSON.stringify({ type: "url_verification", challenge: "are you there", token: "legacy" });
  await eventually(async () =>
    expect(await call(question, signCall(question, Date.now(), signingSecret))).toMatchObject({
      status: 200,
      body: { challenge: "are you there" },
    }),
  );

  // Until the account is connected a call is not taken, and made again.
  api.leadTo(program.url);
  api.say(makeSaid({ text: "by event" }));
  await eventually(() => expect(texts()).toEqual(["by event"]));
  const by = { user_id: "U43", user_name: "ben", team_id: "T1" };
  api.offer("slash_commands", {
    ...by,
    channel_id: "D43",
    command: "/cloister",
    text: "by command",
    trigger_id: "1.9",
  });
  await eventually(() => expect(texts()).toHaveLength(2));
  await eventually(() => expect(api.unconfirmed()).toBe(0));

  const said = JSON.stringify(callback(makeSaid({ text: "recorded" })));
  const signed = signCall(said, Date.now(), signingSecret);
  const refused = [
    signCall(said, Date.now(), "0123456789abcdef0123456789abcdef"),
    signCall(said, Date.now() - 301_000, signingSecret),
    signCall(`${said} `, Date.now(), signingSecret),
    // The time of a call is signed with it: a recorded one is not made new by another.
    {
      ...signCall(said, Date.now() - 301_000, signingSecret),
      "x-slack-request-timestamp": String(Date.now()).slice(0, -3),
    },
    {},
  ];
  for (const headers of refused)
    expect(await call(said, headers)).toMatchObject({
      status: 401,
      body: { error: { code: "CLOISTER_EDGE_UNAUTHENTICATED" } },
    });
  for (let n = 0; n < 2; n++) expect((await call(said, signed)).status).toBe(200);
  // Behind it in the same chat: what a second handling would say has been said by then.
  api.say(makeSaid({ text: "the end" }));
  await eventually(() => expect(texts().at(-1)).toBe("the end"));
  expect(texts().slice(2)).toEqual(["recorded", "the end"]);
  expect(api.violations).toEqual([]);
  expect(await program.stop()).toBe(0);
});
