/** The part of irc-framework that the channel uses; the package has no types of its own. */
declare module "irc-framework" {
  import type { Socket } from "node:net";

  export interface ConnectOptions {
    readonly host: string;
    readonly port: number;
    readonly tls: boolean;
    readonly nick: string;
    readonly username: string;
    readonly gecos: string;
    readonly password?: string;
    readonly auto_reconnect: false;
    readonly version: null;
    readonly ping_interval: number;
    readonly ping_timeout: number;
    /** Empty: the password of the server is not tried as that of an account. */
    readonly account: { readonly account?: string; readonly password?: string };
  }

  export interface MessageEvent {
    readonly nick: string;
    readonly target: string;
    readonly message: string;
    readonly from_server: boolean;
    readonly tags: Readonly<Record<string, string>>;
    /** Of the server (`server-time`), in milliseconds. */
    readonly time?: number;
  }

  export interface IrcError {
    readonly error: string;
    readonly channel?: string;
    readonly nick?: string;
    readonly reason?: string;
  }

  interface Events {
    registered: { readonly nick: string };
    privmsg: MessageEvent;
    action: MessageEvent;
    "nick in use": { readonly nick: string; readonly reason: string };
    "nick invalid": { readonly nick: string; readonly reason: string };
    "irc error": IrcError;
    pong: { readonly message?: string };
    join: { readonly nick: string; readonly channel: string };
    kick: { readonly kicked: string; readonly nick: string; readonly channel: string; readonly message?: string };
    /** With TLS before its handshake. */
    "raw socket connected": Socket;
    /** It ends the connection itself. */
    "ping timeout": undefined;
    "socket close": Error | false | undefined;
    close: boolean;
  }

  export class Client {
    readonly user: { readonly nick: string };
    readonly connected: boolean;
    connect(options: ConnectOptions): void;
    on<E extends keyof Events>(event: E, heard: (event: Events[E]) => void): void;
    once<E extends keyof Events>(event: E, heard: (event: Events[E]) => void): void;
    removeListener<E extends keyof Events>(event: E, heard: (event: Events[E]) => void): void;
    removeAllListeners(): void;
    changeNick(nick: string): void;
    join(channel: string, key?: string): void;
    say(target: string, message: string): void;
    quit(message: string): void;
    ping(token: string): void;
    caseLower(text: string): string;
    caseCompare(one: string, other: string): boolean;
  }
}
