/** A run that repeats a failing call, on a gateway with real cells (A11.3). */
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { limits } from "../../runtime/kernel/limits.ts";
import { openGateway } from "../support/gateway.ts";

const looper = {
  module: fileURLToPath(new URL("../fixtures/actors/looper.ts", import.meta.url)),
  moduleKind: "file" as const,
};
const agents = [
  { id: "main", ...looper },
  { id: "raul", module: "echo" },
];

test("A11.3: the same failing call again and again ends the run as failed: loop, and the owner is told", async () => {
  const gateway = await openGateway(agents);
  const ended = await gateway.say("main", "100000");
  expect(ended).toMatchObject({
    status: "error",
    refusal: {
      code: "CLOISTER_RUN_LOOP",
      message: expect.stringContaining(
        `failed: loop: the call tool sessions_history failed ${limits.sameFailuresDefault} times in the same way: forbidden`,
      ),
    },
  });
  const [audited] = (await gateway.store.audits(20)).filter(({ type }) => type === "loop");
  expect(audited).toMatchObject({ subject: "agent:main:main", code: "CLOISTER_RUN_LOOP", decision: "refused" });
  expect(
    gateway.logged.some(({ level, fields }) => level === "warn" && "event" in fields && fields.event === "loop"),
  ).toBe(true);
  // On the page the run has failed, with the reason; it was not aborted.
  expect(gateway.events.filter(({ event }) => event === "chat").map(({ payload }) => payload)).toContainEqual(
    expect.objectContaining({ state: "error", errorMessage: expect.stringContaining("failed: loop") }),
  );
  // The agent is in service, and counts anew.
  expect(await gateway.reply("main", String(limits.sameFailuresDefault - 1))).toBe(
    `called ${limits.sameFailuresDefault - 1} times`,
  );
});

test("A11.3: the bound is the config's", async () => {
  const gateway = await openGateway(agents, { loops: { sameFailuresMax: 40, sameSessionMax: 8 } });
  expect(await gateway.reply("main", "39")).toBe("called 39 times");
  expect(await gateway.say("main", "40000")).toMatchObject({ refusal: { code: "CLOISTER_RUN_LOOP" } });
});
