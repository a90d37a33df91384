/**
 * WhatsApp as an account's device sees it, on a local socket, spoken with the real library: its handshake and frames, linking by a code, login,
 * the questions that the library asks, and messages that are encrypted from end to end by the Signal protocol. People and their phones are
 * here too. What a device does that WhatsApp would not take is a violation.
 */
import { randomBytes } from "node:crypto";
import type { AddressInfo } from "node:net";
import { WebSocketServer } from "ws";
import { type WatchChats, watchNothing } from "./chat-steps.ts";
import type { BinaryNode, MessageKey } from "../../channels/whatsapp/library.ts";
import { type DeviceConnection, isPing, type KeepAlive, serveConnection } from "./whatsapp-connection.ts";
import { type FileServer, type FileType, openFileServer } from "./whatsapp-files.ts";
import { makeDevicePhone, type PhoneDesk } from "./whatsapp-phone.ts";
import { answerQuestion, refuseQuestion } from "./whatsapp-questions.ts";
import { bytesOf, childOf, childrenOf, loadTestLibrary, type Message, type TestLibrary } from "./whatsapp-library.ts";
import { certify, type Handshaken } from "./whatsapp-noise.ts";
import { type ChannelChange, makePerson, type Person, readChange, readFile, readText } from "./whatsapp-people.ts";

export interface Arrived {
  readonly place: string;
  readonly to: string;
  readonly text: string;
  readonly id: string;
  readonly quotes?: string;
}

export interface Group {
  readonly id: string;
  readonly members: readonly Person[];
  /** Whether people are known there by their LIDs alone. */
  readonly hidesNumbers: boolean;
}

/** The device of the account, as it registered itself. */
export interface Device {
  readonly id: number;
  readonly noiseKey: Uint8Array;
  readonly identity: Uint8Array;
  registrationId?: number;
  signedKey?: BinaryNode;
  readonly oneTimeKeys: BinaryNode[];
}

export interface World {
  readonly library: TestLibrary;
  readonly people: Map<string, Person>;
  readonly groups: Map<string, Group>;
  readonly owner: Person;
  device: Device | undefined;
  readonly files: FileServer;
  readonly violations: string[];
}

export interface Saying {
  readonly group?: Group;
  /** People who are mentioned; with the account's owner. */
  readonly mentions?: readonly Person[];
  readonly quotes?: { readonly id: string; readonly author: Person };
  readonly id?: string;
  /** In seconds of the epoch; now by default. */
  readonly sentAtS?: number;
  /** The text stands below it. */
  readonly file?: SentFileOf;
}

/** A file that a person sends: the part of a message, but for what the server of files tells. */
export interface SentFileOf {
  readonly type: FileType;
  readonly content: Buffer;
  readonly part: Readonly<Record<string, unknown>>;
}

/** A file of the device, as a person has it. */
export interface ArrivedFile {
  readonly place: string;
  readonly type: FileType;
  readonly name: string;
  readonly mimeType: string;
  readonly isVoice: boolean;
  readonly content: Buffer;
}

export interface WhatsAppServer extends PhoneDesk {
  readonly url: string;
  readonly owner: Person;
  person(number: string, lid: string, name: string): Person;
  group(id: string, members: readonly Person[], hidesNumbers?: boolean): Group;
  /** Resolves when it is on its way, or waits for the device. Returns its id. */
  say(by: Person, text: string, how?: Saying): Promise<string>;
  /** What people say stays here until what it gives is called. */
  hold(): () => void;
  /** Messages that the device has not acknowledged. */
  unconfirmed(): number;
  readonly arrived: Arrived[];
  readonly arrivedFiles: readonly ArrivedFile[];
  /** What the device did to messages, as one of those who have them sees it. */
  readonly changes: readonly (ChannelChange & { readonly place: string; readonly key: MessageKey })[];
  readonly files: FileServer;
  /** Messages that came a second time with the same id, which apps do not show. */
  readonly repeated: string[];
  readonly read: string[];
  readonly typed: string[];
  readonly violations: readonly string[];
  /** The next messages of the device are refused with these numbers; 0: nobody answers. */
  readonly refusals: number[];
  /** The same for the next questions of who has which number and device. */
  readonly questionRefusals: number[];
  /** The next logins are answered when these resolve; one whose connection was given up by then is not. */
  readonly slowLogins: Promise<void>[];
  /** Ends the connection: without a word, or with a fault of the stream. */
  drop(): void;
  /** Nobody answers on the connection any more, and it stays open. */
  fallSilent(): void;
  /** Resolves when the device has taken all that was sent. */
  caughtUp(): Promise<void>;
  /** How often the device has pinged. */
  pings(): number;
  fault(code: string, kind: string): void;
  /** The device that the phone lists as linked; each that is linked has another number. */
  deviceId(): number | undefined;
  /** Whether a device has told who it is, be it to be linked. */
  wasToldWho(): boolean;
  /** Connections of which something may still come: one that has ended counts until all that it had sent is handled. */
  connections(): number;
  close(): Promise<void>;
}

