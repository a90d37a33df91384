/** The figures over HTTP: who gets them, and that a gateway at work fills them. */
import { describe, expect, it } from "vitest";
import { openGateway } from "../support/gateway.ts";
import { ask, gatewayToken, hookToken, openEdge, operatorKey, postJson } from "./edge-kit.ts";

const paths = ["/metrics", "/api/diagnostics/prometheus"];
const bearer = (token: string) => ({ authorization: `Bearer ${token}` });
const own = "token-of-the-figures";

async function open(metrics: { readonly token?: string } = { token: own }) {
  const running = await openEdge({ settings: { metrics } });
  running.kernel.answers.rpc = async () => ({ ok: true, payload: { text: "cloister_cells 1\n" } });
  return running;
}

describe("A12.5: GET /metrics", () => {
  it("gives the text to the token of the figures, and to what opens the gateway", async () => {
    const { port, kernel } = await open();
    for (const path of paths)
      for (const token of [own, operatorKey, gatewayToken]) {
        const answer = await ask(port, "GET", path, bearer(token));
        expect(answer).toMatchObject({ status: 200, text: "cloister_cells 1\n" });
        expect(answer.headers).toMatchObject({
          "content-type": "text/plain; version=0.0.4; charset=utf-8",
          "cache-control": "no-store",
        });
      }
    const [client, method] = kernel.calls[0]?.args ?? [];
    expect(client).toMatchObject({ scopes: ["operator.read"] });
    expect(method).toBe("metrics.get");
  });

  it("is closed to everybody else: nothing, another door's token, a forwarded shared secret, a page of elsewhere, a query", async () => {
    const { port, kernel } = await open();
    const code = async (headers: Record<string, string>, path = "/metrics") =>
      (await ask(port, "GET", path, headers)).json.error.code;
    expect(await code({})).toBe("CLOISTER_EDGE_UNAUTHENTICATED");
    expect(await code(bearer(hookToken))).toBe("CLOISTER_EDGE_UNAUTHENTICATED");
    expect(await code({ ...bearer(gatewayToken), "x-forwarded-for": "192.0.2.7" })).toBe(
      "CLOISTER_EDGE_UNAUTHENTICATED",
    );
    expect(await code({ ...bearer(own), origin: "https://elsewhere.example" })).toBe("CLOISTER_EDGE_FORBIDDEN");
    expect(await code({}, `/metrics?token=${own}`)).toBe("CLOISTER_REQUEST_INVALID");
    expect(kernel.calls).toEqual([]);
  });

  it("its token opens nothing but the figures, and none does when none is set", async () => {
    const { port } = await open();
    for (const path of ["/v1/chat/completions", "/hooks/agent", "/channels/webhook/biz"])
      expect((await postJson(port, path, bearer(own), { message: "x" })).status).toBe(401);
    const without = await open({});
    expect((await ask(without.port, "GET", "/metrics", bearer("undefined"))).status).toBe(401);
  });
});

it("A12.5: a gateway at work tells of a turn and of the memory of the cell that it ran in", async () => {
  const gateway = await openGateway([
    { id: "main", module: "echo" },
    { id: "raul", module: "echo" },
  ]);
  await gateway.reply("main", "hello");
  const client = { connId: "c", clientId: "t", mode: "test", scopes: ["operator.read"] };
  const lines = async (): Promise<readonly string[]> => {
    const result = await gateway.doors.rpc(client, "metrics.get", {});
    return result.ok ? (result.payload as { text: string }).text.split("\n") : [];
  };
  expect(await lines()).toContain('cloister_turn_seconds_count{agent="main"} 1');
  expect(await lines()).toContain('cloister_worker_state{agent="raul",state="dormant"} 1');
  // The first reading of a cell's memory comes when it comes.
  await expect
    .poll(async () => (await lines()).find((line) => line.startsWith('cloister_cell_heap_bytes{agent="main"}')))
    .toMatch(/ [1-9]\d{5,}$/);
  expect(
    (await lines()).find((line) => line.startsWith('cloister_cell_loop_delay_seconds{agent="main"}')),
  ).toBeDefined();
});
