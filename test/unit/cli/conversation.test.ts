import { afterEach, describe, expect, it } from "vitest";
import { type Conversation, openConversation } from "../../../runtime/cli/conversation.ts";
import { connectGateway, type GatewayClient } from "../../../runtime/cli/gateway-client.ts";
import { type Caller, type Request, type Script, type ScriptedGateway, startGateway } from "./scripted-gateway.ts";

const key = "agent:main:main";
let gateway: ScriptedGateway;
let client: GatewayClient;
afterEach(async () => {
  await client.close();
  await gateway.close();
});

async function open(script: Script): Promise<Conversation> {
  gateway = await startGateway(script);
  client = await connectGateway(
    { url: gateway.url, remedy: "start it" },
    { version: "1", platform: "test", scopes: ["operator.write"] },
  );
  return openConversation(client, key);
}

const chat = (caller: Caller, runId: string, state: string, more: object = {}): void =>
  caller.event("chat", { runId, sessionKey: key, agentId: "main", seq: 1, state, ...more });
const message = (text: string): object => ({ message: { role: "assistant", content: [{ type: "text", text }] } });

async function ask(conversation: Conversation): Promise<{ answer: unknown; parts: readonly string[] }> {
  const parts: string[] = [];
  const answer = await conversation.ask("hi", (part) => parts.push(part));
  return { answer, parts };
}

describe("an answer", () => {
  it("grows by what is new and ends with the final text", async () => {
    const conversation = await open((request, caller) => {
      caller.answer(request, { runId: "r1", status: "started" });
      chat(caller, "r1", "delta", { deltaText: "Hel", ...message("Hel") });
      chat(caller, "r1", "delta", { deltaText: "lo", ...message("Hello") });
      chat(caller, "r1", "final", message("Hello!"));
    });
    expect(await ask(conversation)).toEqual({ answer: { status: "final", text: "Hello!" }, parts: ["Hel", "lo"] });
    expect(gateway.requests[1]).toMatchObject({ method: "chat.send", params: { sessionKey: key, message: "hi" } });
  });

  it("is complete although an event in the middle was left out", async () => {
    const conversation = await open((request, caller) => {
      caller.answer(request, { runId: "r1" });
      chat(caller, "r1", "delta", { deltaText: "a", ...message("a") });
      chat(caller, "r1", "delta", { deltaText: "c", ...message("abc") });
      chat(caller, "r1", "final", message("abc"));
    });
    expect((await ask(conversation)).parts.join("")).toBe("abc");
  });

  it("is heard although its events come before the answer to the request, and those of other runs are not", async () => {
    const conversation = await open((request, caller) => {
      chat(caller, "other", "final", message("not this"));
      chat(caller, "r1", "delta", { deltaText: "yes", ...message("yes") });
      chat(caller, "r1", "final", message("yes"));
      caller.answer(request, { runId: "r1" });
    });
    expect(await ask(conversation)).toEqual({ answer: { status: "final", text: "yes" }, parts: ["yes"] });
  });

  it("may be silence", async () => {
    const conversation = await open((request, caller) => {
      caller.answer(request, { runId: "r1" });
      chat(caller, "r1", "final");
    });
    expect((await ask(conversation)).answer).toEqual({ status: "final", text: "" });
  });

  it("may fail, and the next question works", async () => {
    const conversation = await open((request, caller) => {
      const runId = `r${gateway.requests.length}`;
      caller.answer(request, { runId });
      chat(caller, runId, "error", { errorMessage: "crashed" });
    });
    const failed = { status: "error", text: "", error: "crashed" };
    expect((await ask(conversation)).answer).toEqual(failed);
    expect((await ask(conversation)).answer).toEqual(failed);
  });

  it("may be refused, and the next question works", async () => {
    const conversation = await open((request, caller) => {
      if (gateway.requests.length === 2) {
        caller.refuse(request, { code: "UNAVAILABLE", message: "full", details: { code: "CLOISTER_MAILBOX_FULL" } });
      } else {
        caller.answer(request, { runId: "r1" });
        chat(caller, "r1", "final", message("ok"));
      }
    });
    await expect(ask(conversation)).rejects.toMatchObject({ code: "CLOISTER_MAILBOX_FULL" });
    expect((await ask(conversation)).answer).toEqual({ status: "final", text: "ok" });
  });

  it("is given up when the connection is lost", async () => {
    const conversation = await open((request, caller) => {
      caller.answer(request, { runId: "r1" });
      caller.socket.close(1011, "fault");
    });
    await expect(ask(conversation)).rejects.toMatchObject({ code: "CLOISTER_GATEWAY_UNREACHABLE" });
  });
});

describe("stopping", () => {
  it("without a running answer asks nothing of the gateway", async () => {
    const conversation = await open(() => undefined);
    expect(await conversation.abort()).toBe(false);
    expect(gateway.requests.map(({ method }) => method)).toEqual(["connect"]);
  });

  it("names the run, and the answer ends as stopped", async () => {
    const started = Promise.withResolvers<Request>();
    const conversation = await open((request, caller) => {
      if (request.method === "chat.send") {
        caller.answer(request, { runId: "r1" });
        chat(caller, "r1", "delta", { deltaText: "long", ...message("long") });
      } else {
        caller.answer(request, { aborted: true });
        chat(caller, "r1", "aborted", message("long"));
        started.resolve(request);
      }
    });
    const shown = Promise.withResolvers<void>();
    const answer = conversation.ask("hi", () => shown.resolve());
    await shown.promise;
    expect(await conversation.abort()).toBe(true);
    expect((await started.promise).params).toEqual({ sessionKey: key, runId: "r1" });
    expect(await answer).toEqual({ status: "aborted", text: "long" });
  });
});
