/** The contract that authors hold their channels to finds what it is for: each fault that is planted in the guide's channel fails the test that is named for it. */
import { cp, mkdir, mkdtemp, readFile, symlink, writeFile } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { expect, test } from "vitest";
import type { LinesSettings } from "../../../examples/lines/index.ts";
import { makeChannelContract } from "../../../runtime/testing/channel-contract.ts";
import { loadChannel } from "../../../runtime/testing/load-channel.ts";
import { makeLinesRig } from "../../../examples/lines/rig.ts";

interface Fault {
  readonly file: string;
  readonly from: string;
  readonly to: string;
  /** Of the test that fails. */
  readonly finds: RegExp;
}

const faults = {
  "confirms before it is stored": {
    file: "index.ts",
    from: "if (event !== undefined) await host.receive(event);",
    to: "if (event !== undefined) void host.receive(event).catch(() => undefined);",
    finds: /only when it is stored/,
  },
  "guesses a mention in a direct chat": {
    file: "inbound.ts",
    from: "...(inRoom ? { wasMentioned: isMention === true } : {}),",
    to: "wasMentioned: isMention === true,",
    finds: /nothing that it does not/,
  },
  "sends under a key of its own": {
    file: "index.ts",
    from: 'await ask("say", key, place, text)',
    to: 'await ask("say", randomUUID(), place, text)',
    finds: /sent again under its key/,
  },
  "tries a place again that the platform cannot have": {
    file: "index.ts",
    from: "is no ${peer.kind} of the server`, retry: false }",
    to: "is no ${peer.kind} of the server`, retry: true }",
    finds: /refuses a peer/,
  },
  "declares texts that are longer than the platform takes": {
    file: "channel.json",
    from: '"max": 1000',
    to: '"max": 5000',
    finds: /cuts a long/,
  },
  "declares what it cannot": {
    file: "channel.json",
    from: '"mentions": true',
    to: '"mentions": true, "edit": true',
    finds: /changes a message as it declares, and refuses what it does not: edit/,
  },
} as const satisfies Record<string, Fault>;

/** The names of the contract's tests that fail. */
async function failing({ file, from, to, finds }: Fault): Promise<readonly string[]> {
  const folder = await mkdtemp(path.join(os.tmpdir(), "cloister-planted-"));
  await cp("examples/lines", folder, { recursive: true });
  // As a project that has installed the package.
  await mkdir(path.join(folder, "node_modules"));
  await symlink(process.cwd(), path.join(folder, "node_modules/cloister"));
  const text = await readFile(path.join(folder, file), "utf8");
  expect(text).toContain(from);
  await writeFile(path.join(folder, file), text.replace(from, to));
  const bodies: { readonly name: string; readonly body: () => Promise<void> }[] = [];
  const after: (() => Promise<void>)[] = [];
  const { describeChannel } = makeChannelContract({
    describe: (_, body) => body(),
    test: (name, body) => void bodies.push({ name, body }),
    afterEach: (body) => void after.push(body),
    expect,
    patienceMs: 1_000,
  });
  describeChannel(makeLinesRig(await loadChannel<LinesSettings>(path.join(folder, "index.ts"))));
  const failed: string[] = [];
  for (const { name, body } of bodies.filter((one) => finds.test(one.name))) {
    await body().catch(() => failed.push(name));
    for (const end of after) await end();
  }
  return failed;
}

test.each(Object.entries(faults))("A15.1: a channel that %s", async (_, fault) => {
  expect(await failing(fault)).not.toEqual([]);
});

test("A15.1: and in the guide's channel as it is, none", async () => {
  const whole = Object.values(faults).map(({ finds }) => finds.source);
  expect(await failing({ file: "index.ts", from: "", to: "", finds: new RegExp(whole.join("|")) })).toEqual([]);
});
