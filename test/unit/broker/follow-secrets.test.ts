/** References in what a thread is told: what they lead to takes their place, and what was read before is compared with what is there now. */
import { expect, test } from "vitest";
import { joinSecretsRead, nothingRead } from "../../../runtime/broker/secrets-read.ts";
import {
  compareSecrets,
  findReferences,
  followSecrets,
  readReferences,
  referencesOf,
} from "../../../runtime/broker/follow-secrets.ts";
import type { SecretValue } from "../../../runtime/broker/port.ts";

const at = (key: string, id: string) => ({ key, ref: { source: "store", id } }) as const;
const account = {
  botToken: at("channels.x.botToken", "bot"),
  list: [{ secret: at("channels.x.secret", "hook") }],
  a: 1,
};

const reader = (kept: Readonly<Record<string, string>>) => ({
  read: async (told: SecretValue) => {
    const value = "ref" in told ? kept[told.ref.id] : undefined;
    return value === undefined ? { missing: "there is none" } : { value };
  },
});
const readOf = (kept: Readonly<Record<string, string>>) => readReferences(findReferences(account), reader(kept));

test("the texts stand where the references were; what one lacks is told by its key, and without any of the others", async () => {
  expect(await followSecrets(account, reader({ bot: "b-1", hook: "h-1" }))).toEqual({
    botToken: "b-1",
    list: [{ secret: "h-1" }],
    a: 1,
  });
  await expect(followSecrets(account, reader({ bot: "b-1" }))).rejects.toMatchObject({
    code: "CLOISTER_SECRET_MISSING",
    message: "channels.x.secret refers to a secret that cannot be read: there is none",
  });
});

test("another secret is renewed, the same one is not, and none is while one cannot be read", async () => {
  const was = await readOf({ bot: "b-1", hook: "h-1" });
  expect(compareSecrets(was, await readOf({ bot: "b-1", hook: "h-1" }))).toEqual(nothingRead);
  expect(compareSecrets(was, await readOf({ bot: "b-2", hook: "h-1" }))).toEqual({
    renewed: ["channels.x.botToken"],
    unread: [],
  });
  const unread = [
    {
      path: "channels.x.secret",
      message: "there is none",
      remedy: "keep it with `cloister secrets set <name>`, or correct channels.x.secret",
    },
  ];
  expect(compareSecrets(was, await readOf({ bot: "b-2" }))).toEqual({ renewed: [], unread });
  // Nothing runs with what was read of it so far.
  const all = { renewed: ["channels.x.botToken", "channels.x.secret"], unread: [] };
  expect(compareSecrets(undefined, await readOf({ bot: "b-1", hook: "h-1" }))).toEqual(all);
  expect(compareSecrets(await readOf({}), await readOf({ bot: "b-1", hook: "h-1" }))).toEqual(all);
});

test("what two threads use is told once, in order", async () => {
  const { unread } = compareSecrets(undefined, await readOf({}));
  const one = { renewed: ["b", "a"], unread };
  expect(joinSecretsRead([one, nothingRead, { renewed: ["c", "a"], unread: unread.toReversed() }])).toEqual({
    renewed: ["a", "b", "c"],
    unread,
  });
});

test("those of a map have the name of their entry in their key", () => {
  const ref = { source: "store", id: "n" } as const;
  expect(referencesOf("mcp.servers.n.env", { KEY: { ref }, PLAIN: { value: "x" }, NONE: undefined })).toEqual([
    { key: "mcp.servers.n.env.KEY", ref },
  ]);
});
