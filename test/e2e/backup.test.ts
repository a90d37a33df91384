/** `cloister backup` of a gateway under load, `cloister restore`, and the restored gateway at work. */
import {
  appendFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import os from "node:os";
import path from "node:path";
import { afterAll, expect, test } from "vitest";
import { runLine } from "../support/command-lines.ts";
import { endPrograms, makeStateDir, runCommand, startProgram } from "../support/program.ts";
import { siblings } from "../support/siblings.ts";
import { post } from "../support/webhook.ts";

const scratch = mkdtempSync(path.join(os.tmpdir(), "cloister-backup-"));
afterAll(() => {
  endPrograms();
  rmSync(scratch, { recursive: true, force: true });
});

interface History {
  readonly messages: readonly { readonly role: string; readonly content: readonly { readonly text: string }[] }[];
}

const peers = ["a", "b", "c", "d"] as const;
const config = siblings({
  agents: {
    list: [
      { id: "main", default: true, module: "echo" },
      { id: "raul", module: "echo" },
    ],
  },
  session: { dmScope: "per-peer" },
});

test("a backup under load is restored elsewhere with everything that was accepted before its moment, once", async () => {
  const stateDir = makeStateDir(config);
  const program = await startProgram(stateDir);
  const accepted: { readonly text: string; readonly atMs: number }[] = [];
  const loading = new AbortController();
  const load = Promise.all(
    (["home", "raul"] as const).flatMap((account) =>
      peers.map(async (peer) => {
        for (let at = 0; !loading.signal.aborted; at += 1) {
          const text = `${account}-${peer}-${at}`;
          const answer = await post(
            `${program.url}/channels/webhook/${account}`,
            { text, sender: { id: peer }, messageId: text },
            { authorization: `Bearer ${account}-token` },
          );
          if (answer.status === 202 || answer.status === 200) accepted.push({ text, atMs: Date.now() });
        }
      }),
    ),
  );
  await expect.poll(() => accepted.length).toBeGreaterThan(200);
  writeFileSync(path.join(stateDir, "workspace", "notes.txt"), "kept");
  symlinkSync("notes.txt", path.join(stateDir, "workspace", "link"));

  const folder = path.join(scratch, "backup");
  const backup = await runCommand(stateDir, ["backup", folder, "--with-key", "--with-workspaces", "--json"]);
  expect(backup.stderr).toBe("");
  const made = JSON.parse(backup.stdout) as { readonly acceptedUntilMs: number };
  const { acceptedUntilMs } = made;
  const untilThen = accepted.length;
  await expect.poll(() => accepted.length).toBeGreaterThan(untilThen + 50);
  loading.abort();
  await load;
  expect(statSync(folder).mode & 0o777).toBe(0o700);
  expect(statSync(path.join(folder, "secrets", "operator.key")).mode & 0o777).toBe(0o600);

  // Both say the same of it.
  expect(made).toMatchObject({ folder, agents: ["main", "raul"], bytes: expect.any(Number), rows: expect.any(Number) });
  const verified = await runCommand(stateDir, ["restore", folder, "--verify", "--json"]);
  expect(JSON.parse(verified.stdout)).toEqual(made);
  const restored = path.join(scratch, "restored");
  const restore = await runCommand(stateDir, ["restore", folder, "--to", restored]);
  expect(restore).toMatchObject({ code: 0, stdout: expect.stringContaining(`restored to ${restored}`) });
  expect(readFileSync(path.join(restored, "workspace", "link"), "utf8")).toBe("kept");
  // Beside the one that it was made of, which still runs and owns its own directory.
  const second = await startProgram(restored);
  expect(second.key).toBe(program.key);
  expect(await program.stop()).toBe(0);

  const due = accepted.filter(({ atMs }) => atMs < acceptedUntilMs).map(({ text }) => text);
  expect(due.length).toBeGreaterThan(200);
  /** What people said, over all sessions, one entry for each time. */
  const handled = async (): Promise<string[]> => {
    const { sessions } = JSON.parse((await runLine(restored, ["sessions", "--json"])).stdout) as {
      sessions: { key: string }[];
    };
    const pages = await Promise.all(
      sessions.map(async ({ key }) => {
        const { stdout } = await runLine(restored, ["history", key, "--limit", "1000", "--json"]);
        return (JSON.parse(stdout) as History).messages;
      }),
    );
    return pages
      .flat()
      .filter(({ role }) => role === "user")
      .map(({ content }) => content[0]?.text ?? "");
  };
  await expect
    .poll(
      async () => {
        const texts = await handled();
        return due.filter((text) => !texts.some((each) => each.endsWith(text)));
      },
      { interval: 500 },
    )
    .toEqual([]);
  const texts = await handled();
  expect(new Set(texts).size).toBe(texts.length);
  // A message that the backup knows is recognised, also by the restored one.
  const again = await post(
    `${second.url}/channels/webhook/home`,
    { text: "home-a-0", sender: { id: "a" }, messageId: "home-a-0" },
    { authorization: "Bearer home-token" },
  );
  expect(again.body).toMatchObject({ status: "duplicate" });
  expect(await second.stop()).toBe(0);
});

test("without a gateway the command opens the store itself; verifying finds every kind of damage", async () => {
  const stateDir = makeStateDir(config);
  const program = await startProgram(stateDir);
  await runCommand(stateDir, ["send", "hello"]);
  expect(await program.stop()).toBe(0);

  const folder = path.join(scratch, "closed");
  const backup = await runCommand(stateDir, ["backup", folder]);
  expect(backup).toMatchObject({ code: 0, stdout: expect.stringContaining(`backed up to ${folder}`) });
  expect(existsSync(path.join(folder, "secrets"))).toBe(false);
  expect(existsSync(path.join(folder, "workspaces"))).toBe(false);
  const verify = () => runCommand(stateDir, ["restore", folder, "--verify"]);
  expect(await verify()).toMatchObject({ code: 0, stdout: expect.stringContaining("is whole") });

  const transcript = path.join(folder, "agents", "main", "sessions", "data.mdb");
  const whole = readFileSync(transcript);
  const flipped = Buffer.from(whole);
  flipped.writeUInt8(flipped.readUInt8(whole.length - 100) ^ 1, whole.length - 100);
  const damages: readonly [name: string, damage: () => void, mend: () => void, found: RegExp][] = [
    [
      "a flipped bit",
      () => writeFileSync(transcript, flipped),
      () => writeFileSync(transcript, whole),
      /agents\/main\/sessions\/data\.mdb is not what was written/,
    ],
    [
      "a file that is shorter",
      () => truncateSync(transcript, whole.length - 1),
      () => writeFileSync(transcript, whole),
      /data\.mdb has \d+ bytes, wanted \d+/,
    ],
    [
      "a file that is missing",
      () => rmSync(transcript),
      () => writeFileSync(transcript, whole),
      /agents\/main\/sessions\/data\.mdb is missing/,
    ],
  ];
  for (const [name, damage, mend, found] of damages) {
    damage();
    expect(await verify(), name).toMatchObject({ code: 1, stderr: expect.stringMatching(found) });
    mend();
  }
  expect((await verify()).code).toBe(0);
  const to = path.join(scratch, "of-damaged");
  appendFileSync(path.join(folder, "manifest.json"), " ");
  expect(await runCommand(stateDir, ["restore", folder, "--to", to])).toMatchObject({
    code: 1,
    stderr: expect.stringContaining("manifest.json is not what was written"),
  });
  rmSync(path.join(folder, "manifest.json"));
  expect(await verify()).toMatchObject({ code: 1, stderr: expect.stringContaining("there is no manifest.json") });
  expect(existsSync(to), "nothing is made of a damaged backup").toBe(false);
});

test("folders that hold something are left alone, and the remedy is named", async () => {
  const stateDir = makeStateDir(config);
  const program = await startProgram(stateDir);
  const full = path.join(scratch, "full");
  mkdirSync(full);
  writeFileSync(path.join(full, "mine"), "");
  const folder = path.join(scratch, "good");
  expect((await runCommand(stateDir, ["backup", folder])).code).toBe(0);
  for (const args of [
    ["backup", full],
    ["restore", folder, "--to", full],
  ]) {
    expect(await runCommand(stateDir, args)).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/it holds 1 entries \(mine\)[^]*empty folder[^]*CLOISTER_BACKUP_PLACE/),
    });
  }
  expect(readdirSync(full)).toEqual(["mine"]);
  const inside = path.join(stateDir, "workspace", "backup");
  expect(await runCommand(stateDir, ["backup", inside, "--with-workspaces"])).toMatchObject({
    code: 1,
    stderr: expect.stringContaining("it lies in the workspace of main"),
  });
  expect(await runCommand(stateDir, ["restore", folder])).toMatchObject({
    code: 1,
    stderr: expect.stringContaining("found neither --verify nor --to"),
  });
  expect(await program.stop()).toBe(0);
});
