/**
 * Which scope opens which method: every role × set of scopes × method, against the lists of behaviour §4.4 and protocol.md, which are
 * written out here and not read from the table of methods. What no list names needs `operator.admin`.
 */
import { describe, expect, test } from "vitest";
import { operatorScopes } from "../../../auth/scopes.ts";
import { makeBounds } from "../../../runtime/edge/bounds.ts";
import { findMethod, methods } from "../../../runtime/edge/methods.ts";
import type { Client, DoorRefusal } from "../../../runtime/edge/port.ts";
import { answerFrame } from "../../../runtime/edge/requests.ts";
import type { Refusal } from "../../../runtime/kernel/errors.ts";

const listed: Readonly<Record<string, readonly RegExp[]>> = {
  "operator.read": [
    /^(?:health|status|system-presence|logs\.tail|channels\.status|commands\.list|models\.list|tools\.(?:catalog|effective)|audit\.\w+)$/,
    /^sessions\.(?:list|resolve|preview|describe|subscribe)$/,
    /^chat\.history$/,
    /^agents\.(?:list|files\.list|files\.get)$/,
    // Ours, and it only looks.
    /^agents\.memory$/,
    /^agent\.identity\.get$/,
    /^config\.(?:get|schema|schema\.lookup)$/,
    /^cron\.(?:list|status|runs)$/,
    /^usage\./,
    /^node\.(?:list|describe)$/,
    // The peer's; no list names it, and it looks at what `usage.*` looks at.
    /^sessions\.usage(?:\.timeseries)?$/,
    // The peer's; no list names it, and it only looks.
    /^last-heartbeat$/,
    // Ours: what only looks.
    /^(?:lanes|timers|tasks|subagents|grants|deadletters|callers)\.(?:list|get|explain|requests|show|matrix)$/,
    /^(?:gateway\.status|metrics\.get|memory\.(?:status|search)|skills\.status|route\.explain|flow\.recent|config\.proposals(?:\.show)?)$/,
  ],
  "operator.write": [
    /^(?:agent|agent\.wait|chat\.send|chat\.abort|send|wake|tools\.invoke|node\.invoke|runs\.stop|memory\.index)$/,
    /^sessions\.(?:send|steer|abort|create|patch|delete)$/,
  ],
  "operator.pairing": [
    /^device\.(?:pair\.(?:list|approve|reject|remove|rename)|token\.(?:rotate|revoke))$/,
    /^node\.pair\./,
    /^channels\.pairing\.(?:list|dismiss)$/,
  ],
  "operator.approvals": [/^(?:exec|plugin)?\.?approval\./],
  "operator.questions": [/^question\./],
};

const wanted = (method: string): string =>
  Object.entries(listed).find(([, patterns]) => patterns.some((pattern) => pattern.test(method)))?.[0] ??
  "operator.admin";

/** Behaviour §4.4: `write` implies `read` and `talk`, `admin` everything. */
const opens = (held: readonly string[], scope: string): boolean =>
  held.includes("operator.admin") ||
  held.includes(scope) ||
  (scope === "operator.read" && held.includes("operator.write"));

/** Every set of scopes that there can be. */
const sets = Array.from({ length: 2 ** operatorScopes.length }, (_, bits) =>
  operatorScopes.filter((_scope, place) => (bits >> place) % 2 === 1),
);

/** Parameters do not fit most methods: then the scope was held, and only then they are looked at. */
async function ask(
  scopes: readonly string[],
  method: string,
  params: object = {},
  refusal?: Refusal,
  noted: DoorRefusal[] = [],
): Promise<{ code?: string; missing?: string; message?: string }> {
  const client: Client = { connId: "c", clientId: "t", mode: "test", scopes };
  let text = "";
  await answerFrame(client, { type: "req", id: "1", method, params }, (frame) => (text = frame), {
    kernel: {
      rpc: async () => (refusal === undefined ? { ok: true, payload: {} } : { ok: false, refusal }),
      waitRun: async (runId) => ({ status: "timeout", runId }),
    },
    noteRefusal: (row) => void noted.push(row),
    presence: async () => [],
    bounds: makeBounds(),
    now: () => 0,
  });
  const { error } = JSON.parse(text) as {
    error?: { code: string; message: string; details?: { missingScope?: string } };
  };
  const missing = error?.details?.missingScope;
  return {
    ...(error === undefined ? {} : { code: error.code }),
    ...(missing === undefined ? {} : { missing, message: error?.message ?? "" }),
  };
}

describe("scopes of methods", () => {
  test("the table says what the lists say, and admin for the rest", () => {
    const table = Object.entries(methods).map(([name, { scope }]) => [name, scope]);
    expect(table.length).toBeGreaterThan(60);
    expect(table).toEqual(table.map(([name = ""]) => [name, wanted(name)]));
  });

  test.each(Object.keys(methods))("%s opens for the sets of scopes that hold it, and no other", async (method) => {
    const scope = wanted(method);
    for (const held of sets) {
      const { code, missing } = await ask(held, method);
      if (opens(held, scope)) expect([held, code === "FORBIDDEN"]).toEqual([held, false]);
      else expect([held, code, missing]).toEqual([held, "FORBIDDEN", scope]);
    }
  });

  test("scopes that do not exist, look alike, or are of a node open nothing", async () => {
    const odd = [
      "operator",
      "operator.*",
      "operator.read ",
      "OPERATOR.ADMIN",
      "admin",
      "node.invoke",
      "operator.admin.x",
      "*",
    ];
    for (const method of Object.keys(methods))
      for (const held of [odd, ...odd.map((scope) => [scope])])
        expect([method, held, (await ask(held, method)).code]).toEqual([method, held, "FORBIDDEN"]);
  });

  test("the method is known before its scope is judged, and names of the object's prototype are none", async () => {
    for (const method of ["wizard.start", "usage.enable", "toString", "__proto__", "constructor", ""]) {
      expect(findMethod(method)).toBeUndefined();
      expect((await ask(["operator.admin"], method)).code).toBe("INVALID_REQUEST");
    }
  });

  test("a scope that the kernel's side found missing is answered and written down like one that the table names", async () => {
    const noted: DoorRefusal[] = [];
    const refusal = { code: "CLOISTER_EDGE_FORBIDDEN", message: "of /new", missingScope: "operator.admin" } as const;
    const answer = await ask(["operator.write"], "chat.send", { sessionKey: "s", message: "/new" }, refusal, noted);
    expect(answer).toEqual({ code: "FORBIDDEN", missing: "operator.admin", message: "missing scope: operator.admin" });
    expect(noted).toMatchObject([{ type: "access_denied", object: "chat.send", code: "MISSING_SCOPE" }]);
  });
});
