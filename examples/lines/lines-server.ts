/** The server of the guide's channel, strict: a frame that it does not know, or a confirmation of what was not offered, is a violation. */
import { type AddressInfo, createServer, type Socket } from "node:net";

const send = (socket: Socket, frame: readonly unknown[]): void => void socket.write(`${JSON.stringify(frame)}\n`);

export async function openLinesServer() {
  const violations: string[] = [];
  const arrived: { readonly place: string; readonly text: string }[] = [];
  const keys = new Set<unknown>();
  /** Said and not confirmed, by id, oldest first. */
  const offered = new Map<string, readonly unknown[]>();
  /** Offered once more, before the first was confirmed. */
  const twice = new Set<string>();
  const sockets = new Map<Socket, { isLoggedIn: boolean }>();
  let count = 0;

  function hear(socket: Socket, [type, key, place, text]: readonly unknown[]): void {
    const state = sockets.get(socket);
    if (state === undefined) return;
    if (type === "hello" && key === "SECRET") {
      state.isLoggedIn = true;
      send(socket, ["welcome", "helper"]);
      for (const frame of offered.values()) send(socket, frame);
    } else if (type === "hello") send(socket, ["refused", "no such token"]);
    else if (!state.isLoggedIn) violations.push(`${String(type)} before hello`);
    else if (type === "have") {
      if (!offered.delete(String(key)) && !twice.delete(String(key))) violations.push(`${String(key)} was not offered`);
    } else if (type === "ping") send(socket, ["done", key, "helper"]);
    else if (type === "say" && typeof place === "string" && typeof text === "string") {
      if (text.length > 1_000 || text.trim() === "") violations.push(`a text of ${text.length} characters`);
      // The same key is the same message.
      if (!keys.has(key)) arrived.push({ place, text });
      keys.add(key);
      send(socket, ["done", key, `m${(count += 1)}`]);
    } else violations.push(`a frame ${String(type)}`);
  }

  const server = createServer((socket) => {
    sockets.set(socket, { isLoggedIn: false });
    socket.setEncoding("utf8");
    let rest = "";
    socket.on("data", (chunk: string) => {
      const lines = (rest + chunk).split("\n");
      rest = lines.pop() ?? "";
      for (const line of lines) hear(socket, JSON.parse(line) as readonly unknown[]);
    });
    socket.on("error", () => undefined);
    socket.on("close", () => sockets.delete(socket));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));

  return {
    port: (server.address() as AddressInfo).port,
    violations,
    arrived,
    unconfirmed: () => offered.size,
    say(place: string, text: string, isMention: boolean, id = `m${(count += 1)}`): void {
      if (offered.has(id)) twice.add(id);
      const frame = ["said", id, place, "ana", text, isMention];
      offered.set(id, frame);
      for (const [socket, { isLoggedIn }] of sockets) if (isLoggedIn) send(socket, frame);
    },
    drop: () => {
      for (const socket of sockets.keys()) socket.destroy();
    },
    async close(): Promise<void> {
      for (const socket of sockets.keys()) socket.destroy();
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
}
