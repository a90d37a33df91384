/**
 * A server of Slack for tests: the Web API over HTTP, and socket mode over WebSocket as Slack's own clients speak it or signed calls, and strict. A method, a
 * parameter or a form that Slack does not have, an address of a socket used twice, an acknowledgement of what was not offered or acknowledged
 * already, a ping that is not answered first, and anything else on a socket are violations, which fail the test. What was not acknowledged when a socket ends is offered again on
 * the next. Source: Slack's documentation of the Web API, of socket mode and of signed calls.
 */
import { createHmac } from "node:crypto";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { promisify } from "node:util";
import { type WebSocket, WebSocketServer } from "ws";
import { openCallingPlatform, type PlatformCall } from "./calling-platform.ts";
import { type WatchChats, watchNothing } from "./chat-steps.ts";
import { judgeForm } from "./slack-forms.ts";

export interface SlackCall {
  readonly method: string;
  readonly token: string;
  readonly params: Readonly<Record<string, string>>;
}

/** What the server does instead of answering a call. */
export type SlackFault =
  | { readonly type: "error"; readonly error: string }
  | { readonly type: "status"; readonly status: number; readonly retryAfterSeconds?: number }
  /** Carries it out and drops the connection: the client never hears. */
  | { readonly type: "lose-answer" }
  | { readonly type: "slow"; readonly until: Promise<void> };

type EnvelopeType = "events_api" | "slash_commands" | "interactive";

interface Envelope {
  readonly type: EnvelopeType;
  readonly payload: object;
  attempt: number;
}

export interface SlackApi {
  readonly root: string;
  readonly calls: SlackCall[];
  readonly violations: string[];
  /** Messages of the account, in order. */
  posts(): readonly Readonly<Record<string, string>>[];
  hasPosted(channel: string, ts: string): boolean;
  readonly uploads: {
    readonly channel: string;
    readonly thread?: string;
    readonly name: string;
    readonly content: string;
  }[];
  /** Offers something on the socket, or by a signed call; while none is open, or nobody takes it, it waits. */
  offer(type: EnvelopeType, payload: object): void;
  /** Where signed calls go: what leads from outside to the gateway. */
  leadTo(origin: string): void;
  /** Somebody else of the workspace, and his direct conversation. */
  addPerson(user: string, channel: string, name: string): void;
  /** Connections that are open. */
  connections(): Promise<number>;
  /** A message, as `message` tells of it. */
  say(event: object): void;
  /** Keeps a file; gives its address. */
  keep(name: string, content: string): string;
  unconfirmed(): number;
  readonly sockets: () => number;
  /** How many sockets were asked for, and how many of them were opened. */
  readonly links: { asked: number; opened: number };
  /** Ends the socket: as a fault of the network, as one that only silence tells of, or as Slack announces it. */
  drop(how?: "network" | "silence" | "refresh_requested" | "link_disabled"): void;
  /** `link` as the method: a socket that is opened; it knows `slow` alone. */
  fail(method: string, ...faults: readonly SlackFault[]): void;
  close(): Promise<void>;
}

export const botToken = "xoxb-SECRET";
export const appToken = "xapp-SECRET";
export const self = { userId: "UBOT", botId: "BBOT", name: "helper" } as const;
export const teamId = "T1";

export interface SlackOptions {
  readonly watch?: WatchChats;
  /** Slack calls the account `default` with what it signs by this, and opens it no socket. */
  readonly signingSecret?: string;
}

