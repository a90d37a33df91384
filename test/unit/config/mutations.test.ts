/**
 * Whatever is done to a valid configuration, loading it either works or says what is wrong: no other error, no loop, no
 * secret in the message. A failure prints the seed that repeats it.
 */
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { isConfigFailure, resolveConfig } from "../../../runtime/config/index.ts";
import { composeSource } from "../../../runtime/config/file/include.ts";
import { findLines } from "../../../runtime/config/file/lines.ts";
import { checkSource } from "../../../runtime/config/load.ts";
import { makePaths } from "../../../runtime/config/paths.ts";

const secret = "s3cr3t-v4lu3";

const valid = {
  agents: {
    defaults: {
      workspace: "~/w",
      maxConcurrent: 4,
      model: "p/m",
      sandbox: { mode: "off", sessionToolsVisibility: "spawned" },
    },
    list: [
      {
        id: "main",
        default: true,
        name: "Main",
        identity: { name: "M" },
        module: "scripted",
        options: { rules: [{ if: "x" }] },
      },
      {
        id: "raul",
        workspace: "~/raul",
        agentDir: "~/r/agent",
        tools: { allow: ["read"], deny: ["exec"] },
        maxConcurrent: 2,
      },
    ],
    entries: { third: { isolation: { level: "thread", trust: "confined" } } },
  },
  bindings: [
    { agentId: "main", match: { channel: "webhook", accountId: "home" }, comment: "c" },
    {
      agentId: "raul",
      match: { channel: "webhook", accountId: "*", peer: { kind: "direct", id: 5 }, guildId: "g", roles: ["r"] },
      session: { dmScope: "per-peer" },
    },
  ],
  session: { mainKey: "main", dmScope: "main", identityLinks: { ana: ["telegram:1"] }, reset: { mode: "none" } },
  tools: { agentToAgent: { enabled: true, allow: ["main", "r*"] }, sessions: { visibility: "all" } },
  channels: {
    webhook: {
      defaultAccount: "home",
      accounts: { home: { token: secret, outboundUrl: `https://u:${secret}@example.test/` } },
    },
    telegram: { accounts: { a: { botToken: secret } } },
  },
  gateway: {
    port: 0,
    bind: "loopback",
    auth: { mode: "token", token: secret },
    controlUi: { basePath: "/ui", allowedOrigins: ["https://a.test"] },
  },
  hooks: { enabled: true, token: secret, path: "/hooks", allowedAgentIds: ["main"] },
  logging: { level: "info", file: "x.log", redactSensitive: true },
  broadcast: { strategy: "parallel", g: ["main", "raul"] },
  env: { vars: { A: "b" } },
};

type Path = readonly (string | number)[];

function listPaths(value: unknown, path: Path = []): Path[] {
  if (typeof value !== "object" || value === null) return [path];
  const parts: (string | number)[] = Array.isArray(value) ? [...value.keys()] : Object.keys(value);
  return [path, ...parts.flatMap((part) => listPaths(Reflect.get(value, part), [...path, part]))];
}

const paths = listPaths(valid);
/** What holds no secret: one that is moved under another name cannot be told from any other text. */
const openPaths = paths.filter(
  (path) =>
    !JSON.stringify(path.reduce<unknown>((value, part) => Reflect.get(Object(value), part), valid)).includes(secret),
);
const odd = fc.oneof(
  fc.jsonValue({ maxDepth: 3 }),
  fc.constantFrom(
    "*",
    "",
    " ",
    "${A}",
    "${GONE}",
    "$${A}",
    "~",
    "/",
    "..",
    "main",
    "raul",
    "lan",
    "custom",
    "none",
    "group",
    -1,
    0,
    1e308,
    Number.NaN,
    null,
    true,
    [],
    {},
    [[]],
  ),
  fc.constantFrom({ $include: "x" }, { $include: [] }, { source: "env", id: "A" }, { source: "store", id: "A" }),
);
const mutation = fc.oneof(
  fc.record({ type: fc.constant("set" as const), path: fc.constantFrom(...paths), value: odd }),
  fc.record({ type: fc.constant("remove" as const), path: fc.constantFrom(...paths) }),
  fc.record({
    type: fc.constant("add" as const),
    path: fc.constantFrom(...paths),
    name: fc.oneof(
      fc.string(),
      fc.constantFrom("__proto__", "constructor", "toString", "agentToAgent", "enabled", "id"),
    ),
    value: odd,
  }),
  fc.record({ type: fc.constant("move" as const), path: fc.constantFrom(...openPaths), to: fc.constantFrom(...paths) }),
);
type Mutation = typeof mutation extends fc.Arbitrary<infer T> ? T : never;

