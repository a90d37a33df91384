/**
 * AC-02.2: what `sessions_list` says that the caller may do is what happens when it does it. Over random visibility, agent-to-agent
 * rules, grants of the config and of the operator, sandboxes and lineages, with the real tools.
 */
import { expect, test } from "vitest";
import { actor } from "../support/actors.ts";
import { openGateway, subagentPolicy, type TestGateway, withSessionTools } from "../support/gateway.ts";
import { makeRandom, type Random } from "../support/random.ts";

const spawner = actor("spawner");
const ids = ["main", "raul", "eve"] as const;
const verbs = ["send", "request", "list", "history", "spawn", "steer", "cancel"] as const;
const operator = { connId: "c", clientId: "cli-1", mode: "cli", scopes: ["operator.admin"] };
const rights = ["send", "read", "control", "listed"] as const;
/** How often each right was told and not told, over all worlds: a world where all or nothing is allowed shows nothing. */
const told = new Map<string, number>();

async function use(gateway: TestGateway, sessionKey: string, tool: string, params: object) {
  const agentId = sessionKey.split(":")[1] ?? "";
  const text = JSON.stringify({ do: "tool", tool, params });
  // oxlint-disable-next-line typescript/no-explicit-any -- a tool's result, looked into by the test
  return JSON.parse(await gateway.reply(agentId, text, sessionKey)) as Record<string, any>;
}

const some = <T>(random: Random, from: readonly T[]): T[] => from.filter(() => random.chance(0.5));

function randomGrant(random: Random) {
  const [from, to] = random.pick([ids, ["*", "eve"], ["r*", "main"], ["main", "raul"], ["raul", "eve"]] as const);
  // A row is told rights about where `list` is granted: often without the others.
  const granted = new Set([random.pick(["list", "list", ...verbs] as const), ...some(random, verbs)]);
  return { from, to, verbs: [...granted] };
}

async function randomWorld(random: Random) {
  const sandbox = () => random.pick(["off", "off", "non-main", "all"] as const);
  const subagents = subagentPolicy({ depthMax: 2 });
  const world = {
    visibility: random.pick(["self", "tree", "agent", "all", "all"] as const),
    sessionToolsVisibility: random.pick(["spawned", "all"] as const),
    agentToAgent: {
      enabled: random.chance(0.7),
      allow: random.pick([[], ["*"], ["main", "raul"], ["main", "e*"]]),
      grants: random.chance(0.7) ? [randomGrant(random)] : [],
    },
  };
  const agents = ids.map((id) => ({ id, ...spawner, subagents, sandboxMode: sandbox() }));
  const gateway = await openGateway(agents, { ...world, toolRules: withSessionTools });
  const given = random.chance(0.6) ? [randomGrant(random)] : [];
  for (const { from, to, verbs: granted } of given)
    expect(await gateway.doors.rpc(operator, "grants.add", { from, to, verbs: granted })).toMatchObject({
      ok: true,
    });
  return { gateway, world: JSON.stringify({ ...world, given, sandbox: agents.map(({ sandboxMode }) => sandboxMode) }) };
}

/** Main sessions, second sessions, and children and grandchildren of some of them, as far as the sandboxes let them be. */
async function fillSessions(random: Random, gateway: TestGateway): Promise<readonly string[]> {
  const sessions = ids.flatMap((id) => [`agent:${id}:main`, `agent:${id}:side`]);
  for (const key of sessions) await gateway.reply(key.split(":")[1] ?? "", '{"do":"say","text":"here"}', key);
  for (const key of sessions.filter(() => random.chance(0.5))) {
    const grandchild = {
      do: "tool",
      tool: "sessions_spawn",
      params: { agentId: random.pick(ids), task: '{"do":"say"}' },
    };
    const task = JSON.stringify(random.chance(0.5) ? grandchild : { do: "say", text: "done" });
    await use(gateway, key, "sessions_spawn", { agentId: random.pick(ids), task });
  }
  await expect.poll(async () => (await gateway.store.runs({ isOpen: true, limit: 10 })).length).toBe(0);
  const { rows } = await gateway.store.sessions({ agentIds: [...ids], limit: 100, offset: 0 });
  return rows.map(({ key }) => key);
}

test.each(Array.from({ length: 12 }, (_, seed) => seed + 1))(
  "AC-02.2: access.send, read and control are what sessions_send, sessions_history and sessions do; seed %i",
  async (seed) => {
    const random = makeRandom(seed);
    const { gateway, world } = await randomWorld(random);
    const keys = await fillSessions(random, gateway);
    const wrong: string[] = [];
    for (const caller of ["agent:main:main", "agent:main:side", "agent:raul:main"]) {
      const listed = (await use(gateway, caller, "sessions_list", { limit: 200 }))["sessions"] as {
        readonly key: string;
        readonly access: Readonly<Record<string, boolean>>;
      }[];
      const access = new Map(listed.map((row) => [row.key, row.access]));
      for (const sessionKey of keys) {
        const happens: Readonly<Record<string, object>> = {
          listed: await use(gateway, caller, "session_status", { sessionKey }),
          read: await use(gateway, caller, "sessions_history", { sessionKey }),
          control: await use(gateway, caller, "sessions", { action: "patch", sessionKey, archived: false }),
          send: await use(gateway, caller, "sessions_send", { sessionKey, message: '{"do":"say"}', timeoutSeconds: 0 }),
        };
        const says: Readonly<Record<string, boolean | undefined>> = {
          ...access.get(sessionKey),
          listed: access.has(sessionKey),
        };
        for (const right of rights) {
          // A session that is not listed is told nothing about: a right to write needs no right to list.
          const is = (happens[right] as { readonly status: string }).status !== "forbidden";
          if (says[right] === undefined) continue;
          told.set(`${right} ${is}`, (told.get(`${right} ${is}`) ?? 0) + 1);
          if (says[right] !== is) wrong.push(`${caller} ${right} ${sessionKey}: told ${says[right]}`);
        }
      }
    }
    expect(wrong, world).toEqual([]);
  },
);

test("AC-02.2: the random worlds have each right both given and refused", () => {
  for (const right of rights)
    for (const is of [true, false]) expect(told.get(`${right} ${is}`) ?? 0, `${right} ${is}`).toBeGreaterThan(5);
});
