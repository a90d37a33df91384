/** A server that speaks lines of JSON over TCP: one connection an account. */
import { randomUUID } from "node:crypto";
import { connect, type Socket } from "node:net";
import { type AccountSettings, ChannelError, defineChannel } from "cloister/channels";
import { parseSaid } from "./inbound.ts";
import { judgeAnswer, parsePlace } from "./outbound.ts";

/** As `channel.json` has them. */
export interface LinesSettings extends AccountSettings {
  readonly host: string;
  readonly port: number;
  readonly token: string;
}

type Frame = readonly unknown[];

export default defineChannel<LinesSettings>({
  open({ host: server, port, token }, host) {
    let socket: Socket | undefined;
    let name: string | undefined;
    const waiting = new Map<string, (answer: Frame | undefined) => void>();

    const write = (...frame: Frame): void => void socket?.write(`${JSON.stringify(frame)}\n`);

    /** Undefined: the connection was lost first. */
    const ask = (type: string, key: string, ...rest: Frame): Promise<Frame | undefined> =>
      new Promise((resolve) => {
        waiting.set(key, resolve);
        write(type, key, ...rest);
      });

    function hear(frame: Frame): void {
      const [type, about] = frame;
      if (type === "welcome") {
        name = String(about);
        host.online({ id: name, name });
      } else if (type === "refused")
        throw new ChannelError(
          "credential",
          `the server does not take the token of account ${host.accountId}: ${String(about)}`,
          "set its token in channels.modules.lines",
        );
      else if (type === "said") void take(frame);
      else {
        waiting.get(String(about))?.(frame);
        waiting.delete(String(about));
      }
    }

    /** The server hears that it arrived when it is stored. What was not taken ends the connection: the next one offers it again. */
    async function take(frame: Frame): Promise<void> {
      try {
        const event = parseSaid(frame, name ?? "", host.nowMs());
        if (event !== undefined) await host.receive(event);
        write("have", frame[1]);
      } catch {
        socket?.destroy();
      }
    }

    async function readAll(from: Socket): Promise<void> {
      let rest = "";
      for await (const chunk of from) {
        const lines = (rest + String(chunk)).split("\n");
        rest = lines.pop() ?? "";
        for (const line of lines) hear(JSON.parse(line) as Frame);
      }
    }

    return {
      async run(signal) {
        const opened = connect({ host: server, port }).setEncoding("utf8");
        const stop = (): void => void opened.destroy();
        if (signal.aborted) stop();
        signal.addEventListener("abort", stop, { once: true });
        socket = opened;
        write("hello", token);
        try {
          await readAll(opened);
          throw new ChannelError("offline", "the server ended the connection");
        } catch (error) {
          if (signal.aborted) return;
          throw error instanceof ChannelError ? error : new ChannelError("offline", "the connection was lost");
        } finally {
          signal.removeEventListener("abort", stop);
          opened.destroy();
          socket = undefined;
          for (const settle of waiting.values()) settle(undefined);
          waiting.clear();
        }
      },

      async probe() {
        const [, , found] = (socket === undefined ? undefined : await ask("ping", randomUUID())) ?? [];
        if (typeof found !== "string") throw new ChannelError("offline", "the account is not connected");
        return { id: found, name: found };
      },

      async send({ peer, text, idempotencyKey: key }) {
        const place = parsePlace(peer);
        const failed = { status: "failed" } as const;
        if (place === undefined)
          return { ...failed, reason: `${JSON.stringify(peer.id)} is no ${peer.kind} of the server`, retry: false };
        if (socket === undefined) return { ...failed, reason: "the account is not connected", retry: true };
        return judgeAnswer(await ask("say", key, place, text));
      },
    };
  },
});
