/** What stands in `agents.defaults` is what each agent would have written itself. Source: behaviour §1.3. */
import { expect, it } from "vitest";
import { configSchema } from "../../../runtime/config/schema.ts";
import { loadText } from "./load-text.ts";
import { listRows } from "./reference.ts";

const prefix = "agents.defaults.";
const rows = listRows(configSchema);
const ofAgents = new Set(rows.map(({ path }) => path));

/** Of the gateway, and not of an agent. */
const others: Readonly<Record<string, string>> = {
  workspace: "the others' folders are below it",
  maxConcurrent: "places of the lane of all agents",
  "subagents.maxConcurrent": "places of the lane of all agents",
};

/** Values of its type that differ from each other. */
function valuesOf(type: string): readonly unknown[] {
  if (type.includes("true, false")) return [true, false];
  if (type.includes("`")) return [...type.matchAll(/`([^`]+)`/g)].map(([, name]) => name);
  if (type.includes("number")) return [3, 1_500, 70_000];
  if (type.startsWith("list of text")) return [["x9"]];
  return type.includes("text") ? ["p/m9", "10m", "/x9"] : [];
}

function nested(path: readonly string[], value: unknown): unknown {
  const [name, ...rest] = path;
  if (name === undefined) return value;
  return { [name === "<name>" ? "k" : name]: nested(rest, value) };
}

async function agentOf(defaults: unknown, own: object): Promise<string | undefined> {
  const config = { agents: { defaults, list: [{ id: "raul", ...own }] } };
  const found = await loadText(config).catch(() => undefined);
  if (found === undefined) return undefined;
  const text = JSON.stringify(found.resolved.agents[0], (name, value: unknown) =>
    // Where a key stands is told to people.
    name === "inherited" || name === "key" ? undefined : value,
  );
  return text.replaceAll(found.home, "~");
}

it("is the same as where the agent says it", async () => {
  const plain = await agentOf({}, {});
  const wrong: string[] = [];
  let compared = 0;
  for (const { path, type, active } of rows) {
    const name = path.slice(prefix.length);
    if (!path.startsWith(prefix) || active !== "yes" || name in others || !ofAgents.has(`agents.list[].${name}`))
      continue;
    if (path.includes("[]")) continue;
    for (const value of valuesOf(type)) {
      const written = nested(name.split("."), value);
      const own = await agentOf({}, written as object);
      if (own === undefined || own === plain) continue;
      compared++;
      if ((await agentOf(written, {})) !== own) wrong.push(`${path}: ${JSON.stringify(value)}`);
      break;
    }
  }
  expect(wrong).toEqual([]);
  expect(compared).toBeGreaterThan(60);
});
