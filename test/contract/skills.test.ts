/** Skills that agents share, from the operator's folder to the model: listed in the prompt, read as a file, told to the operator. */
import { mkdirSync, mkdtempSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { expect, test } from "vitest";
import { makeBrokerStart } from "../../runtime/supervisor/start-broker.ts";
import { agentSettings } from "../support/agent-settings.ts";
import { provider } from "../support/broker.ts";
import { openGateway } from "../support/gateway.ts";

const quiet = { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined };

function put(root: string, name: string, metadata = "{}"): string {
  const file = path.join(root, name, "SKILL.md");
  mkdirSync(path.dirname(file), { recursive: true });
  writeFileSync(
    file,
    `---\nname: ${name}\ndescription: Does ${name}.\nmetadata: ${metadata}\n---\nHow to do ${name}.\n`,
  );
  return file;
}

test("a shared skill is in the prompt of those who may use it, and its file is read by them alone", async () => {
  const root = mkdtempSync(path.join(os.tmpdir(), "cloister-shared-"));
  const file = put(root, "tea");
  put(root, "pdf", '{"openclaw":{"requires":{"bins":["no-such-program"]}}}');
  const script = [
    { when: { tool: "read" }, say: "{{text}}" },
    { when: { text: "read" }, call: [{ name: "read", input: { path: file } }] },
    { say: "ok" },
  ];
  const ids = ["main", "other"];
  const asked: string[] = [];
  const startBroker: ReturnType<typeof makeBrokerStart> = async (...given) => {
    const thread = await makeBrokerStart(quiet)(...given);
    const inner = thread.remote;
    const remote: typeof inner = {
      cancel: (id) => inner.cancel(id),
      embed: (call) => inner.embed(call),
      configure: (settings) => inner.configure(settings),
      profileNames: (...about) => inner.profileNames(...about),
      profileType: (...about) => inner.profileType(...about),
      readSecrets: () => inner.readSecrets(),
      ask: (call) => {
        asked.push(call.request);
        return inner.ask(call);
      },
    };
    return { ...thread, remote };
  };
  const gateway = await openGateway(
    ids.map((id) => ({
      id,
      module: "assistant",
      model: `scripted/${id}`,
      settings: agentSettings(id, id === "main" ? {} : { skills: [] }),
    })),
    {
      skills: { roots: [root], extraRoots: [], off: [], env: [], config: [], path: [], platform: "linux" },
      models: {
        providers: {
          scripted: provider("scripted", { models: Object.fromEntries(ids.map((id) => [id, { id, script }])) }),
        },
        catalogue: [],
        authOrder: {},
        variables: {},
      },
    },
    { startBroker },
  );
  expect(await gateway.reply("main", "read it")).toContain("How to do tea.");
  expect(asked[0]).toContain(`- tea: Does tea. (${file})`);
  expect(asked[0]).not.toContain("Does pdf.");
  asked.length = 0;
  expect(await gateway.reply("other", "read it")).toContain("leaves the workspace");
  expect(asked[0]).not.toContain("Does tea.");
  const client = { connId: "test", clientId: "test", mode: "test", scopes: ["operator.read"] };
  const { workspace = "" } = gateway.config.agents[0] ?? {};
  put(path.join(workspace, "skills"), "own");
  mkdirSync(path.join(workspace, "skills/nameless"));
  writeFileSync(path.join(workspace, "skills/nameless/SKILL.md"), "---\ndescription: It does.\n---\n");
  const listed = await gateway.doors.rpc(client, "skills.status", { agentId: "main" });
  expect(listed).toMatchObject({
    ok: true,
    payload: {
      skills: [
        { name: "nameless", source: "workspace", usable: false, missing: ["left out: its head has no name"] },
        { name: "own", source: "workspace", usable: true, location: "skills/own/SKILL.md" },
        { name: "pdf", source: "shared", usable: false, missing: ["the program no-such-program"] },
        { name: "tea", source: "shared", usable: true, missing: [] },
      ],
    },
  });
});
