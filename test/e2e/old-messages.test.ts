/** After a long stop the real program answers nothing old: what a platform then tells with a date of days ago is a dead letter, and its sender hears so. */
import { expect, test } from "vitest";
import { openToAll, type PlatformName } from "../support/chats.ts";
import { runLine } from "../support/command-lines.ts";
import { eventually } from "../support/eventually.ts";
import { openOnePerson } from "../support/one-person.ts";
import { makeStateDir, startProgram } from "../support/program.ts";

const names: readonly PlatformName[] = ["Telegram, long polling", "Discord", "Slack, socket mode", "WhatsApp"];
const daysMs = 50 * 3_600_000;

test("what was written days ago is a dead letter on each platform, what came since is answered, and a replay answers the rest", async () => {
  const scenes = await Promise.all(names.map(openOnePerson));
  const stateDir = makeStateDir({
    gateway: { auth: { mode: "none" } },
    agents: { list: [{ id: "main", module: "echo" }] },
    channels: Object.fromEntries(scenes.map(({ channel, section }) => [channel, { ...section, ...openToAll }])),
    bindings: scenes.map(({ channel }) => ({ agentId: "main", match: { channel } })),
  });
  const first = await startProgram(stateDir);
  for (const { say } of scenes) await say("before");
  for (const { heard } of scenes) await eventually(() => expect(heard).toEqual(["before"]));
  await first.stop();
  // Discord tells what was written before what it has told only to whoever is there.
  for (const { channel, say } of scenes) if (channel !== "discord") await say("days ago", daysMs);
  const program = await startProgram(stateDir);
  for (const { channel, say } of scenes) {
    if (channel === "discord") await say("days ago", daysMs);
    await say("now");
  }
  for (const { name, heard } of scenes)
    await eventually(() =>
      expect([name, heard.slice(1).toSorted()]).toEqual([
        name,
        [expect.stringMatching(/^What you wrote 50 hours ago .*CLOISTER.MAILBOX.EXPIRED/), "now"],
      ]),
    );
  const listed = await runLine(stateDir, ["deadletters", "list", "--fate", "expired", "--json"]);
  const { letters } = JSON.parse(listed.stdout) as { letters: readonly { id: string; reason: string }[] };
  expect(letters.map(({ reason }) => reason)).toEqual(
    names.map(() => "CLOISTER_MAILBOX_EXPIRED: it was written 50 h before it came, and 24 h are the most"),
  );
  for (const { id } of letters)
    expect(await runLine(stateDir, ["deadletters", "replay", id])).toMatchObject({ code: 0 });
  for (const { heard } of scenes) await eventually(() => expect(heard.at(-1)).toBe("days ago"));
  expect(await program.stop()).toBe(0);
  for (const { name, violations } of scenes) expect([name, violations]).toEqual([name, []]);
});
