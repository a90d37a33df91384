/** One function judges: the compiled rows, the kernel's answer and the explanation agree on every policy. Source: behaviour §3.8. */
import fc from "fast-check";
import JSON5 from "json5";
import { describe, expect, test } from "vitest";
import { callerPairings, compilePairings, explainMissing, grantPairings } from "../../../auth/compile-pairings.ts";
import { type GrantVerb, grantVerbs } from "../../../runtime/kernel/envelope.ts";
import { type Grant, judgePair, judgeSession, type Policy, type Requester } from "../../../auth/policy.ts";
import { makePairingRegistry, type PairingRegistry } from "../../../runtime/kernel/pairings.ts";

const policy = (changes: Partial<Policy> = {}): Policy => ({
  visibility: "all",
  agentToAgent: { enabled: true, allow: ["main", "raul"] },
  sessionToolsVisibility: "spawned",
  ...changes,
});
const requester = (changes: Partial<Requester> = {}): Requester => ({
  agentId: "main",
  sessionKey: "agent:main:main",
  mainSessionKey: "agent:main:main",
  sandboxed: false,
  ...changes,
});
const target = (sessionKey: string, ancestors: readonly string[] = []) => ({
  agentId: sessionKey.split(":")[1] ?? "",
  sessionKey,
  ancestors,
});

describe("the table of behaviour §3.8", () => {
  test.each([
    ["main → raul, all, on", policy(), requester(), target("agent:raul:main"), true],
    ["main → raul, agent, on", policy({ visibility: "agent" }), requester(), target("agent:raul:main"), false],
    [
      "main → raul, all, off",
      policy({ agentToAgent: { enabled: false, allow: ["main", "raul"] } }),
      requester(),
      target("agent:raul:main"),
      false,
    ],
    [
      "sandboxed family → own child, any level",
      policy({ visibility: "self", agentToAgent: { enabled: false, allow: [] } }),
      requester({ sandboxed: true }),
      target("agent:raul:subagent:1", ["agent:main:main"]),
      true,
    ],
    [
      "sandboxed → own main session, all",
      policy(),
      requester({ sandboxed: true, sessionKey: "agent:main:webhook:group:g" }),
      target("agent:main:main"),
      false,
    ],
    [
      "the same with sessionToolsVisibility all",
      policy({ sessionToolsVisibility: "all" }),
      requester({ sandboxed: true, sessionKey: "agent:main:webhook:group:g" }),
      target("agent:main:main"),
      true,
    ],
    [
      "the same with all of its own alone",
      policy({ sessionToolsVisibilityOf: { main: "all", raul: "spawned" } }),
      requester({ sandboxed: true, sessionKey: "agent:main:webhook:group:g" }),
      target("agent:main:main"),
      true,
    ],
    [
      "the same with spawned of its own, all for the others",
      policy({ sessionToolsVisibility: "all", sessionToolsVisibilityOf: { main: "spawned" } }),
      requester({ sandboxed: true, sessionKey: "agent:main:webhook:group:g" }),
      target("agent:main:main"),
      false,
    ],
    [
      "sub-agent of main → main, tree",
      policy({ visibility: "tree" }),
      requester({ sessionKey: "agent:main:subagent:1" }),
      target("agent:main:main"),
      false,
    ],
    [
      "main session → any session of its agent, tree",
      policy({ visibility: "tree" }),
      requester(),
      target("agent:main:webhook:group:g"),
      true,
    ],
    [
      "another session → a sibling session, tree",
      policy({ visibility: "tree" }),
      requester({ sessionKey: "agent:main:webhook:group:a" }),
      target("agent:main:webhook:group:b"),
      false,
    ],
    [
      "another session → its own child in another agent, tree",
      policy({ visibility: "tree" }),
      requester({ sessionKey: "agent:main:x:group:a" }),
      target("agent:raul:subagent:1", ["agent:main:x:group:a"]),
      true,
    ],
    [
      "a child owned by another agent, level agent",
      policy({ visibility: "agent" }),
      requester(),
      target("agent:raul:subagent:1", ["agent:main:main"]),
      false,
    ],
    ["self → itself", policy({ visibility: "self" }), requester(), target("agent:main:main"), true],
    ["self → another of its agent", policy({ visibility: "self" }), requester(), target("agent:main:other"), false],
  ] as const)("%s", (_name, rules, from, to, allowed) => {
    const judged = judgeSession(rules, from, to, "send");
    expect(judged.allowed).toBe(allowed);
    if (!judged.allowed)
      expect(judged).toMatchObject({
        rule: expect.any(String),
        message: expect.any(String),
        remedy: expect.stringMatching(/./),
      });
  });
});

