/** `cloister pairing` with the real program and a real webhook: a stranger writes, the owner decides, the stranger writes again. */
import { afterAll, expect, test } from "vitest";
import { runLine } from "../support/command-lines.ts";
import { endPrograms, makeStateDir, startProgram } from "../support/program.ts";
import { post } from "../support/webhook.ts";

afterAll(endPrograms);

test("an unknown sender is approved with the command that it was told, and stays so over a restart", async () => {
  const stateDir = makeStateDir({
    channels: { webhook: { dmPolicy: "pairing", accounts: { home: { token: "home-token" } } } },
  });
  let program = await startProgram(stateDir);
  const write = (id: string) =>
    post(
      `${program.url}/channels/webhook/home`,
      { text: "who are you", sender: { id }, wait: true },
      { authorization: "Bearer home-token" },
    );
  const first = await write("ana");
  expect(first.body).toMatchObject({ ok: true, status: "dropped" });
  const [, told = ""] = /^(cloister pairing approve webhook [A-Z2-9]{8})$/m.exec(first.body.reply) ?? [];
  const args = told.split(" ").slice(1);

  const listed = await runLine(stateDir, ["pairing", "list"]);
  expect(listed.stdout).toMatch(new RegExp(`^${args.at(-1)} +webhook +home +ana `, "m"));
  const approved = await runLine(stateDir, args);
  expect(approved).toMatchObject({ code: 0, stdout: "ana may write directly on webhook; nothing else was given\n" });
  expect((await write("ana")).body).toMatchObject({ status: "accepted", reply: expect.stringContaining("I am main") });

  await write("bob");
  const { requests } = JSON.parse((await runLine(stateDir, ["pairing", "list", "webhook", "--json"])).stdout);
  expect(requests).toMatchObject([{ senderId: "bob" }]);
  expect(await runLine(stateDir, ["pairing", "reject", requests[0].code])).toMatchObject({ code: 0 });
  const over = await runLine(stateDir, ["pairing", "approve", requests[0].code]);
  expect([over.code, over.stderr]).toEqual([1, expect.stringContaining("CLOISTER_SENDER_UNKNOWN")]);

  await program.stop();
  program = await startProgram(stateDir);
  expect((await write("ana")).body).toMatchObject({ status: "accepted" });
  expect(await runLine(stateDir, ["pairing", "remove", "webhook", "ana", "--account", "home"])).toMatchObject({
    code: 0,
  });
  expect((await write("ana")).body).toMatchObject({ status: "dropped" });
  await program.stop();
});
