/** The webhook with real HTTP against the real program: routing, idempotency, load, order, one agent stuck. */
import { writeFileSync } from "node:fs";
import path from "node:path";
import { afterAll, expect, test } from "vitest";
import { endPrograms, makeStateDir, type Program, startProgram } from "../support/program.ts";
import { siblings } from "../support/siblings.ts";
import { post } from "../support/webhook.ts";

afterAll(endPrograms);

const home = { authorization: "Bearer home-token" };

test("bindings by account and peer work from curl; a repeated request is answered once", async () => {
  const config = siblings({ session: { dmScope: "per-account-channel-peer" } }) as { bindings: object[] };
  config.bindings.push({
    agentId: "raul",
    match: { channel: "webhook", accountId: "home", peer: { kind: "direct", id: "ana" } },
  });
  const program = await startProgram(makeStateDir(config));
  const url = `${program.url}/channels/webhook/home`;
  const say = (peer: string, text: string, headers: Record<string, string> = {}) =>
    post(url, { text, sender: { id: peer }, wait: true }, { ...home, ...headers });

  expect((await say("bob", "who are you")).body).toMatchObject({
    ok: true,
    agentId: "main",
    matchedBy: "binding.account",
    sessionKey: "agent:main:webhook:home:direct:bob",
    reply: expect.stringContaining("I am main"),
  });
  expect((await say("ana", "who are you")).body).toMatchObject({
    agentId: "raul",
    matchedBy: "binding.peer",
    reply: expect.stringContaining("I am raul"),
  });
  expect(
    (
      await post(
        `${program.url}/channels/webhook/raul`,
        { text: "who are you", sender: { id: "x" }, wait: true },
        { authorization: "Bearer raul-token" },
      )
    ).body,
  ).toMatchObject({ agentId: "raul", matchedBy: "binding.account" });

  const key = { "idempotency-key": "once" };
  const first = await say("bob", "remember that once", key);
  const again = await say("bob", "remember that once", key);
  expect(again.body).toMatchObject({ status: "duplicate", runId: first.body.runId, reply: first.body.reply });
  expect((await say("bob", "what do you remember")).body.reply.match(/once/g)).toHaveLength(1);

  expect((await post(url, { text: "hi", sender: { id: "bob" } }, { authorization: "Bearer raul-token" })).status).toBe(
    401,
  );
  expect(
    (await post(`${program.url}/channels/webhook/nobody`, { text: "hi", sender: { id: "bob" } }, home)).status,
  ).toBe(404);
  const malformed = await post(url, "{", home);
  expect([malformed.status, malformed.body.error.code]).toEqual([400, "CLOISTER_REQUEST_INVALID"]);
  expect((await post(url, { text: "x".repeat(2_000_000), sender: { id: "bob" } }, home)).status).toBe(413);
  expect(await program.stop()).toBe(0);
});

test("POST /hooks/agent reaches an agent in a session of its own", async () => {
  const program = await startProgram(
    makeStateDir(siblings({ hooks: { enabled: true, token: "hook-token", allowedAgentIds: ["raul"] } })),
  );
  const send = (body: object, headers = { "x-cloister-token": "hook-token" }) =>
    post(`${program.url}/hooks/agent`, body, headers);
  expect((await send({ message: "who are you", agentId: "raul", waitForCompletion: true })).body).toMatchObject({
    ok: true,
    agentId: "raul",
    sessionKey: expect.stringMatching(/^agent:raul:hook:/),
    reply: expect.stringContaining("I am raul"),
  });
  expect((await send({ message: "hi", agentId: "main" })).status).toBe(403);
  expect((await send({ message: "hi", agentId: "raul", sessionKey: "agent:raul:main" })).status).toBe(403);
  expect((await send({ message: "hi" }, { "x-cloister-token": "wrong" })).status).toBe(401);
  expect(await program.stop()).toBe(0);
});

