/** References that lead to programs, followed all by one command (`cloister doctor`, `config validate`): how many at once, and for how long. */
import { existsSync, mkdirSync, mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { expect, test } from "vitest";
import { provider } from "../../support/broker.ts";
import { checkSecrets, findLostSecrets } from "../../../runtime/cli/diagnosis/secrets.ts";
import { limits } from "../../../runtime/kernel/limits.ts";

/** So many headers whose values one program says. */
function configOf(count: number, script: string) {
  const stateDir = mkdtempSync(path.join(os.tmpdir(), "cloister-check-"));
  mkdirSync(path.join(stateDir, "secret-programs"), { mode: 0o700 });
  const text = `#!/bin/sh\ncd ${stateDir}\n${script}\n`;
  writeFileSync(path.join(stateDir, "secret-programs", "vault"), text, { mode: 0o700 });
  const headers = Object.fromEntries(
    Array.from({ length: count }, (_, at) => [`h${at}`, { ref: { source: "exec", provider: "vault", id: `${at}` } }]),
  );
  const models = { providers: { p: provider("p", { headers: headers as never }) }, variables: {} };
  return { stateDir, config: { stateDir, models, mcp: { servers: [] }, agents: [], warnings: [] } as never };
}

test("a few run at once", async () => {
  const { stateDir, config } = configOf(
    3 * limits.secretProgramsMax,
    ": > on-$1; ls on-* | wc -l >> most; sleep 0.05; rm on-$1; printf k",
  );
  expect(await findLostSecrets(config)).toEqual([]);
  const seen = readFileSync(path.join(stateDir, "most"), "utf8").trim().split("\n").map(Number);
  expect(seen).toHaveLength(3 * limits.secretProgramsMax);
  expect(Math.max(...seen)).toBeLessThanOrEqual(limits.secretProgramsOfOneMax);
});

test("none is begun after the time of the check, and those that were not followed are told as that", async () => {
  const count = limits.secretProgramsMax + 3;
  const { stateDir, config } = configOf(count, ": > began; printf k");
  const nowMs = () => (existsSync(path.join(stateDir, "began")) ? limits.secretsCheckMs : 0);
  const left = [count - 3, count - 2, count - 1].map((at) => `models.providers.p.headers.h${at}`);
  expect(await findLostSecrets(config, nowMs)).toEqual(
    left.map((key) => ({
      path: key,
      message: "was not followed: those before it took 60 s",
      remedy: expect.stringContaining("secret-programs"),
      isOfEnvironment: false,
      isUnread: true,
    })),
  );
});

test("one that fails is an error, since what needs it is off", async () => {
  const { config } = configOf(1, "exit 3");
  expect(await checkSecrets(config)).toMatchObject([{ id: "config.secret", severity: "error" }]);
});