export async function openSlackApi({ watch = watchNothing, signingSecret }: SlackOptions = {}): Promise<SlackApi> {
  const people = new Map([
    ["U42", "Ana Lee"],
    ["U43", "Ben"],
  ]);
  /** The direct conversation of each person. */
  const directs = new Map([
    ["U42", "D42"],
    ["U43", "D43"],
  ]);
  const calling = openCallingPlatform();
  let underWay = 0;
  const calls: SlackCall[] = [];
  const violations: string[] = [];
  const uploads: SlackApi["uploads"] = [];
  const uploading = new Map<string, { readonly name: string; content: string }>();
  const kept = new Map<string, string>();
  const faults = new Map<string, SlackFault[]>();
  const posted = new Set<string>();
  const reactions = new Set<string>();
  const tickets = new Set<string>();
  const waiting: Envelope[] = [];
  const offered = new Map<string, Envelope>();
  let socket: WebSocket | undefined;
  const links = { asked: 0, opened: 0 };
  let count = 1_000;

  const server = createServer((request, response) => void serve(request, response));
  const wire = new WebSocketServer({ noServer: true });
  const root = (): string => `http://127.0.0.1:${(server.address() as AddressInfo).port}`;

  async function serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const [, folder = "", name = ""] = /^\/(api|upload|kept)\/([\w.]+)$/.exec(request.url ?? "") ?? [];
    const token = /^Bearer (\S+)$/.exec(request.headers.authorization ?? "")?.[1] ?? "";
    const answer = (status: number, body: object, headers: Record<string, string> = {}): void => {
      response.writeHead(status, { "content-type": "application/json", ...headers }).end(JSON.stringify(body));
    };
    const body = await readBody(request);
    if (folder === "kept") {
      if (token !== botToken) return void response.writeHead(302, { location: `${root()}/login` }).end();
      return void response.end(kept.get(name));
    }
    if (folder === "upload") {
      const type = request.headers["content-type"] ?? "";
      const form = await new Response(new Uint8Array(body), { headers: { "content-type": type } }).formData();
      const file = form.get("body");
      const upload = uploading.get(name);
      if (!(file instanceof File) || upload === undefined) violations.push("upload: no file");
      else upload.content = await file.text();
      return void response.end("OK");
    }
    const params = Object.fromEntries(new URLSearchParams(body.toString("utf8")));
    calls.push({ method: name, token, params });
    const wrong = judgeForm(name, params);
    if (wrong !== undefined) violations.push(`${name}: ${wrong}`);
    const fault = faults.get(name)?.shift();
    if (token !== (name === "apps.connections.open" ? appToken : botToken))
      return answer(200, { ok: false, error: "invalid_auth" });
    if (fault?.type === "error") return answer(200, { ok: false, error: fault.error });
    if (fault?.type === "status") {
      const seconds = fault.retryAfterSeconds;
      return answer(fault.status, {}, seconds === undefined ? {} : { "retry-after": String(seconds) });
    }
    if (fault?.type === "slow") await fault.until;
    const post =
      name === "chat.postMessage" ? { places: [params["channel"] ?? ""], text: params["text"] ?? "" } : undefined;
    if (post !== undefined && (await watch({ moment: "lost", ...post })) === "drop")
      return void request.socket.destroy();
    const result = carryOut(name, params);
    if (post !== undefined) await watch({ moment: "sent", ...post });
    if (fault?.type === "lose-answer") return void request.socket.destroy();
    if (post !== undefined) response.on("finish", () => void watch({ moment: "answered", ...post }));
    answer(200, typeof result === "string" ? { ok: false, error: result } : { ok: true, ...result }, {
      "x-oauth-scopes": "chat:write,users:read,files:read",
    });
  }

  /** A text is the name of a fault. */
  function carryOut(method: string, params: SlackCall["params"]): object | string {
    const place = params["channel"] ?? "";
    const message = `${place} ${params["ts"] ?? params["timestamp"] ?? ""}`;
    switch (method) {
      case "auth.test":
        return { user_id: self.userId, bot_id: self.botId, user: self.name, team: "Example", team_id: teamId };
      case "apps.connections.open": {
        const ticket = String(count++);
        tickets.add(ticket);
        return { url: `${root().replace("http", "ws")}/link?ticket=${ticket}` };
      }
      case "chat.postMessage": {
        if (!/^[CDG]/.test(place)) return "channel_not_found";
        if ((params["text"] ?? "").length > 40_000) return "msg_too_long";
        if ((params["text"] ?? "").trim() === "") return "no_text";
        const ts = `1700000000.${String(count++).padStart(6, "0")}`;
        posted.add(`${place} ${ts}`);
        return { channel: place, ts };
      }
      case "chat.update":
      case "chat.delete":
        return posted.has(message) ? { channel: place, ts: params["ts"] } : "message_not_found";
      case "reactions.add":
        return addReaction(message, params["name"] ?? "");
      case "reactions.remove":
        return reactions.delete(`${message} ${params["name"]}`) ? {} : "no_reaction";
      case "reactions.get": {
        const names = [...reactions].filter((one) => one.startsWith(`${message} `)).map((one) => one.split(" ")[2]);
        return {
          type: "message",
          message: { reactions: names.map((name) => ({ name, users: [self.userId], count: 1 })) },
        };
      }
      case "users.info": {
        const name = people.get(params["user"] ?? "");
        return name === undefined
          ? "user_not_found"
          : { user: { id: params["user"], team_id: teamId, profile: { display_name: name } } };
      }
      case "conversations.info":
        return { channel: { id: place, is_mpim: place.startsWith("CM") } };
      case "conversations.open": {
        const id = directs.get(params["users"] ?? "");
        return id === undefined ? "user_not_found" : { channel: { id } };
      }
      case "files.getUploadURLExternal": {
        const id = `F${count++}`;
        uploading.set(id, { name: params["filename"] ?? "", content: "" });
        return { file_id: id, upload_url: `${root()}/upload/${id}` };
      }
      case "files.completeUploadExternal": {
        const files = JSON.parse(params["files"] ?? "[]") as { readonly id: string }[];
        for (const { id } of files) {
          const { name = "", content = "" } = uploading.get(id) ?? {};
          const thread = params["thread_ts"];
          uploads.push({
            channel: params["channel_id"] ?? "",
            ...(thread === undefined ? {} : { thread }),
            name,
            content,
          });
        }
        return { files };
      }
      default:
        return "unknown_method";
    }
  }

  function addReaction(message: string, name: string): object | string {
    if (reactions.has(`${message} ${name}`)) return "already_reacted";
    reactions.add(`${message} ${name}`);
    return {};
  }

  server.on("upgrade", (request, stream, head) => {
    const ticket = new URL(request.url ?? "", root()).searchParams.get("ticket") ?? "";
    if (!tickets.delete(ticket)) violations.push("a socket was opened without an address of its own");
    links.asked += 1;
    const fault = faults.get("link")?.shift();
    const open = (): void => wire.handleUpgrade(request, stream, head, greet);
    if (fault?.type === "slow") void fault.until.then(open);
    else open();
  });

  function greet(opened: WebSocket): void {
    socket = opened;
    links.opened += 1;
    let isAnswered = false;
    opened.once("pong", () => {
      isAnswered = true;
    });
    opened.on("message", (data: Buffer) => {
      if (!isAnswered) violations.push("a ping was not answered before what came after it");
      void confirm(opened, data.toString("utf8"));
    });
    opened.ping("Ping from applink");
    opened.on("close", () => {
      if (socket === opened) socket = undefined;
      const again = [...offered.values()].map((envelope) => ({ ...envelope, attempt: envelope.attempt + 1 }));
      offered.clear();
      waiting.unshift(...again);
      flush();
    });
    opened.send(JSON.stringify({ type: "hello", num_connections: 1, connection_info: { app_id: "A1" } }));
    flush();
  }

  async function confirm(on: WebSocket, text: string): Promise<void> {
    const { envelope_id: id, payload, ...rest } = JSON.parse(text) as Record<string, unknown>;
    if ((await watch({ moment: "unconfirmed" })) === "drop") return on.terminate();
    if (typeof id !== "string" || !offered.delete(id)) violations.push(`acknowledged what was not offered: ${text}`);
    if (Object.keys(rest).length > 0 || JSON.stringify(payload ?? {}) !== "{}")
      violations.push(`an acknowledgement with more in it: ${text}`);
    await watch({ moment: "confirmed" });
  }

  function flush(): void {
    if (socket === undefined || socket.readyState !== socket.OPEN) return;
    for (const envelope of waiting.splice(0)) {
      const id = `envelope-${count++}`;
      offered.set(id, envelope);
      const { type, payload, attempt } = envelope;
      const retry = type === "events_api" ? { retry_attempt: attempt, retry_reason: attempt > 0 ? "timeout" : "" } : {};
      const accepts = { accepts_response_payload: type === "slash_commands" };
      socket.send(
        JSON.stringify({ envelope_id: id, type, payload, ...accepts, ...retry }),
        () => void watch({ moment: "offered", places: [placeOf(payload)] }),
      );
    }
  }

  async function call(secret: string, type: EnvelopeType, payload: object): Promise<void> {
    underWay += 1;
    const { body, contentType } = bodyOf(type, payload);
    const make = (): PlatformCall => ({
      path: "/channels/slack/default",
      headers: { "content-type": contentType, ...signCall(body, Date.now(), secret) },
      body,
    });
    const places = [placeOf(payload)];
    await calling.call(placeOf(payload), make, (moment) =>
      watch(moment === "offered" ? { moment, places } : { moment }),
    );
    underWay -= 1;
  }

  const offer: SlackApi["offer"] = (type, payload) => {
    if (signingSecret !== undefined) void call(signingSecret, type, payload);
    else {
      waiting.push({ type, payload, attempt: 0 });
      flush();
    }
  };

  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    root: `${root()}/api`,
    calls,
    violations,
    uploads,
    hasPosted: (channel, ts) => posted.has(`${channel} ${ts}`),
    posts: () => calls.filter(({ method }) => method === "chat.postMessage").map(({ params }) => params),
    offer,
    say: (event) => offer("events_api", callback(event)),
    keep(name, content) {
      kept.set(name, content);
      return `${root()}/kept/${name}`;
    },
    leadTo: (origin) => calling.leadTo(origin),
    addPerson(user, channel, name) {
      people.set(user, name);
      directs.set(user, channel);
    },
    connections: promisify(server.getConnections.bind(server)),
    unconfirmed: () => waiting.length + offered.size + underWay,
    sockets: () => wire.clients.size,
    links,
    drop(how = "network") {
      if (how === "network") socket?.terminate();
      else if (how === "silence") socket?.pause();
      else socket?.send(JSON.stringify({ type: "disconnect", reason: how, debug_info: {} }));
    },
    fail: (method, ...list) => void faults.set(method, [...(faults.get(method) ?? []), ...list]),
    async close() {
      calling.close();
      for (const client of wire.clients) client.terminate();
      server.closeAllConnections();
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
}

