/** `secrets.reload`: a key that was changed where its program finds it counts at once. */
import { mkdir, mkdtemp, writeFile } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { makeEdge } from "../../runtime/edge/edge.ts";
import { makeSecretReader } from "../../runtime/broker/secret-refs.ts";
import { makeBrokerStart } from "../../runtime/supervisor/start-broker.ts";
import { provider } from "../support/broker.ts";
import { openGateway } from "../support/gateway.ts";
import { answerWire, openWireServer } from "../support/model-servers.ts";
import { postJson, settingsWith } from "./edge-kit.ts";

const quiet = { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined };

test("models and the gateway's doors have it with the next use, and what was before opens nothing", async () => {
  const stateDir = await mkdtemp(path.join(os.tmpdir(), "reload-"));
  await mkdir(path.join(stateDir, "secret-programs"), { mode: 0o700 });
  const kept = path.join(stateDir, "kept");
  await writeFile(path.join(stateDir, "secret-programs", "vault"), `#!/bin/sh\ncat ${kept}\n`, { mode: 0o700 });
  await writeFile(kept, "key-one");
  const ref = { source: "exec", provider: "vault", id: "x" } as const;
  const server = await openWireServer("anthropic-messages", (_, _count, response) =>
    answerWire("anthropic-messages", { type: "say", said: { pieces: ["yes"] } }, response),
  );
  const told = { api: "anthropic-messages", baseUrl: server.baseUrl, models: { m: { id: "m" } } } as const;
  const hooks = {
    enabled: true,
    path: "/hooks",
    mappings: [],
    allowRequestSessionKey: false,
    token: { key: "hooks.token", ref },
  };
  const gateway = await openGateway(
    [{ id: "main", module: "assistant", model: "anthropic/m" }],
    {
      stateDir,
      hooks,
      models: {
        providers: { anthropic: provider("anthropic", { ...told, apiKey: { ref } }) },
        catalogue: [],
        authOrder: {},
        variables: {},
      },
    },
    { startBroker: makeBrokerStart(quiet) },
  );
  const secrets = makeSecretReader(() => ({ stateDir, variables: {} }), Date.now);
  const edge = makeEdge(gateway.doors, () => undefined, { bounds: { socketCloseGraceMs: 500 } }, secrets);
  onTestFinished(() => edge.close("end of the test"));
  const { port } = await edge.listen({ ...settingsWith(stateDir), hooks });
  gateway.attachEdge(edge);
  const used = async () => {
    await gateway.reply("main", "hello");
    return server.received.at(-1)?.headers["x-api-key"];
  };
  const opens = async (token: string) =>
    (await postJson(port, "/hooks/agent", { authorization: `Bearer ${token}` }, { message: "x" })).status;
  expect([await used(), await opens("key-one")]).toEqual(["key-one", 200]);
  await writeFile(kept, "key-two");
  expect([await used(), await opens("key-two")]).toEqual(["key-one", 401]);
  const client = { clientId: "cli", connId: "c", mode: "cli", scopes: ["operator.admin"] } as never;
  expect(await gateway.doors.rpc(client, "secrets.reload", {})).toMatchObject({ ok: true, payload: { ok: true } });
  expect([await used(), await opens("key-two"), await opens("key-one")]).toEqual(["key-two", 200, 401]);
});
