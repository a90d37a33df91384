/** What a start reads of the configuration grows with the number of agents and not with its square (promise P7): counted, not timed. */
import { expect, test, vi } from "vitest";
import { resolveConfig } from "../../../runtime/config/index.ts";
import { loadText } from "./load-text.ts";

/** How often each agent's entry is looked at while the configuration is resolved. */
async function countReads(agents: number): Promise<number> {
  const list = Array.from({ length: agents }, (_, n) => ({ id: `a${n}`, module: "echo" }));
  const { loaded } = await loadText({ agents: { list } });
  const { config } = loaded.draft;
  let reads = 0;
  const counted = config.agents.list.map(
    (entry) =>
      new Proxy(entry, {
        get(target, key, receiver) {
          reads += 1;
          return Reflect.get(target, key, receiver) as unknown;
        },
      }),
  );
  const draft = { ...loaded.draft, config: { ...config, agents: { ...config.agents, list: counted } } };
  resolveConfig({ ...loaded, draft });
  return reads / agents;
}

test("P7: an agent's entry is read as often among four hundred as among forty", async () => {
  const few = await countReads(40);
  expect(few).toBeGreaterThan(10);
  expect(await countReads(400)).toBeLessThan(few * 1.2);
});

test("P7: the machine's timezone is asked for once, however many agents want it", async () => {
  const list = Array.from({ length: 50 }, (_, n) => ({ id: `a${n}`, module: "echo" }));
  const { loaded } = await loadText({ agents: { list } });
  const asked = vi.spyOn(Intl, "DateTimeFormat");
  resolveConfig(loaded);
  expect(asked.mock.calls.length).toBeLessThan(10);
  asked.mockRestore();
});

test("P7: agents that say the same of themselves share all that is made of it", async () => {
  const { resolved } = await loadText({
    agents: { defaults: { module: "echo", heartbeat: { every: "1h" } }, list: [{ id: "a" }, { id: "b" }, { id: "c" }] },
  });
  const [, b, c] = resolved.agents;
  const own = Object.keys(b ?? {}).filter((key) => {
    const value = Reflect.get(b ?? {}, key) as unknown;
    return typeof value === "object" && value !== Reflect.get(c ?? {}, key);
  });
  expect(own).toEqual([]);
});
