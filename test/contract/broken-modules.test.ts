/** A module that cannot be loaded disables its agent alone, with its reason, and keeps its mail until it is repaired. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import { openMemoryStore } from "../../runtime/store/memory.ts";
import { moduleOf } from "../support/actors.ts";
import { makeConfig, openGateway as openAny, openGatewayAt } from "../support/gateway.ts";
import { levels } from "../support/levels.ts";

const operator = { connId: "t", clientId: "test", mode: "test", scopes: ["operator.admin"] };

describe.each(levels)("at level %s", (level) => {
  const openGateway = openGatewayAt(level);

  describe("a module that cannot be loaded disables its agent with a reason, and no other", () => {
    test.each([
      ["a syntax error", moduleOf("syntax-error.ts"), /syntax-error\.ts/],
      ["no default export", moduleOf("no-default.ts"), /default export is not an actor/],
      ["a wrong default export", moduleOf("wrong-default.ts"), /default export is not an actor/],
      ["an error while it loads", moduleOf("throws.ts"), /no luck today/],
      ["an import that is not there", moduleOf("bad-import.ts"), /not-a-package/],
      ["a missing file", moduleOf("missing.ts"), /missing\.ts of agent broken does not exist/],
      ["a folder", moduleOf(""), /is not a file/],
    ])("%s", async (_name, broken, reason) => {
      const gateway = await openGateway([
        { id: "broken", ...broken },
        { id: "main", module: "echo" },
      ]);
      expect(await gateway.say("broken", "hello")).toMatchObject({
        status: "error",
        refusal: { code: "CLOISTER_AGENT_DISABLED", message: expect.stringMatching(reason) },
      });
      expect(gateway.agents()[0]).toMatchObject({ phase: "disabled", reason: expect.stringMatching(reason) });
      expect(await gateway.reply("main", "hello")).toBe("hello");
      await expect(gateway.say("broken", "again")).rejects.toMatchObject({ code: "CLOISTER_AGENT_DISABLED" });
    });

    test.each(["agents.restart", "agents.start"])(
      "%s brings it back when its file is repaired, and its mail",
      async (method) => {
        const folder = mkdtempSync(path.join(tmpdir(), "cloister-repair-"));
        onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
        const module = path.join(folder, "actor.js");
        writeFileSync(module, 'throw new Error("no luck today");');
        const gateway = await openGateway([{ id: "main", module, moduleKind: "file" }]);
        expect(await gateway.say("main", "kept")).toMatchObject({ refusal: { code: "CLOISTER_AGENT_DISABLED" } });
        const order = () => gateway.doors.rpc(operator, method, { agentId: "main" });
        const isOver = () => gateway.until(() => gateway.driver.kernel.mayReturn("main"));
        await isOver();
        // Nothing was repaired: it is tried, and disabled again.
        expect(await order()).toMatchObject({ payload: { done: true, before: "disabled" } });
        await isOver();
        writeFileSync(module, "export default { message(ctx, { text }) { ctx.reply(`repaired: ${text}`); } };");
        expect(await order()).toMatchObject({ payload: { done: true } });
        expect(await gateway.reply("main", "new")).toBe("repaired: new");
        const { rows } = await gateway.store.history("main", "agent:main:main", 10, 0);
        expect(rows.map(({ text }) => text)).toEqual(["kept", "repaired: kept", "new", "repaired: new"]);
        expect(await order()).toMatchObject({ payload: { done: method === "agents.restart" } });
      },
    );

    test("its mail is kept and handled after the repair", async () => {
      const config = makeConfig([{ id: "main", ...moduleOf("throws.ts"), isolation: { level, trust: "confined" } }]);
      const store = await openMemoryStore({
        stateDir: config.stateDir,
        agents: config.agents.map(({ id, sessionsDir }) => ({ agentId: id, sessionsDir })),
      });
      const before = await openAny([], {}, { store, config });
      await before.say("main", "kept");
      await before.drain(0);
      const repaired = await openAny(
        [],
        {},
        {
          store,
          config: {
            ...config,
            agents: config.agents.map((agent) => ({ ...agent, module: "echo", moduleKind: "builtin" as const })),
          },
        },
      );
      await repaired.until(() =>
        repaired.events.some(({ event, payload }) => event === "chat" && payload.state === "final"),
      );
      const page = await store.history("main", "agent:main:main", 10, 0);
      expect(page.rows.map(({ text }) => text)).toEqual(["kept", "kept"]);
    });
  });
});
