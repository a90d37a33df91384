/** IRC over irc-framework, on a real server. */
import { expect, test } from "vitest";
import { channel as module } from "../../../channels/irc/index.ts";
import type { IrcSettings } from "../../../channels/irc/manifest.ts";
import { eventually } from "../../support/eventually.ts";
import { type Ircd, type IrcdOptions, type IrcPerson, openIrcd } from "../../support/ircd.ts";
import { type ChannelRig, describeChannel, openChannel } from "./suite.ts";

interface Scene {
  readonly ircd: Ircd;
  readonly ana: IrcPerson;
}

interface Changes {
  readonly server?: IrcdOptions;
  readonly settings?: Partial<IrcSettings>;
  /** Before the account logs in. */
  readonly prepare?: (scene: Scene) => Promise<unknown>;
}

const makeRig = ({ server, settings, prepare }: Changes = {}): ChannelRig<IrcSettings> => ({
  module,
  idsOfMessages: false,
  async open() {
    const ircd = await openIrcd(server);
    const ana = await ircd.person("Ana");
    ana.write("JOIN #room");
    await ana.sees(/ 366 \S+ #room /);
    await prepare?.({ ircd, ana });
    const arrived = (): { readonly place: string; readonly text: string }[] =>
      ana.lines.flatMap((line) => {
        const [, target = "", text = ""] = /^:helper\S* PRIVMSG (\S+) :(.*)$/.exec(line) ?? [];
        return target === "" ? [] : [{ place: target.toLowerCase(), text }];
      });
    return {
      settings: {
        textChunkLimit: 4_000,
        host: "127.0.0.1",
        port: ircd.port,
        tls: false,
        nick: "helper",
        username: "helper",
        realname: "A helper",
        channels: [{ name: "#room" }],
        lineMs: 0,
        ...settings,
      },
      platform: {
        async say(text, { inGroup = false, mentions = false } = {}) {
          if (inGroup) await ana.sees(/^:helper\S* JOIN :?#room/);
          ana.write(`PRIVMSG ${inGroup ? "#room" : "helper"} :${mentions ? "helper: " : ""}${text}`);
        },
        person: { peer: { kind: "direct", id: "ana" }, senderId: "ana", senderName: "Ana" },
        group: { kind: "group", id: "#room" },
        nowhere: { kind: "direct", id: "ana,bob" },
        arrived,
        lose: () => ircd.kill("helper"),
        violations: () => ana.lines.filter((line) => /^:\S+ 4[0-9][0-9] /.test(line)),
        unconfirmed: () => undefined,
        typed: () => undefined,
        close: () => ircd.close(),
      },
    };
  },
});

describeChannel(makeRig());

test("somebody who is not there, and a room that does not let it speak, are told as such", async () => {
  const { send } = await openChannel(
    makeRig({
      prepare: async ({ ana }) => {
        ana.write("JOIN #closed");
        ana.write("MODE #closed +n");
        await ana.sees(/ 366 \S+ #closed /);
      },
    }),
  );
  expect(await send({ peer: { kind: "direct", id: "nobody" } })).toMatchObject({
    status: "failed",
    retry: false,
    reason: expect.stringMatching(/^nobody: /),
  });
  expect(await send({ peer: { kind: "group", id: "#closed" } })).toMatchObject({ status: "failed", retry: false });
});

test("a nick that is taken gives way to another, and the account knows its own name by it", async () => {
  const { states, received, platform } = await openChannel(makeRig({ prepare: ({ ircd }) => ircd.person("helper") }));
  expect(states.at(-1)).toMatchObject({ identity: { id: "helper_" } });
  expect(platform.arrived()).toEqual([]);
  expect(received).toEqual([]);
});

test("identifies with the network, which alone sees the password", async () => {
  const lines: IrcPerson[] = [];
  const { logged } = await openChannel(
    makeRig({
      settings: { nickserv: { service: "NickServ", account: "helpers", password: "s3cret" } },
      prepare: async ({ ircd }) => lines.push(await ircd.person("NickServ")),
    }),
  );
  await lines[0]?.sees(/PRIVMSG NickServ :IDENTIFY helpers s3cret/);
  expect(logged.join()).not.toContain("s3cret");
});

test("the server's password lets it in, and a wrong one does not", async () => {
  const server = { password: "open" };
  const { states } = await openChannel(makeRig({ server, settings: { password: "open" } }));
  expect(states.at(-1)).toMatchObject({ type: "online" });
  const refused = await openChannel(makeRig({ server, settings: { password: "wrong" } }), undefined, false);
  await eventually(() => expect(refused.states.length).toBeGreaterThan(1));
  expect(refused.states.map(({ type }) => type)).not.toContain("online");
});
