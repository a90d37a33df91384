/** What one client or program can cause as often as it likes does not fill the audit trail: with the gateway's real parts. */
import { expect, it } from "vitest";
import { limits } from "../../runtime/kernel/limits.ts";
import { openGateway } from "../support/gateway.ts";

it("a program that is refused and a client that asks nodes all the time have a bounded number of rows a minute", async () => {
  const gateway = await openGateway([{ id: "main", module: "echo" }]);
  const client = { connId: "c", clientId: "asker", mode: "test", scopes: ["operator.write"] };
  const most = limits.auditRowsPerMinuteMax;
  for (let n = 0; n < most + 4; n += 1) {
    expect(await gateway.doors.rpc(client, "node.invoke", { nodeId: "none", command: `a.${n}` })).toMatchObject({
      ok: false,
      refusal: { code: "CLOISTER_NODE_OFFLINE" },
    });
    expect(
      await gateway.doors.call({
        place: "http",
        program: { type: "caller", name: "loud" },
        runId: `r${n}`,
        agentId: "main",
        conversation: { type: "new", id: `c${n}` },
        said: { text: "hi", before: [], knownUpTo: 0 },
      }),
    ).toMatchObject({ status: "refused" });
  }
  const count = async (type: string) => (await gateway.store.audits(1_000)).filter((row) => row.type === type).length;
  expect([await count("node_invoked"), await count("refused")]).toEqual([most, most]);
  await gateway.drain(1_000);
  expect([await count("node_invoked"), await count("refused")]).toEqual([most + 1, most + 1]);
  const counted = (await gateway.store.audits(1_000)).filter(({ object }) => object === "several");
  expect(new Set(counted.map(({ type, subject, detail }) => `${type} ${subject}: ${detail}`))).toEqual(
    new Set([
      "node_invoked asker: 4 more within a minute have no row of their own",
      "refused caller:loud: 4 more within a minute have no row of their own",
    ]),
  );
});