const ids = ["main", "raul", "eve", "work-a", "work-b"];
const isAgent = (agentId: string): boolean => ids.includes(agentId);
/** As the driver makes it. */
const registryOf = (rules: Policy): PairingRegistry => {
  const registry = makePairingRegistry(compilePairings(rules, isAgent));
  for (const grant of rules.operator ?? []) for (const row of grantPairings(grant, ids)) registry.add(row);
  return registry;
};
const patterns = fc.constantFrom("*", "main", "raul", "work-*", "*-a", "nobody", "");
const operatorGrants = fc
  .array(fc.tuple(patterns, patterns, fc.uniqueArray(fc.constantFrom(...grantVerbs), { minLength: 1, maxLength: 3 })), {
    maxLength: 3,
  })
  .map((rows) => rows.map(([from, to, verbs], index) => ({ id: `g${index}`, from, to, verbs })));
const policies: fc.Arbitrary<Policy> = fc.record({
  visibility: fc.constantFrom("self", "tree", "agent", "all"),
  agentToAgent: fc.record({
    enabled: fc.boolean(),
    allow: fc.array(patterns, { maxLength: 4 }),
    grants: fc.array(
      fc.record({
        from: patterns,
        to: patterns,
        verbs: fc.uniqueArray(fc.constantFrom(...grantVerbs), { minLength: 1, maxLength: 3 }),
      }),
      { maxLength: 3 },
    ),
  }),
  operator: operatorGrants,
  sessionToolsVisibility: fc.constantFrom("spawned", "all"),
});

test("a compiled pairing exists exactly when the judgement allows; a refusal names a rule and a remedy", () => {
  let pairs = 0;
  fc.assert(
    fc.property(policies, (rules) => {
      const registry = registryOf(rules);
      for (const from of ids) {
        for (const to of ids) {
          if (from === to) continue;
          for (const verb of grantVerbs) {
            pairs++;
            const judged = judgePair(rules, from, to, verb);
            expect(registry.find(`agent:${from}`, verb, `agent:${to}`) !== undefined).toBe(judged.allowed);
            if (!judged.allowed)
              expect(explainMissing(rules, `agent:${from}`, verb, `agent:${to}`).remedy).not.toBe("");
          }
        }
      }
    }),
    { numRuns: 500 },
  );
  expect(pairs).toBe(500 * 20 * grantVerbs.length);
});

test("a clamped session reaches only its descendants, whatever else the policy says", () => {
  fc.assert(
    fc.property(
      policies,
      fc.constantFrom(...ids),
      fc.boolean(),
      fc.constantFrom("list", "history", "send"),
      (rules, to, isChild, verb) => {
        const from = requester({ sandboxed: true, sessionKey: "agent:main:webhook:group:g" });
        const judged = judgeSession(
          { ...rules, sessionToolsVisibility: "spawned" },
          from,
          target(`agent:${to}:subagent:1`, isChild ? [from.sessionKey] : ["agent:main:main"]),
          verb,
        );
        expect(judged.allowed).toBe(isChild);
      },
    ),
  );
});

test("rows name patterns: an agent has the same few, however many agents there are", () => {
  const open = compilePairings(policy({ agentToAgent: { enabled: true, allow: ["*"] } }), () => true);
  expect(open.of("agent:main")).toHaveLength(3);
  expect(JSON.stringify(compilePairings(policy(), isAgent).of("agent:main"))).not.toContain("operator.");
});

test("every row of an agent is found by its id alone, as mail from before a restart names it; nothing else is", () => {
  fc.assert(
    fc.property(policies, (rules) => {
      const standing = compilePairings(rules, isAgent);
      for (const id of ids) {
        for (const row of standing.of(`agent:${id}`)) {
          expect(standing.subjectOf(row.id)).toBe(row.subject);
          expect(registryOf({ ...rules, operator: [] }).get(row.id)).toEqual(row);
          expect(registryOf({ ...rules, operator: [] }).isLive(`${row.id}x`)).toBe(false);
        }
      }
      expect(standing.of("agent:nobody")).toEqual([]);
      expect(standing.of("main")).toEqual([]);
    }),
  );
});

test("grants that come and go at random: registry and judgement agree after each of them", () => {
  fc.assert(
    fc.property(
      policies,
      fc.array(fc.tuple(fc.boolean(), operatorGrants, fc.nat()), { maxLength: 8 }),
      (rules, steps) => {
        const registry = registryOf(rules);
        let held = rules.operator ?? [];
        for (const [index, [adds, grants, pick]] of steps.entries()) {
          const gone = adds ? undefined : held[pick % Math.max(1, held.length)];
          if (gone !== undefined) {
            for (const { id } of grantPairings(gone, ids)) registry.revoke(id);
            held = held.filter((grant) => grant !== gone);
          } else {
            const added = grants.map((grant) => ({ ...grant, id: `${index}-${grant.id}` }));
            for (const pairing of added.flatMap((grant) => grantPairings(grant, ids))) registry.add(pairing);
            held = [...held, ...added];
          }
          for (const from of ids) {
            for (const to of ids.filter((id) => id !== from)) {
              for (const verb of grantVerbs) {
                const judged = judgePair({ ...rules, operator: held }, from, to, verb);
                expect(registry.find(`agent:${from}`, verb, `agent:${to}`) !== undefined).toBe(judged.allowed);
              }
            }
          }
        }
      },
    ),
    { seed: 4 },
  );
});

