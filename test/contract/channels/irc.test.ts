/** IRC over irc-framework, on a real server. */
import { type AddressInfo, createServer, Socket } from "node:net";
import tls from "node:tls";
import { afterAll, beforeAll, describe, expect, onTestFinished, test, vi } from "vitest";
import { channel as module } from "../../../channels/irc/index.ts";
import type { IrcSettings } from "../../../channels/irc/manifest.ts";
import { limits } from "../../../runtime/kernel/limits.ts";
import { makeCertificate, type TestCertificate } from "../../support/certificate.ts";
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
  /** Connects to the port where the server speaks TLS. */
  readonly withTls?: boolean;
  /** Before the account logs in. */
  readonly prepare?: (scene: Scene) => Promise<unknown>;
}

const makeRig = ({ server, settings, withTls = false, prepare }: Changes = {}): ChannelRig<IrcSettings> => ({
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
        port: withTls ? (ircd.tlsPort ?? 0) : ircd.port,
        tls: withTls,
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

test("identifies with the network before it enters rooms; the service alone sees the password, and what it says is no message", async () => {
  const lines: IrcPerson[] = [];
  const { logged, received, platform } = await openChannel(
    makeRig({
      settings: { nickserv: { service: "NickServ", account: "helpers", password: "s3cret" } },
      prepare: async ({ ircd }) => {
        const service = await ircd.person("NickServ");
        lines.push(service);
        service.write("JOIN #room");
        await service.sees(/ 366 \S+ #room /);
      },
    }),
  );
  const [service] = lines;
  await service?.sees(/^:helper\S* JOIN :?#room/);
  const heard = service?.lines.map((line) => line.replace(/^:(\w+)\S*/, "$1")) ?? [];
  expect(heard.filter((line) => line.startsWith("helper "))).toEqual([
    "helper PRIVMSG NickServ :IDENTIFY helpers s3cret",
    expect.stringMatching(/^helper JOIN :?#room/),
  ]);
  service?.write("NOTICE helper :You are now identified for helpers.");
  await platform.say("hello");
  await eventually(() => expect(received.map(({ text }) => text)).toEqual(["hello"]));
  expect(logged.join()).not.toContain("s3cret");
});

test("a network without the service is told to the operator, and the account goes on", async () => {
  const { logged, received, platform } = await openChannel(
    makeRig({ settings: { nickserv: { service: "NickServ", password: "s3cret" } } }),
  );
  await eventually(() => expect(logged.join()).toContain("not identified with the network"));
  await platform.say("hello");
  await eventually(() => expect(received).toHaveLength(1));
});

test("no line waits until the other side's system has confirmed the one before", async () => {
  const set = vi.spyOn(Socket.prototype, "setNoDelay");
  onTestFinished(() => set.mockRestore());
  let port = 0;
  const { send, platform } = await openChannel(makeRig({ prepare: async ({ ircd }) => (port = ircd.port) }));
  expect(await send({ peer: platform.person.peer })).toMatchObject({ status: "sent" });
  const own = set.mock.contexts.findIndex((socket) => (socket as Socket).remotePort === port);
  expect(set.mock.calls[own]).toEqual([true]);
});

describe("TLS", () => {
  const usual = tls.getCACertificates("default");
  let own: TestCertificate;
  let foreign: TestCertificate;
  beforeAll(() => {
    own = makeCertificate("IP:127.0.0.1");
    foreign = makeCertificate("DNS:irc.example.org");
    tls.setDefaultCACertificates([own.pem, foreign.pem]);
  });
  afterAll(() => {
    tls.setDefaultCACertificates(usual);
    own.remove();
    foreign.remove();
  });

  test("a server whose certificate is trusted is spoken to over TLS, both ways", async () => {
    const { received, send, platform } = await openChannel(makeRig({ server: { certificate: own }, withTls: true }));
    await platform.say("over TLS");
    await eventually(() => expect(received.map(({ text }) => text)).toEqual(["over TLS"]));
    expect(await send({ peer: platform.person.peer, text: "and back" })).toMatchObject({ status: "sent" });
    await eventually(() => expect(platform.arrived()).toEqual([{ place: "ana", text: "and back" }]));
  });

  test("a certificate for another host is refused", async () => {
    const rig = makeRig({ server: { certificate: foreign }, withTls: true });
    const { states } = await openChannel(rig, undefined, false);
    await eventually(() =>
      expect(states).toContainEqual({
        type: "waiting",
        refusal: expect.objectContaining({
          code: "CLOISTER_CHANNEL_OFFLINE",
          message: expect.stringContaining("ERR_TLS_CERT_ALTNAME_INVALID"),
        }),
      }),
    );
    expect(states.map(({ type }) => type)).not.toContain("online");
  });

  test("a certificate that nobody vouches for is refused", async () => {
    onTestFinished(() => tls.setDefaultCACertificates([own.pem, foreign.pem]));
    tls.setDefaultCACertificates(usual);
    const rig = makeRig({ server: { certificate: own }, withTls: true });
    const { states } = await openChannel(rig, undefined, false);
    await eventually(() => expect(JSON.stringify(states)).toContain("DEPTH_ZERO_SELF_SIGNED_CERT"));
    expect(states.map(({ type }) => type)).not.toContain("online");
  });
});

test("a server that never ends a line is left before what it sends fills the memory", async () => {
  let lost = 0;
  const server = createServer((socket) => {
    socket.on("error", () => undefined).on("close", () => (lost += 1));
    socket.resume();
    const unended = "x".repeat(limits.ircLineBytesMax + 1);
    socket.write(`:irc.test 001 helper :Welcome\r\n:irc.test NOTICE helper :${unended}`);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  const { states, channel } = await openChannel(makeRig({ settings: { port } }), undefined, false);
  await eventually(() => expect(JSON.stringify(states)).toContain("16384 bytes without the end of a line"));
  await channel.close();
  await eventually(() => expect(lost).toBeGreaterThan(0));
  server.close();
});

test("the server's password lets it in, and a wrong one does not", async () => {
  const server = { password: "open" };
  const { states } = await openChannel(makeRig({ server, settings: { password: "open" } }));
  expect(states.at(-1)).toMatchObject({ type: "online" });
  const refused = await openChannel(makeRig({ server, settings: { password: "wrong" } }), undefined, false);
  await eventually(() => expect(refused.states.length).toBeGreaterThan(1));
  expect(refused.states.map(({ type }) => type)).not.toContain("online");
  const wanted = {
    message: expect.stringMatching(/was not reached: .*password/i),
    remedy: "set channels.irc.accounts.default.password to the password of the server",
  };
  expect(refused.states).toContainEqual({ type: "waiting", refusal: expect.objectContaining(wanted) });
  expect(await refused.channel.probe("default")).toMatchObject({ ok: false, refusal: wanted });
});

test("a server that says by its number that the password is wrong is not asked again: CLOISTER_CHANNEL_CREDENTIAL", async () => {
  const server = createServer((socket) => {
    socket.on("error", () => undefined).resume();
    socket.write(":irc.test 464 helper :Password incorrect\r\n");
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => void server.close());
  const { port } = server.address() as AddressInfo;
  const { states } = await openChannel(makeRig({ settings: { port, password: "wrong" } }), undefined, false);
  await eventually(() =>
    expect(states.at(-1)).toMatchObject({
      type: "failed",
      refusal: {
        code: "CLOISTER_CHANNEL_CREDENTIAL",
        remedy: "set channels.irc.accounts.default.password to the password of the server",
      },
    }),
  );
});