let eventCount = 0;

/** As Slack wraps an event. */
export const callback = (event: object): object => ({
  token: "legacy",
  team_id: teamId,
  api_app_id: "A1",
  type: "event_callback",
  event_id: `Ev${(eventCount += 1)}`,
  event_time: Math.floor(Date.now() / 1_000),
  is_ext_shared_channel: false,
  event,
});

/** As Slack signs: https://docs.slack.dev/authentication/verifying-requests-from-slack */
export function signCall(body: string, atMs: number, secret: string): Readonly<Record<string, string>> {
  const time = String(Math.floor(atMs / 1000));
  const signature = `v0=${createHmac("sha256", secret).update(`v0:${time}:${body}`).digest("hex")}`;
  return { "x-slack-signature": signature, "x-slack-request-timestamp": time };
}

/** Events are JSON, commands forms, and what somebody presses is JSON in a form. */
function bodyOf(type: EnvelopeType, payload: object): { readonly body: string; readonly contentType: string } {
  if (type === "events_api") return { body: JSON.stringify(payload), contentType: "application/json" };
  const form = type === "interactive" ? { payload: JSON.stringify(payload) } : (payload as Record<string, string>);
  return { body: new URLSearchParams(form).toString(), contentType: "application/x-www-form-urlencoded" };
}

interface Placed {
  readonly event?: { readonly channel?: string; readonly item?: { readonly channel?: string } };
  readonly channel_id?: string;
  readonly container?: { readonly channel_id?: string };
}

function placeOf({ event, channel_id: command, container }: Placed): string {
  return event?.channel ?? event?.item?.channel ?? command ?? container?.channel_id ?? "";
}

let messageCount = 0;

/** Somebody's message, as Slack tells it. */
export function makeSaid(changes: object = {}, agoMs = 0): { readonly ts: string } & Record<string, unknown> {
  messageCount += 1;
  const ts = `${Math.floor((Date.now() - agoMs) / 1_000)}.${String(messageCount).padStart(6, "0")}`;
  return {
    type: "message",
    user: "U42",
    channel: "D42",
    channel_type: "im",
    text: "hello",
    ts,
    event_ts: ts,
    ...changes,
  };
}

async function readBody(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}