test("main asks raul for 1,000 concurrent requests of 50 peers: all answered once, in each peer's order", async () => {
  const stateDir = makeStateDir(
    siblings({
      session: { dmScope: "per-peer" },
      agents: {
        list: [
          { id: "main", module: "./front.ts" },
          { id: "raul", module: "echo" },
        ],
      },
    }),
  );
  // Numbers what it is asked in its own session before it asks raul: the number shows the order in which turns ran.
  writeFileSync(
    path.join(stateDir, "front.ts"),
    `import { defineActor } from "cloister";
     export default defineActor({
       state: () => ({ count: 0 }),
       async message(ctx, message) {
         const number = ctx.state.count++;
         const answer = await ctx.request("raul", message.text, { timeoutMs: 120_000 });
         ctx.reply(number + "|" + answer.text);
       },
     });`,
  );
  const program = await startProgram(stateDir);
  const peers = Array.from({ length: 50 }, (_, n) => `peer-${n}`);
  const answers = await Promise.all(
    peers.map(async (peer) => {
      // Sent one after the other without waiting for answers: the connection of a peer keeps its order.
      const pending: Promise<{ readonly body: { readonly status: string; readonly reply: string } }>[] = [];
      for (let n = 0; n < 20; n++) {
        const accepted = post(
          `${program.url}/channels/webhook/home`,
          { text: `${peer}/${n}`, sender: { id: peer }, messageId: `m${n}`, wait: false },
          home,
        );
        pending.push(
          accepted.then(() =>
            post(
              `${program.url}/channels/webhook/home`,
              { text: `${peer}/${n}`, sender: { id: peer }, messageId: `m${n}`, wait: true, timeoutSeconds: 100 },
              home,
            ),
          ),
        );
        await accepted;
      }
      return (await Promise.all(pending)).map(({ body }) => body);
    }),
  );
  for (const [index, bodies] of answers.entries()) {
    expect(bodies.map(({ reply }) => reply)).toEqual(Array.from({ length: 20 }, (_, n) => `${n}|${peers[index]}/${n}`));
    // The second request of a message is recognised as the same one: it waits for the first one's answer.
    expect(new Set(bodies.map(({ status }) => status))).toEqual(new Set(["duplicate"]));
  }
  expect(await program.stop()).toBe(0);
});

test("with one agent in while(true){} the other answers; the busy one is replaced", async () => {
  const stateDir = makeStateDir(siblings({ agents: { list: [{ id: "main", module: "./spin.ts" }, { id: "raul" }] } }));
  writeFileSync(
    path.join(stateDir, "spin.ts"),
    `import { defineActor } from "cloister";
     export default defineActor({
       message(ctx, message) {
         if (message.text === "spin" && message.attempt === 1) for (;;);
         ctx.reply("attempt " + message.attempt);
       },
     });`,
  );
  const program = await startProgram(stateDir);
  const raul = () =>
    post(
      `${program.url}/channels/webhook/raul`,
      { text: "who are you", sender: { id: "x" }, wait: true },
      { authorization: "Bearer raul-token" },
    );
  await raul();
  const spinning = post(
    `${program.url}/channels/webhook/home`,
    { text: "spin", sender: { id: "x" }, wait: true },
    home,
  );
  const progress = { isDone: false };
  void spinning.then(() => (progress.isDone = true));
  let answered = 0;
  while (!progress.isDone) {
    expect((await raul()).body.reply).toContain("I am raul");
    answered++;
  }
  expect(answered).toBeGreaterThan(5);
  expect((await spinning).body.reply).toBe("attempt 2");
  expect(await program.stop()).toBe(0);
});

async function health(program: Program): Promise<number> {
  return (await fetch(`${program.url}/healthz`)).status;
}

test("answers leave through the account's outbound URL when nobody waits, once, and after a restart too", async () => {
  const http = await import("node:http");
  const got: { key: string | undefined; body: { text: string; peer: { id: string } } }[] = [];
  let broken = true;
  const server = http.createServer((request, response) => {
    let text = "";
    request.on("data", (chunk: Buffer) => (text += String(chunk)));
    request.on("end", () => {
      if (broken) {
        response.writeHead(503, { "retry-after": "0" }).end();
        return;
      }
      got.push({ key: request.headers["idempotency-key"] as string | undefined, body: JSON.parse(text) });
      response.writeHead(200).end("{}");
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as { port: number };
  const stateDir = makeStateDir(
    siblings({
      channels: {
        webhook: { accounts: { home: { token: "home-token", outboundUrl: `http://127.0.0.1:${port}/in` } } },
      },
      bindings: [{ agentId: "main", match: { channel: "webhook", accountId: "home" } }],
    }),
  );
  const program = await startProgram(stateDir);
  broken = false;
  const accepted = await post(
    `${program.url}/channels/webhook/home`,
    { text: "who are you", sender: { id: "bob" } },
    home,
  );
  expect(accepted.body).toMatchObject({ status: "accepted" });
  await expect.poll(() => got.length).toBe(1);
  expect(got[0]).toMatchObject({
    key: expect.any(String),
    body: { text: expect.stringContaining("I am main"), peer: { id: "bob" } },
  });
  expect(await health(program)).toBe(200);
  expect(await program.stop()).toBe(0);
  const again = await startProgram(stateDir);
  await post(`${again.url}/channels/webhook/home`, { text: "what time is it", sender: { id: "bob" } }, home);
  await expect.poll(() => got.length).toBe(2);
  expect(got[1]?.key).not.toBe(got[0]?.key);
  expect(await again.stop()).toBe(0);
  server.close();
});
