/** The command line on a gateway of another machine: a device with a key of its own, which somebody approves. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { openDevice } from "../../runtime/cli/device-identity.ts";
import { connectGateway, type GatewayClient } from "../../runtime/cli/gateway-client.ts";
import { openDeviceGateway } from "./device-kit.ts";
import { gatewayToken } from "./edge-kit.ts";

let stateDir: string;
let said: string[];
beforeEach(async () => {
  stateDir = await mkdtemp(path.join(tmpdir(), "cloister-device-"));
  said = [];
});
afterEach(async () => {
  await rm(stateDir, { recursive: true, force: true });
});

const identity = { version: "1", platform: "linux", scopes: ["operator.write"] } as const;

/** As for an address of another machine; a fresh process each time. */
async function connect(port: number, token?: string): Promise<GatewayClient> {
  const device = await openDevice(stateDir, (line) => said.push(line));
  const url = `ws://127.0.0.1:${port}/`;
  return connectGateway({ url, remedy: "", device, ...(token === undefined ? {} : { token }) }, identity);
}

it("AC-09.2: a new key where a device like it is known gets one hint that names the directory to keep", async () => {
  // Nothing is approved without a person here, as on another machine.
  const { port, gateway } = await openDeviceGateway({ autoApproveLocal: false });
  const refused = { code: "CLOISTER_EDGE_FORBIDDEN", remedy: expect.stringMatching(/cloister devices approve \S+/) };
  await expect(connect(port, gatewayToken)).rejects.toMatchObject(refused);
  expect(said).toEqual([]);

  const operator = { connId: "o", clientId: "op", mode: "cli", scopes: ["operator.admin"] };
  const rpc = async (method: string, params: object) => {
    const result = await gateway.doors.rpc(operator, method, params);
    if (!result.ok) throw new Error(result.refusal.message);
    return result.payload as { readonly pending: readonly { readonly requestId: string; readonly revision: number }[] };
  };
  const [{ requestId, revision } = { requestId: "", revision: 0 }] = (await rpc("device.pair.list", {})).pending;
  await rpc("device.pair.approve", { requestId, revision });

  // Its own token is enough from now on.
  for (const token of [gatewayToken, undefined]) {
    const client = await connect(port, token);
    expect(client.hello.scopes).toEqual(["operator.write"]);
    await client.close();
  }
  expect(said).toEqual([]);

  await rm(path.join(stateDir, "identity"), { recursive: true });
  await expect(connect(port, gatewayToken)).rejects.toMatchObject(refused);
  expect(said).toEqual([expect.stringMatching(/key is new.*keep \S+; in a container, mount a volume there/)]);
  expect(said[0]).toContain(stateDir);
  // The key is there now: it is waited for its approval, and nothing is wrong any more.
  await expect(connect(port, gatewayToken)).rejects.toMatchObject(refused);
  expect(said).toHaveLength(1);
});