interface Waiting {
  readonly node: BinaryNode;
  isSent: boolean;
}

const accountNumber = "15550009999";
const toAll = "s.whatsapp.net";

export interface WhatsAppOptions {
  /** Whether the library takes the server for WhatsApp's. */
  readonly trusted?: boolean;
  readonly watch?: WatchChats;
  readonly keepAlive?: KeepAlive;
}

/** As the library has it, with as much again for a machine that is at work on something else. */
const usualKeepAlive: KeepAlive = { everyMs: 30_000, withinMs: 60_000 };

export async function openWhatsApp({
  trusted = true,
  watch = watchNothing,
  keepAlive = usualKeepAlive,
}: WhatsAppOptions = {}): Promise<WhatsAppServer> {
  const library = await loadTestLibrary();
  const certified = certify(library, trusted);
  const owner = makePerson(library, accountNumber, "90000", "Owner");
  const violations: string[] = [];
  const world: World = {
    library,
    people: new Map([[owner.number, owner]]),
    groups: new Map(),
    owner,
    device: undefined,
    files: await openFileServer((what) => violations.push(what)),
    violations,
  };
  const arrivedFiles: ArrivedFile[] = [];
  const changes: (ChannelChange & { readonly place: string; readonly key: MessageKey })[] = [];
  const arrived: Arrived[] = [];
  const repeated: string[] = [];
  const read: string[] = [];
  const typed: string[] = [];
  const slowLogins: Promise<void>[] = [];
  const refusals: number[] = [];
  const questionRefusals: number[] = [];
  const waiting = new Map<string, Waiting>();
  const server = new WebSocketServer({ port: 0, host: "127.0.0.1" });
  await new Promise((resolve) => server.once("listening", resolve));
  let current: DeviceConnection | undefined;
  let wasTold = false;
  let isHeld = false;
  const send: DeviceConnection["send"] = (node, onSent) => current?.send(node, onSent);
  const phone = makeDevicePhone(world, send);
  const connections = new Set<DeviceConnection>();
  let pings = 0;
  const violate = (what: string): void => void world.violations.push(what);

  const offer = (isOffline: boolean): void => {
    for (const one of waiting.values()) {
      if (one.isSent) continue;
      one.isSent = true;
      const places = [one.node.attrs["from"] ?? ""];
      send(
        isOffline ? { ...one.node, attrs: { ...one.node.attrs, offline: "1" } } : one.node,
        () => void watch({ moment: "offered", places }),
      );
    }
  };

  async function logIn({ noiseKey, payload }: Handshaken, connection: DeviceConnection): Promise<void> {
    wasTold = true;
    await slowLogins.shift();
    if (connection !== current) return;
    const { username, device: deviceId, devicePairingData } = library.proto.ClientPayload.decode(payload);
    if (devicePairingData !== undefined && devicePairingData !== null)
      return phone.offerCodes({ noiseKey, identity: devicePairingData.eIdent }, connection.send);
    const { device } = world;
    const isKnown = device !== undefined && deviceId === device.id && Buffer.compare(device.noiseKey, noiseKey) === 0;
    if (!isKnown || String(username) !== accountNumber)
      return connection.send({ tag: "failure", attrs: { reason: "401", location: "lla" } });
    connection.isLoggedIn = true;
    const lid = owner.lid.replace("@", `:${device.id}@`);
    connection.send({ tag: "success", attrs: { t: String(Math.floor(Date.now() / 1000)), lid } });
    for (const one of waiting.values()) one.isSent = false;
    const count = String(waiting.size);
    if (!isHeld) offer(true);
    connection.send({ tag: "ib", attrs: { from: toAll }, content: [{ tag: "offline", attrs: { count } }] });
  }

  /** By number or LID, with or without a device. */
  const personOf = (jid: string): Person | undefined => {
    const user = jid.split(/[:@]/)[0] ?? "";
    return [...world.people.values()].find((one) => one.number === user || one.lid === `${user}@lid`);
  };
  const deviceJid = (): string => `${accountNumber}:${world.device?.id ?? 0}@s.whatsapp.net`;

  async function decode(person: Person, node: BinaryNode): Promise<Message> {
    const enc = childOf(node, "enc");
    const type = enc?.attrs["type"] ?? "";
    const sealed = { jid: deviceJid(), type, ciphertext: bytesOf(enc) };
    const bytes = await person.signal.decryptMessage(sealed).catch((error: unknown): never => {
      throw new Error(`${person.name} cannot read a ${type} of the device`, { cause: error });
    });
    person.known.add(deviceJid());
    return library.proto.Message.decode(library.unpadRandomMax16(bytes));
  }

  async function deliver(node: BinaryNode): Promise<void> {
    const { id = "", to = "", type } = node.attrs;
    if (!/^[0-9A-F]{18,40}$/.test(id)) violate(`the id ${id} is none that an app would make`);
    if (type !== "text" && type !== "media" && type !== "reaction") violate(`a message of type ${type}`);
    const group = world.groups.get(to);
    const targets = childrenOf(childOf(node, "participants"));
    for (const target of targets) {
      const person = personOf(target.attrs["jid"] ?? "");
      if (person === undefined) {
        violate(`a message for ${target.attrs["jid"]}, who is not here`);
        continue;
      }
      const message = await decode(person, target);
      if (message.senderKeyDistributionMessage)
        await person.signal.processSenderKeyDistributionMessage({
          authorJid: deviceJid(),
          item: message.senderKeyDistributionMessage,
        });
      if (group !== undefined) continue;
      if (person === owner) {
        const copy = message.deviceSentMessage;
        if (copy?.destinationJid !== to) violate("the owner's phone has no copy that says where it went");
        if (personOf(to) === owner) note(person, to, copy?.message ?? {}, node);
      } else note(person, to, message, node);
    }
    const sealed = childrenOf(node).find(({ tag, attrs }) => tag === "enc" && attrs["type"] === "skmsg");
    if (group === undefined) return;
    for (const person of group.members) {
      if (person === owner) continue;
      const msg = bytesOf(sealed);
      const bytes = await person.signal.decryptGroupMessage({ group: to, authorJid: deviceJid(), msg });
      note(person, to, library.proto.Message.decode(library.unpadRandomMax16(bytes)), node);
    }
  }

  function note(person: Person, place: string, message: Message, { attrs }: BinaryNode): void {
    const { id = "", type, edit } = attrs;
    const change = readChange(message);
    if (change !== undefined) {
      const key = (message.reactionMessage ?? message.protocolMessage)?.key ?? {};
      const wanted = { react: ["reaction", undefined], edit: ["text", "1"], remove: ["text", "7"] }[change.change.type];
      if (type !== wanted[0] || edit !== wanted[1]) violate(`a ${change.change.type} that says it is ${type} ${edit}`);
      return void changes.push({ ...change, place, key });
    }
    const found = readFile(message);
    if ((type === "media") !== (found !== undefined)) violate(`a message of type ${type} with another content`);
    if (found !== undefined) {
      const { fileName, mimetype: mimeType, ptt } = found.file;
      const content = world.files.open(found.type, found.file);
      const facts = { place, type: found.type, name: fileName ?? "", mimeType, isVoice: ptt === true };
      return void arrivedFiles.push({ ...facts, content });
    }
    const said = readText(message);
    if (said === undefined) return violate("a message without a text");
    if (arrived.some((one) => one.id === id && one.to === person.number)) repeated.push(id);
    else arrived.push({ place, to: person.number, id, ...said });
  }

  async function takeMessage(node: BinaryNode, connection: DeviceConnection): Promise<void> {
    const refusal = refusals.shift();
    const { id = "", to = "" } = node.attrs;
    const ack = { tag: "ack", attrs: { class: "message", id, from: to, t: String(Math.floor(Date.now() / 1000)) } };
    if (refusal !== undefined && refusal > 0)
      return connection.send({ ...ack, attrs: { ...ack.attrs, error: String(refusal) } });
    const places = [to];
    if ((await watch({ moment: "lost", places })) === "drop") return connection.terminate();
    const had = repeated.length;
    await deliver(node);
    const text = arrived.findLast((one) => one.id === id)?.text;
    const said = { places, ...(text === undefined ? {} : { text }) };
    await watch({ moment: "sent", ...said, isRepeated: repeated.length > had });
    if (refusal === undefined) connection.send(ack, () => void watch({ moment: "answered", ...said }));
  }

  async function takeReceipt({ attrs, content }: BinaryNode, connection: DeviceConnection): Promise<void> {
    const more = Array.isArray(content) ? childrenOf((content as readonly BinaryNode[])[0]) : [];
    const ids = [attrs["id"] ?? "", ...more.map((item) => item.attrs["id"] ?? "")];
    if (attrs["type"] === "read" || attrs["type"] === "read-self") return void read.push(...ids);
    if (attrs["type"] === "retry") return violate(`it could not read ${ids.join(", ")}`);
    return confirm(ids, connection);
  }

  async function confirm(ids: readonly string[], connection: DeviceConnection): Promise<void> {
    const known = ids.filter((id) => waiting.has(id));
    if (known.length === 0) return;
    if ((await watch({ moment: "unconfirmed" })) === "drop") return connection.terminate();
    for (const id of known) waiting.delete(id);
    await watch({ moment: "confirmed" });
  }

  async function take(node: BinaryNode, connection: DeviceConnection): Promise<void> {
    switch (node.tag) {
      case "iq":
        if (node.attrs["type"] === "result") return phone.answered(node);
        if (isPing(node)) pings += 1;
        if (node.attrs["xmlns"] === "usync" && questionRefusals.length > 0)
          return refuseQuestion(node, questionRefusals.shift() ?? 0, connection.send);
        return answerQuestion(world, node, connection.send, () => phone.removed());
      case "message":
        return takeMessage(node, connection);
      case "receipt":
        return takeReceipt(node, connection);
      case "ack":
        if (node.attrs["class"] === "message" && node.attrs["error"] !== undefined)
          violate(`it refused ${node.attrs["id"]} (${node.attrs["error"]})`);
        return confirm([node.attrs["id"] ?? ""], connection);
      case "chatstate":
        return void typed.push(node.attrs["to"] ?? "");
      case "presence":
      case "ib":
        return;
      default:
        return violate(`<${node.tag}> is not known here`);
    }
  }

  server.on("connection", (socket) => {
    current = serveConnection(socket, {
      library,
      certified,
      keepAlive,
      handle: (found, connection) => ("payload" in found ? logIn(found, connection) : take(found, connection)),
      violate,
      onDone: (connection) => connections.delete(connection),
    });
    connections.add(current);
  });

  /** One at a time: the steps of a person's keys are in order. */
  let lastSaid: Promise<unknown> = Promise.resolve();

  async function compose(by: Person, text: string, how: Saying): Promise<string> {
    const { group, mentions = [], quotes, sentAtS = Math.floor(Date.now() / 1000) } = how;
    const id = how.id ?? `3A${randomBytes(9).toString("hex").toUpperCase()}`;
    const { device } = world;
    if (device === undefined) throw new Error("no device is linked");
    const addressOf = (one: Person): string => (group?.hidesNumbers === true ? one.lid : one.jid);
    const names = mentions.map((one) => `@${addressOf(one).split("@")[0]}`);
    const body = [...names, text].join(" ");
    const contextInfo = {
      mentionedJid: mentions.map(addressOf),
      ...(quotes === undefined
        ? {}
        : { stanzaId: quotes.id, participant: addressOf(quotes.author), quotedMessage: { conversation: "…" } }),
    };
    const isPlain = mentions.length === 0 && quotes === undefined;
    const said =
      how.file === undefined
        ? isPlain
          ? { conversation: body }
          : { extendedTextMessage: { text: body, contextInfo } }
        : {
            [`${how.file.type}Message`]: {
              ...world.files.keep(how.file.type, how.file.content),
              ...how.file.part,
              ...(body === "" ? {} : { caption: body }),
            },
          };
    const message = by === owner ? { deviceSentMessage: { destinationJid: owner.jid, message: said } } : said;
    const data = library.encodeWAMessage(message);
    const attrs = { id, t: String(sentAtS), type: how.file === undefined ? "text" : "media", notify: by.name };
    const content: BinaryNode[] = [];
    if (group === undefined) {
      content.push(await seal(by, device, data));
      const place = by === owner ? { from: owner.jid, recipient: owner.jid } : { from: by.jid, sender_lid: by.lid };
      waiting.set(id, { node: { tag: "message", attrs: { ...attrs, ...place }, content }, isSent: false });
    } else {
      const meId = addressOf(by);
      const sealed = await by.signal.encryptGroupMessage({ group: group.id, meId, data });
      if (!by.known.has(group.id)) {
        const item = { groupId: group.id, axolotlSenderKeyDistributionMessage: sealed.senderKeyDistributionMessage };
        content.push(await seal(by, device, library.encodeWAMessage({ senderKeyDistributionMessage: item })));
        by.known.add(group.id);
      }
      content.push({ tag: "enc", attrs: { v: "2", type: "skmsg" }, content: sealed.ciphertext });
      const other = group.hidesNumbers ? { participant_pn: by.jid } : { participant_lid: by.lid };
      const place = {
        from: group.id,
        participant: meId,
        addressing_mode: group.hidesNumbers ? "lid" : "pn",
        ...other,
      };
      waiting.set(id, { node: { tag: "message", attrs: { ...attrs, ...place }, content }, isSent: false });
    }
    if (current?.isLoggedIn === true && !isHeld) offer(false);
    return id;
  }

  async function seal(by: Person, device: Device, data: Uint8Array): Promise<BinaryNode> {
    const jid = deviceJid();
    if (!by.known.has(jid)) {
      await by.signal.injectE2ESession({ jid, session: phone.bundleOf(device) });
      by.known.add(jid);
    }
    const { type, ciphertext } = await by.signal.encryptMessage({ jid, data });
    return { tag: "enc", attrs: { v: "2", type }, content: ciphertext };
  }

  const { port } = server.address() as AddressInfo;
  return {
    ...phone.desk,
    url: `ws://127.0.0.1:${port}/ws/chat`,
    owner,
    person(number, lid, name) {
      const person = makePerson(library, number, lid, name);
      world.people.set(number, person);
      return person;
    },
    group(id, members, hidesNumbers = false) {
      const group = { id, members: [owner, ...members], hidesNumbers };
      world.groups.set(id, group);
      return group;
    },
    say(by, text, how = {}) {
      const said = lastSaid.then(() => compose(by, text, how));
      lastSaid = said.catch(() => undefined);
      return said;
    },
    hold() {
      isHeld = true;
      return () => {
        isHeld = false;
        if (current?.isLoggedIn === true) offer(false);
      };
    },
    unconfirmed: () => waiting.size,
    arrived,
    arrivedFiles,
    changes,
    files: world.files,
    repeated,
    read,
    typed,
    violations: world.violations,
    refusals,
    questionRefusals,
    drop: () => current?.terminate(),
    slowLogins,
    fallSilent: () => current?.fallSilent(),
    caughtUp: async () => current?.caughtUp(),
    pings: () => pings,
    fault: (code, kind) =>
      send({ tag: "stream:error", attrs: { code }, content: [{ tag: kind, attrs: { type: kind } }] }),
    deviceId: () => world.device?.id,
    wasToldWho: () => wasTold,
    connections: () => connections.size,
    close: async () => {
      for (const socket of server.clients) socket.terminate();
      await new Promise((resolve) => server.close(resolve));
      await world.files.close();
    },
  };
}
