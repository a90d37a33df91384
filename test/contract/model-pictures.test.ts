/** Pictures on their way to each provider, through its real package, against a server that speaks its wire format. */
import { mkdirSync, mkdtempSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { describe, expect, test } from "vitest";
import type { ModelMessage } from "../../runtime/thread/model-port.ts";
import { openBroker, provider } from "../support/broker.ts";
import { openModelServer, type Reply, type WireApi, wireApis } from "../support/model-servers.ts";
import { jpeg, png } from "../support/pictures.ts";

async function open(api: WireApi, replies: readonly Reply[], input?: readonly string[]) {
  const server = await openModelServer(api, replies);
  const workspace = mkdtempSync(path.join(os.tmpdir(), "cloister-pictures-"));
  mkdirSync(path.join(workspace, "inbox"));
  writeFileSync(path.join(workspace, "inbox/a.png"), png);
  writeFileSync(path.join(workspace, "b.jpg"), jpeg);
  const id = api === "openai-completions" ? "local" : (api.split("-")[0] ?? api);
  const m = { id: "m", ...(input === undefined ? {} : { input }) };
  const told = provider(id, { api, baseUrl: server.baseUrl, apiKey: { value: "sk-test" }, models: { m } });
  const agents = { main: { primary: `${id}/m`, fallbacks: [], agentDir: "/nowhere", workspace } };
  return { server, name: `${id}/m`, ...openBroker([told], { agents }) };
}

const say: Reply = { type: "say", said: { pieces: ["A pixel."] } };
const bodies = ({ received }: Awaited<ReturnType<typeof openModelServer>>): readonly string[] =>
  received.map(({ body }) => JSON.stringify(body));
const asked: readonly ModelMessage[] = [{ role: "user", text: "What is it?", pictures: [{ path: "inbox/a.png" }] }];

/** How each says what kind of picture it is; Ollama does not. */
const typeIn: Readonly<Record<WireApi, RegExp>> = {
  "anthropic-messages": /"media_type":"image\/png"/,
  "openai-completions": /"url":"data:image\/png;base64,/,
  "openai-responses": /"image_url":"data:image\/png;base64,/,
  "google-generative-ai": /"mimeType":"image\/png"/,
  ollama: /"images":\[/,
};

describe.each(wireApis)("%s", (api) => {
  test("gets the bytes of a picture, with what it is, beside the text", async () => {
    const { server, answer } = await open(api, [say]);
    expect(await answer({ messages: asked })).toMatchObject({ text: "A pixel." });
    const [body = ""] = bodies(server);
    expect(body).toContain(png.toString("base64"));
    expect(body).toMatch(typeIn[api]);
    expect(body).toContain("What is it?");
    expect(body).not.toContain("is not shown");
  });

  test("gets those of results behind all results of the message, and goes on", async () => {
    const { server, answer } = await open(api, [say]);
    const tool = (name: string) => ({ name, description: "", parameters: { type: "object", properties: {} } });
    await answer({
      tools: [tool("read"), tool("ls")],
      messages: [
        { role: "user", text: "Look." },
        {
          role: "assistant",
          text: "",
          toolCalls: [
            { id: "c1", name: "read", input: {} },
            { id: "c2", name: "ls", input: {} },
          ],
        },
        { role: "tool", toolCallId: "c1", name: "read", text: "first", pictures: [{ path: "b.jpg" }] },
        { role: "tool", toolCallId: "c2", name: "ls", text: "second" },
        { role: "user", text: "And?" },
      ],
    });
    const [body = ""] = bodies(server);
    const places = ["first", "second", jpeg.toString("base64"), "And?"].map((part) => body.indexOf(part));
    expect(places.every((at) => at >= 0)).toBe(true);
    expect(places).toEqual(places.toSorted((a, b) => a - b));
  });

  test("that refuses the request is asked once more without pictures, and the log says so", async () => {
    const refuse: Reply = {
      type: "refuse",
      status: 400,
      body: { error: { message: "Could not process image", code: 400, status: "INVALID_ARGUMENT" } },
    };
    const { server, answer, logged } = await open(api, [refuse, say]);
    expect(await answer({ messages: asked })).toMatchObject({ text: "A pixel." });
    expect(bodies(server)).toHaveLength(2);
    expect(bodies(server)[1]).not.toContain(png.toString("base64"));
    expect(bodies(server)[1]).toContain("[The picture inbox/a.png is not shown: the model did not take it]");
    expect(logged.map(({ message }) => message)).toContain(
      "a model refused a request with pictures; it is asked without them",
    );
  });

  test("that reads no pictures gets a note, and that they are gone is one too", async () => {
    const { server, answer, name } = await open(api, [say], ["text"]);
    await answer({ messages: asked });
    expect(bodies(server)[0]).toContain(`[The picture inbox/a.png is not shown: ${name} reads no pictures]`);
    expect(bodies(server)[0]).not.toContain(png.toString("base64"));
    const other = await open(api, [say], ["text", "image"]);
    await other.answer({ messages: [{ role: "user", text: "x", pictures: [{ path: "gone.png" }] }] });
    expect(bodies(other.server)[0]).toContain("[The picture gone.png is not shown: ");
  });
});

test("a request that is refused for something else is refused once", async () => {
  const refuse: Reply = { type: "refuse", status: 400, body: { error: { message: "no" } } };
  const { server, ask } = await open("openai-completions", [refuse]);
  expect(await ask()).toMatchObject({ ok: false, refusal: { code: "CLOISTER_MODEL_REFUSED" } });
  expect(server.received).toHaveLength(1);
  expect(await ask({ messages: asked })).toMatchObject({ ok: false, refusal: { code: "CLOISTER_MODEL_REFUSED" } });
  expect(server.received).toHaveLength(3);
});

test.each([
  [[{ path: "" }], "pictures"],
  [[{ path: "a.png", bytes: "AAAA" }], "pictures"],
  [Array.from({ length: 21 }, () => ({ path: "a.png" })), "pictures"],
])("a cell that asks with something else is refused", async (pictures, place) => {
  const { ask } = await open("ollama", [say]);
  const messages = [{ role: "user", text: "x", pictures }] as unknown as readonly ModelMessage[];
  expect(await ask({ messages })).toMatchObject({
    ok: false,
    refusal: { code: "CLOISTER_REQUEST_INVALID", message: expect.stringContaining(place) as string },
  });
});
