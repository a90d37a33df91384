/** Accounts of WhatsApp: each has a login of its own. */
import { expect, test } from "vitest";
import { resolveText } from "./resolve-text.ts";

const accounts = (whatsapp: object) => {
  const { channels, warnings } = resolveText({ channels: { whatsapp } });
  return { accounts: channels.whatsapp, warnings: warnings.map(({ path, message }) => `${path} ${message}`) };
};

test("without accounts the channel's own keys are one, and folders are those of the state directory", () => {
  expect(accounts({ sendReadReceipts: false }).accounts).toEqual({
    default: {
      textChunkLimit: 4_000,
      authDir: expect.stringMatching(/\/credentials\/whatsapp\/default$/),
      libraryDir: expect.stringMatching(/\/libraries\/whatsapp$/),
      readReceipts: false,
    },
  });
});

test("an account has a folder of its own; that of the channel is its default account's, and no two share one", () => {
  const found = accounts({
    authDir: "/logins/first",
    defaultAccount: "home",
    accounts: {
      Home: {},
      work: { sendReadReceipts: false },
      biz: { authDir: "/logins/first" },
      off: { enabled: false },
    },
  });
  expect(found.accounts).toMatchObject({
    home: { authDir: "/logins/first", readReceipts: true },
    work: { authDir: expect.stringMatching(/\/credentials\/whatsapp\/work$/), readReceipts: false },
  });
  expect(Object.keys(found.accounts ?? {})).toEqual(["home", "work"]);
  expect(found.warnings.join()).toMatch(
    /channels\.whatsapp\.accounts\.biz\.authDir has the folder of the account home/,
  );
});
