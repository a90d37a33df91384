/** DM approval on each of the platforms with the real program: a stranger writes and gets a code, the operator types what it says, and the stranger is answered. */
import { expect, test } from "vitest";
import type { PlatformName } from "../support/chats.ts";
import { runLine } from "../support/command-lines.ts";
import { eventually } from "../support/eventually.ts";
import { openOnePerson } from "../support/one-person.ts";
import { makeStateDir, startProgram } from "../support/program.ts";

const names: readonly PlatformName[] = ["Telegram, long polling", "Discord", "Slack, socket mode", "WhatsApp", "IRC"];

test("a stranger on each platform is let in by the command that he was told, and by no other's", async () => {
  const scenes = await Promise.all(names.map(openOnePerson));
  const program = await startProgram(
    makeStateDir({
      gateway: { auth: { mode: "none" } },
      agents: { list: [{ id: "main", module: "echo" }] },
      channels: Object.fromEntries(scenes.map(({ channel, section }) => [channel, section])),
      bindings: scenes.map(({ channel }) => ({ agentId: "main", match: { channel } })),
    }),
  );
  const told = await Promise.all(
    scenes.map(async ({ channel, heard, say }) => {
      await say("let me in");
      const form = new RegExp(`cloister (pairing approve ${channel} [A-Z2-9]{8})`);
      return eventually(() => {
        const [, command] = form.exec(heard.join("\n")) ?? [];
        if (command === undefined) throw new Error(`${channel} says ${heard.join("\n")}, wanted ${String(form)}`);
        return command.split(" ");
      });
    }),
  );
  for (const [at, { channel, heard, say }] of scenes.entries()) {
    const before = heard.length;
    const command = told[at] ?? [];
    if (at === 0) {
      const elsewhere = ["pairing", "approve", scenes[1]?.channel ?? "", command.at(-1) ?? ""];
      const wrong = await runLine(program.stateDir, elsewhere);
      expect([wrong.code, wrong.stderr]).toEqual([1, expect.stringContaining("CLOISTER_SENDER_UNKNOWN")]);
    }
    const approved = await runLine(program.stateDir, command);
    expect(approved).toMatchObject({ code: 0, stdout: expect.stringContaining(`may write directly on ${channel}`) });
    await say("are you there");
    await eventually(() => expect(heard.slice(before)).toEqual(["are you there"]));
  }
  expect(await program.stop()).toBe(0);
  for (const { name, violations } of scenes) expect([name, violations]).toEqual([name, []]);
});
