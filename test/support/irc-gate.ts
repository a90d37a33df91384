/** A gate in front of a real IRC server, which sees the lines of the account in both directions and can hold them, or lose one with its connection. */
import { connect, createServer, type AddressInfo, type Socket } from "node:net";
import { promisify } from "node:util";
import type { WatchChats } from "./chat-steps.ts";
import type { Ircd } from "./ircd.ts";

export interface IrcGate {
  readonly port: number;
  /** Of the account that came in last. */
  nick(): string;
  /** Whether the server has let an account in that is still there. */
  isOnline(): boolean;
  connections(): Promise<number>;
  close(): Promise<void>;
}

export async function openIrcGate({ port }: Pick<Ircd, "port">, watch: WatchChats): Promise<IrcGate> {
  let nick = "";
  let online: Socket | undefined;
  let pings = 0;

  const server = createServer((account) => {
    const ircd = connect(port, "127.0.0.1");
    const handled = new Map<string, () => void>();
    /** The last answer, until the account hears that the server has handled it. */
    let answer: { readonly places: readonly string[]; readonly text: string } | undefined;
    const end = (): void => {
      if (online === account) online = undefined;
      account.destroy();
      ircd.destroy();
      for (const resolve of handled.values()) resolve();
    };
    // What it asks comes in a write of its own, which else waits until the other side's system confirms the one before.
    for (const socket of [account, ircd]) socket.setNoDelay(true).on("error", end).on("close", end);

    /** Resolves when the server has handled all that it was told before. */
    const flushed = async (): Promise<void> => {
      pings += 1;
      const token = `gate-${pings}`;
      const { promise, resolve } = Promise.withResolvers<void>();
      handled.set(token, resolve);
      ircd.write(`PING ${token}\r\n`);
      await promise;
      handled.delete(token);
    };

    eachLine(account, async (line) => {
      const [, place, text = ""] = /^PRIVMSG (\S+) :?(.*)$/.exec(line) ?? [];
      if (place === undefined) return void ircd.write(`${line}\r\n`);
      const said = { places: [place], text };
      if ((await watch({ moment: "lost", ...said })) === "drop") return end();
      ircd.write(`${line}\r\n`);
      await flushed();
      await watch({ moment: "sent", ...said });
      answer = said;
    });

    eachLine(ircd, async (line) => {
      const [, token = ""] = / PONG \S+ :?(\S+)$/.exec(line) ?? [];
      const own = handled.get(token);
      if (own !== undefined) return own();
      await new Promise<void>((resolve) => void account.write(`${line}\r\n`, () => resolve()));
      const [, welcomed] = /^:\S+ 001 (\S+) /.exec(line) ?? [];
      if (welcomed !== undefined) [nick, online] = [welcomed, account];
      const [, by] = /^:([^!\s]+)!\S+ PRIVMSG /.exec(line) ?? [];
      if (by !== undefined) await watch({ moment: "offered", places: [by] });
      if (token === "" || answer === undefined) return;
      const heard = answer;
      answer = undefined;
      await watch({ moment: "answered", ...heard });
    });
  });

  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    port: (server.address() as AddressInfo).port,
    nick: () => nick,
    isOnline: () => online !== undefined,
    connections: promisify(server.getConnections.bind(server)),
    async close() {
      online?.destroy();
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
}

/** One after the other: the next waits until `take` is done. */
function eachLine(socket: Socket, take: (line: string) => Promise<void>): void {
  let rest = "";
  let last = Promise.resolve();
  socket.on("data", (data) => {
    const lines = (rest + data.toString("utf8")).split(/\r?\n/);
    rest = lines.pop() ?? "";
    for (const line of lines) last = last.then(() => take(line));
  });
}