test("AC-06.4: no record of rights has an operator's scope in it, whatever the config and the operators grant", () => {
  const pattern = fc.constantFrom("main", "raul", "*", "r*");
  const verbs = fc.subarray([...grantVerbs], { minLength: 1 });
  fc.assert(
    fc.property(
      fc.boolean(),
      fc.constantFrom("self" as const, "tree" as const, "agent" as const, "all" as const),
      fc.array(fc.record({ from: pattern, to: pattern, verbs }), { maxLength: 3 }),
      fc.array(fc.record({ id: fc.uuid(), from: pattern, to: pattern, verbs }), { maxLength: 3 }),
      (enabled, visibility, grants, granted) => {
        const rules = policy({ visibility, agentToAgent: { enabled, allow: ["*"], grants } });
        const rows = [
          ...compilePairings(rules, () => true).of("agent:main"),
          ...granted.flatMap((row) => grantPairings(row, ["main", "raul"])),
        ];
        expect(rows.length).toBeGreaterThan(0);
        expect(JSON.stringify(rows)).not.toContain("operator.");
        for (const row of rows) for (const verb of row.verbs) expect(verb).not.toMatch(/^operator/);
      },
    ),
  );
});

test("a sandboxed session is told the key that holds for its agent", () => {
  const sandboxed = requester({ sandboxed: true, sessionKey: "agent:main:webhook:group:g" });
  const remedyOf = (rules: Policy) => {
    const judged = judgeSession(rules, sandboxed, target("agent:main:main"), "list");
    return judged.allowed ? undefined : judged.remedy;
  };
  expect(remedyOf(policy())).toBe('agents.defaults.sandbox.sessionToolsVisibility: "all"');
  expect(remedyOf(policy({ sessionToolsVisibilityOf: { main: "spawned" } }))).toBe(
    'agents.list[id=main].sandbox.sessionToolsVisibility: "all"',
  );
});

describe("what a refusal between agents names", () => {
  /** One part of a remedy: how it is written, and what the policy is when an operator has done so. */
  const parts: readonly (readonly [
    form: RegExp,
    done: (rules: Policy, what: string, at: string) => Partial<Policy>,
  ])[] = [
    [/^tools\.sessions\.visibility: "all"$/u, () => ({ visibility: "all" })],
    [
      /^tools\.agentToAgent: (\{.+\})$/u,
      ({ agentToAgent }, what) => ({ agentToAgent: { ...agentToAgent, ...JSON5.parse<object>(what) } }),
    ],
    [
      /^tools\.agentToAgent\.enabled: true$/u,
      ({ agentToAgent }) => ({ agentToAgent: { ...agentToAgent, enabled: true } }),
    ],
    [
      /^add ("[\w-]+"(?: and "[\w-]+")?) to tools\.agentToAgent\.allow$/u,
      ({ agentToAgent }, what) => ({
        agentToAgent: {
          ...agentToAgent,
          allow: [...agentToAgent.allow, ...JSON5.parse<string[]>(`[${what.replace(" and ", ",")}]`)],
        },
      }),
    ],
    [
      /^(?:add (\{.+\}) to tools\.agentToAgent\.grants|tools\.agentToAgent\.grants: \[(\{.+\})\])$/u,
      ({ agentToAgent }, added, whole) => ({
        agentToAgent: {
          ...agentToAgent,
          grants: [...(added === "" ? [] : (agentToAgent.grants ?? [])), JSON5.parse<Grant>(added || whole)],
        },
      }),
    ],
    [
      /^add "(\w+)" to tools\.agentToAgent\.grants\[(\d+)\]\.verbs$/u,
      ({ agentToAgent }, verb, at) => ({
        agentToAgent: {
          ...agentToAgent,
          grants: (agentToAgent.grants ?? []).map((row, index) =>
            index === Number(at) ? { ...row, verbs: [...row.verbs, verb as GrantVerb] } : row,
          ),
        },
      }),
    ],
  ];

  const follow = (given: Policy, remedy: string): Policy =>
    remedy.split("; ").reduce((rules, text) => {
      const found = parts.flatMap(([form, done]) => {
        const [, what = "", at = ""] = form.exec(text) ?? [undefined];
        return form.test(text) ? [done(rules, what, at)] : [];
      });
      expect(found, text).toHaveLength(1);
      return { ...rules, ...found[0] };
    }, given);

  test("is all that it takes, and takes nothing away from others", () => {
    const seen = new Set<string>();
    fc.assert(
      fc.property(
        policies,
        fc.constantFrom(...ids),
        fc.constantFrom(...ids),
        fc.constantFrom(...grantVerbs),
        (given, from, to, verb) => {
          fc.pre(from !== to);
          const judged = judgePair(given, from, to, verb);
          if (judged.allowed) return;
          seen.add(judged.rule.replace(/\d/u, "n"));
          const rules = follow(given, judged.remedy);
          expect(judgePair(rules, from, to, verb), judged.remedy).toMatchObject({ allowed: true });
          for (const one of ids)
            for (const other of ids)
              if (judgePair(given, one, other, verb).allowed)
                expect(judgePair(rules, one, other, verb), judged.remedy).toMatchObject({ allowed: true });
        },
      ),
      { numRuns: 2_000 },
    );
    expect([...seen].toSorted()).toEqual([
      "tools.agentToAgent.allow",
      "tools.agentToAgent.enabled",
      "tools.agentToAgent.grants",
      "tools.agentToAgent.grants[n]",
      "tools.sessions.visibility",
    ]);
  });

  test("a grant of the config that is off says so", () => {
    const grants = [{ from: "main", to: "raul", verbs: ["spawn", "send"] as const }];
    const rules = policy({ visibility: "tree", agentToAgent: { enabled: false, allow: [], grants } });
    for (const verb of ["spawn", "send"] as const)
      expect(judgePair(rules, "main", "raul", verb)).toEqual({
        allowed: false,
        rule: "tools.agentToAgent.enabled",
        message:
          "Agent-to-agent messaging is disabled. Set tools.agentToAgent.enabled=true to allow cross-agent sends. tools.agentToAgent.grants[0] counts only then.",
        remedy: "tools.agentToAgent.enabled: true",
      });
  });
});