/** JSON keeps a key `__proto__` apart from the prototype, as the file's parser does. */
function mutate(root: unknown, change: Mutation): unknown {
  const at = (path: Path): unknown =>
    path.reduce<unknown>(
      (value, part) => (typeof value === "object" && value !== null ? Reflect.get(value, part) : undefined),
      root,
    );
  const put = (path: Path, value: unknown): unknown => {
    const last = path.at(-1);
    if (last === undefined) return value;
    const parent = at(path.slice(0, -1));
    if (typeof parent === "object" && parent !== null)
      Object.defineProperty(parent, last, { value, enumerable: true, configurable: true, writable: true });
    return root;
  };
  if (change.type === "set") return put(change.path, structuredClone(change.value));
  if (change.type === "add") return put([...change.path, change.name], structuredClone(change.value));
  if (change.type === "move") return put(change.to, structuredClone(at(change.path)));
  const parent = at(change.path.slice(0, -1));
  if (typeof parent === "object" && parent !== null) Reflect.deleteProperty(parent, change.path.at(-1) ?? "");
  return root;
}

const around = makePaths({ env: {}, homeDir: "/nowhere/home", cwd: "/nowhere" });

/** Everything that loading does, without the file. */
async function load(value: unknown): Promise<unknown> {
  const text = JSON.stringify(value) ?? "null";
  const lines = findLines(text, 1_000);
  const source = { file: around.configPath, text, value: JSON.parse(text) as unknown, lines };
  const composed = await composeSource(source, around.homeDir);
  return resolveConfig(
    checkSource(composed, {
      paths: around,
      env: {},
      machine: { cores: 2, addresses: [], isRoot: false },
      exists: true,
      repeated: source.lines.repeated,
      channelFiles: new Map(),
    }),
  );
}

describe("a mutated configuration", () => {
  it("starts as a valid one", async () => {
    await expect(load(valid)).resolves.toMatchObject({ defaultAgentId: "main" });
  });

  it("is loaded or refused as invalid, quickly and without its secrets, 1,000 times", async () => {
    const outcomes = { accepted: 0, refused: 0 };
    const change = fc.array(mutation, { minLength: 1, maxLength: 4 });
    await fc.assert(
      fc.asyncProperty(change, async (mutations) => {
        const mutated = mutations.reduce<unknown>(mutate, structuredClone(valid));
        const startedAt = performance.now();
        try {
          await load(mutated);
          outcomes.accepted += 1;
        } catch (error) {
          outcomes.refused += 1;
          if (!isConfigFailure(error)) throw error;
          expect(error.message).not.toContain(secret);
          expect(error.issues.length).toBeGreaterThan(0);
        }
        // Loading takes about a millisecond; this bound only catches what would hang a start, also on a machine that stands still for a while.
        expect(performance.now() - startedAt).toBeLessThan(15_000);
      }),
      { numRuns: 1_000, seed: 20_260_923 },
    );
    expect(outcomes.accepted).toBeGreaterThan(50);
    expect(outcomes.refused).toBeGreaterThan(50);
  }, 120_000);
});
