import { describe, expect, it } from "vitest";
import type { EdgeForKernel } from "../../runtime/edge/port.ts";
import { entryUrl } from "../../runtime/thread/entries.ts";
import { startTrustedThread } from "../../runtime/thread/trusted-thread.ts";
import { ask, makeFakeKernel, openClient, settingsWith } from "./edge-kit.ts";

describe("the edge in its own thread", () => {
  it("listens, asks the kernel's side, publishes, logs, and ends by itself", async () => {
    const kernel = makeFakeKernel();
    const logged: string[] = [];
    const thread = await startTrustedThread<EdgeForKernel>({
      entry: entryUrl("edge"),
      name: "edge",
      init: { logLevel: "info" },
      handlers: { ...kernel, log: async (_level: string, message: string) => void logged.push(message) },
      onLost: (reason) => logged.push(`lost: ${reason}`),
    });
    const { port } = await thread.remote.listen(settingsWith("/nowhere"));
    const client = openClient(port);
    expect((await client.connect()).ok).toBe(true);
    expect(await client.call("status")).toMatchObject({ ok: true, payload: { method: "status" } });
    await thread.remote.publish([{ event: "agents", payload: { agents: [] } }]);
    expect((await client.next((frame) => frame.event === "agents")).seq).toBe(1);
    expect((await ask(port, "GET", "/readyz")).status).toBe(200);
    await thread.remote.close("done");
    expect((await client.closed).code).toBe(1012);
    await thread.stop();
    expect(logged).toContain("client connected");
    expect(logged.filter((line) => line.startsWith("lost"))).toEqual([]);
  });

  it("hands the reason over when it cannot listen", async () => {
    const thread = await startTrustedThread<EdgeForKernel>({
      entry: entryUrl("edge"),
      name: "edge",
      init: { logLevel: "info" },
      handlers: { ...makeFakeKernel(), log: async () => undefined },
      onLost: () => undefined,
    });
    const settings = { ...settingsWith("/nowhere"), hooks: { enabled: true, path: "/hooks", mappings: [] } };
    await expect(thread.remote.listen(settings)).rejects.toMatchObject({
      code: "CLOISTER_CONFIG_INVALID",
      remedy: expect.stringContaining("hooks.token"),
    });
    await thread.stop();
  });
});
