/** A message that nobody handles: it is found, understood, replayed after the repair, or removed. */
import { writeFileSync } from "node:fs";
import path from "node:path";
import { afterAll, expect, test } from "vitest";
import { runLine } from "../support/command-lines.ts";
import { endPrograms, makeStateDir, startProgram } from "../support/program.ts";

afterAll(endPrograms);

const broken = `import { defineActor } from "cloister";
export default defineActor({
  message(ctx, message) {
    if (message.text.startsWith("bad")) process.exit(3);
    ctx.reply("handled: " + message.text);
  },
});`;
const repaired = broken.replace("process.exit(3);", 'ctx.stream("");');

interface Listed {
  readonly total: number;
  readonly byFate: Readonly<Record<string, number>>;
  readonly letters: readonly { readonly id: string; readonly fate: string; readonly reason: string }[];
}

test("a poison message is on the command line, is replayed after the actor is repaired, and purge empties the rest", async () => {
  const stateDir = makeStateDir({ agents: { list: [{ id: "main", module: "./actor.ts" }] } });
  const module = path.join(stateDir, "actor.ts");
  const run = (...args: string[]) => runLine(stateDir, ["deadletters", ...args]);
  const list = async (...args: string[]): Promise<Listed> =>
    JSON.parse((await run("list", "--json", ...args)).stdout) as Listed;
  writeFileSync(module, broken);
  let program = await startProgram(stateDir);
  expect(await run()).toMatchObject({ code: 0, stdout: "", stderr: "no dead letter\n" });
  expect((await runLine(stateDir, ["status"])).stdout).not.toContain("dead letters");
  const refused = await runLine(stateDir, ["send", "bad one"]);
  expect(refused.code).toBe(1);
  expect(refused.stderr + refused.stdout).toContain("dead letter");
  expect((await runLine(stateDir, ["send", "bad two"])).code).toBe(1);

  // The counts by fate are as of a moment ago.
  await expect
    .poll(() => list("--fate", "poison", "--agent", "main"))
    .toMatchObject({ total: 2, byFate: { poison: 2 } });
  const { letters } = await list("--fate", "poison", "--agent", "main");
  const [second, first] = letters;
  expect(first).toMatchObject({ fate: "poison", reason: "it was delivered 2 times and ended its cell" });
  expect((await run("list", "--limit", "1")).stdout).toContain("bad two");
  expect((await run("show", first?.id ?? "")).stdout).toMatch(/from +operator[\s\S]*\n {2}bad one/);
  expect((await runLine(stateDir, ["status"])).stdout).toMatch(/dead letters +2: 2 poison/);
  expect((await runLine(stateDir, ["health"])).stdout).toMatch(/dead letters +2: 2 poison/);

  // Letters outlive the process, and the replayed one meets the repaired module.
  expect(await program.stop()).toBe(0);
  writeFileSync(module, repaired);
  program = await startProgram(stateDir);
  expect((await runLine(stateDir, ["status"])).stdout).toMatch(/dead letters +2: 2 poison/);
  const replay = JSON.parse((await run("replay", first?.id ?? "", "--json")).stdout) as { envelopeId: string };
  expect(replay.envelopeId).not.toBe(first?.id);
  await expect
    .poll(async () => (await runLine(stateDir, ["history", "agent:main:main"])).stdout)
    .toContain("handled: bad one");
  const again = await run("replay", first?.id ?? "");
  expect(again.code).toBe(1);
  expect(again.stderr).toContain("there is none with this id");

  expect((await list()).letters.map(({ id }) => id)).toEqual([second?.id]);
  expect((await run("purge")).code).toBe(1);
  expect((await run("purge", "--fate", "expired")).stdout).toBe("0 dead letters purged\n");
  expect((await run("purge", "--older-than", "1")).stdout).toBe("0 dead letters purged\n");
  expect((await run("purge", "--all")).stdout).toBe("1 dead letter purged\n");
  expect(await list()).toMatchObject({ total: 0, byFate: {}, letters: [] });
  expect(await program.stop()).toBe(0);
});
