/** Groups over real HTTP against the real program: a room of two agents, and two bots that answer each other. */
import { writeFileSync } from "node:fs";
import http from "node:http";
import path from "node:path";
import { afterAll, expect, test } from "vitest";
import { endPrograms, makeStateDir, startProgram } from "../support/program.ts";
import { siblings } from "../support/siblings.ts";
import { post } from "../support/webhook.ts";

afterAll(endPrograms);

const home = { authorization: "Bearer home-token" };

function actor(stateDir: string, id: string, answer: string): void {
  writeFileSync(
    path.join(stateDir, `${id}.ts`),
    `import { defineActor } from "cloister";
     export default defineActor({ message(ctx, { text }) { ctx.reply(${answer}); } });`,
  );
}

const agents = { list: ["main", "raul"].map((id) => ({ id, module: `./${id}.ts` })) };

test("A13.1, A13.2: agents that name each other stop at the room's turns, and have heard each other once", async () => {
  const stateDir = makeStateDir(
    siblings({
      agents,
      channels: {
        webhook: { groups: { room: { requireMention: false } }, accounts: { home: { token: "home-token" } } },
      },
      bindings: [{ agentId: "main", match: { channel: "webhook", accountId: "home" } }],
      broadcast: { "webhook:room": { agents: ["main", "raul"], maxRounds: 4, maxTurns: 3 } },
    }),
  );
  actor(stateDir, "main", '"@raul you " + text.length');
  actor(stateDir, "raul", 'text.includes("repeat") ? text : "@main you " + text.length');
  const program = await startProgram(stateDir);
  const say = (text: string, more: object = {}) =>
    post(
      `${program.url}/channels/webhook/home`,
      { text, peer: { kind: "group", id: "room" }, sender: { id: "ana" }, wait: true, ...more },
      home,
    );

  const { body } = await say("@main begin", { messageId: "m1" });
  expect(body).toMatchObject({
    ok: true,
    status: "accepted",
    matchedBy: "broadcast",
    runs: [{ agentId: "main", sessionKey: "agent:main:webhook:group:room" }],
  });
  const turns = String(body.reply).split("\n\n");
  expect(turns.map((turn) => turn.split(":")[0])).toEqual(["main", "raul", "main"]);
  // The last reply names raul, who has no turn left: with the next message he is told, and the first one not again.
  const heard = String((await say("@raul repeat", { messageId: "m2" })).body.reply);
  expect(heard.split(`${turns[2]?.replace("main:", "main (agent):")}\n`)).toHaveLength(2);
  expect(heard).not.toContain(`${turns[0]?.replace("main:", "main (agent):")}\n`);
  expect((await say("@main begin", { messageId: "m1", wait: false })).body).toMatchObject({ status: "duplicate" });

  const outside = await post(
    `${program.url}/channels/webhook/home`,
    { text: "hi", peer: { kind: "group", id: "elsewhere" }, sender: { id: "ana" } },
    home,
  );
  expect([outside.status, outside.body]).toEqual([
    200,
    expect.objectContaining({ ok: true, status: "dropped", rule: "channels.webhook.groups" }),
  ]);
  expect(await program.stop()).toBe(0);
});

test("two bots whose answers come back to each other stop after the budget of their pair", async () => {
  // A platform that shows every message of a bot to the other one, as the other's message.
  let url = "";
  let delivered = 0;
  const others: Readonly<Record<string, string>> = { home: "raul", raul: "home" };
  const statuses: string[] = [];
  const platform = http.createServer((request, response) => {
    let text = "";
    request.on("data", (chunk: Buffer) => (text += String(chunk)));
    request.on("end", () => {
      const { accountId, text: said, idempotencyKey } = JSON.parse(text);
      delivered += 1;
      response.writeHead(200).end("{}");
      const other = others[accountId] ?? "";
      void post(
        `${url}/channels/webhook/${other}`,
        {
          text: said,
          peer: { kind: "group", id: "room" },
          sender: { id: `bot-${accountId}`, isBot: true },
          selfId: `bot-${other}`,
          wasMentioned: true,
          messageId: idempotencyKey,
        },
        { authorization: `Bearer ${other}-token` },
      ).then(({ body }) => statuses.push(body.status));
    });
  });
  await new Promise<void>((resolve) => platform.listen(0, "127.0.0.1", resolve));
  const outboundUrl = `http://127.0.0.1:${(platform.address() as { port: number }).port}/`;
  const stateDir = makeStateDir(
    siblings({
      agents,
      channels: {
        webhook: {
          groups: { room: {} },
          allowBots: "mentions",
          botLoopProtection: { maxEventsPerWindow: 6, windowSeconds: 3600, cooldownSeconds: 3600 },
          accounts: { home: { token: "home-token", outboundUrl }, raul: { token: "raul-token", outboundUrl } },
        },
      },
    }),
  );
  actor(stateDir, "main", '"and you?"');
  actor(stateDir, "raul", '"and you?"');
  const program = await startProgram(stateDir);
  url = program.url;
  await post(
    `${url}/channels/webhook/home`,
    { text: "go", peer: { kind: "group", id: "room" }, sender: { id: "ana" }, wasMentioned: true },
    home,
  );
  await expect.poll(() => statuses.length).toBe(7);
  expect(statuses).toEqual([...Array<string>(6).fill("accepted"), "dropped"]);
  // The person's message and six of the bots were answered; nothing is on its way any more.
  expect(delivered).toBe(7);
  expect(await program.stop()).toBe(0);
  platform.close();
});