describe("rows of the registry that no judgement between agents tells of", () => {
  const registry = (changes: Partial<Policy>): PairingRegistry =>
    makePairingRegistry(compilePairings(policy(changes), isAgent));

  test("only the agents that tools.config.propose names may propose, and none of them hands that on", () => {
    const rows = registry({ proposers: ["raul"] });
    expect(rows.find("agent:raul", "tool:config_propose", "gateway")?.delegable).toBeUndefined();
    expect(rows.find("agent:main", "tool:config_propose", "gateway")).toBeUndefined();
    expect(rows.of("agent:main").flatMap(({ delegable = [] }) => delegable)).not.toContain("tool:config_propose");
  });

  test("an agent speaks on channels only where an entry that names it says so", () => {
    const rows = registry({ deliveries: [{ from: "ra*", to: ["webhook:biz:*"] }] });
    expect(rows.find("agent:raul", "deliver", "channel:webhook:biz:direct:bob")).toBeDefined();
    expect(rows.find("agent:raul", "deliver", "channel:webhook:other:direct:bob")).toBeUndefined();
    expect(rows.find("agent:main", "deliver", "channel:webhook:biz:direct:bob")).toBeUndefined();
  });

  test("what the configuration says twice is one row", () => {
    const grant: Grant = { from: "main", to: "raul", verbs: ["send"] };
    const allow = ["*", "*"];
    const deliveries = [{ from: "main", to: ["webhook:*", "webhook:*"] }];
    const rows = registry({
      agentToAgent: { enabled: true, allow, grants: [grant, grant] },
      deliveries,
      hooks: ["main", "main"],
    });
    const found = [...rows.of("agent:main"), ...rows.of("hook")].map(({ id }) => id);
    expect(new Set(found).size).toBe(found.length);
  });

  test("mail of a hook from before a restart finds its right by the id alone", () => {
    expect(registry({ hooks: ["ma*"] }).isLive("config:hook:ma*")).toBe(true);
    expect(registry({ hooks: ["raul"] }).isLive("config:hook:ma*")).toBe(false);
  });

  test("the rows of a grant and of a caller end when they do", () => {
    const untilMs = 1_000;
    const caller = { id: "c1", name: "shop", agents: ["main"], untilMs, createdAtMs: 0, by: "cli", tokenHash: "" };
    const rows = makePairingRegistry();
    for (const row of callerPairings(caller)) rows.add(row);
    for (const row of grantPairings({ id: "g1", from: "raul", to: "main", verbs: ["send"], untilMs }, ids))
      rows.add(row);
    expect(rows.expired(untilMs - 1)).toEqual([]);
    expect(rows.expired(untilMs).map(({ id }) => id)).toEqual(["caller:c1:main", "operator:g1:raul"]);
  });
});
