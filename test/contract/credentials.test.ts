/** Each credential opens its own doors and no other (needs §17, row 21): every one against every door. */
import { createHash } from "node:crypto";
import { describe, expect, test } from "vitest";
import {
  bizToken,
  gatewayToken,
  homeToken,
  hookToken,
  openClient,
  openEdge,
  operatorKey,
  postJson,
} from "./edge-kit.ts";

const callerToken = "clt_of-a-caller";
const callers = [{ id: "c-1", name: "bot", tokenHash: createHash("sha256").update(callerToken).digest("hex") }];
const mappings = [{ path: "mapped", action: "agent" as const }];

const posts: Readonly<Record<string, object>> = {
  "/hooks/agent": { message: "x" },
  "/hooks/wake": { text: "x" },
  "/hooks/mapped": { a: 1 },
  "/channels/webhook/biz": { text: "x", sender: { id: "u" } },
  "/channels/webhook/home": { text: "x", sender: { id: "u" } },
  "/v1/chat/completions": { model: "cloister", messages: [{ role: "user", content: "x" }] },
  "/v1/responses": { model: "cloister", input: "x" },
};
const hooks = ["/hooks/agent", "/hooks/wake", "/hooks/mapped"];
const api = ["/v1/chat/completions", "/v1/responses"];

describe.each([
  ["the operator's key", operatorKey, ["socket", ...api]],
  ["the gateway's token", gatewayToken, ["socket", ...api]],
  ["the token of hooks", hookToken, hooks],
  ["an account's token", bizToken, ["/channels/webhook/biz"]],
  ["another account's token", homeToken, ["/channels/webhook/home"]],
  ["a caller's token", callerToken, api],
  ["the name of a caller", "bot", []],
  ["the hash of a caller's token", callers[0]?.tokenHash ?? "", []],
  ["a caller's token with something behind it", `${callerToken}x`, []],
])("%s", (_name, token, opens) => {
  test(`opens ${opens.join(", ") || "nothing"}, and no other door`, async () => {
    const { port, kernel } = await openEdge({
      settings: { callers, hooks: { enabled: true, path: "/hooks", token: hookToken, mappings } },
    });
    const opened: string[] = [];
    const client = openClient(port);
    if ((await client.connect({ auth: { token } })).ok === true) opened.push("socket");
    for (const [path, body] of Object.entries(posts)) {
      kernel.calls.length = 0;
      const { status } = await postJson(port, path, { authorization: `Bearer ${token}` }, body);
      // Let in is what reaches the kernel's side, whatever the status says.
      const isIn = kernel.calls.some(({ method }) => ["hook", "inbound", "call"].includes(method));
      expect(isIn, path).toBe(status === 200);
      if (isIn) opened.push(path);
      else expect(status, path).toBe(path.startsWith("/channels") && status === 404 ? 404 : 401);
    }
    expect(opened.toSorted()).toEqual([...opens].toSorted());
  });
});
