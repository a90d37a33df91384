/**
 * The least that a server of WebSockets does, with the package that the gateway has: it answers each request with a fixed text. What
 * the scenario `connections` compares the gateway with; a process of its own, told its answer by its parent.
 */
import { WebSocketServer } from "ws";

const server = new WebSocketServer({ host: "127.0.0.1", port: 0, perMessageDeflate: false, maxPayload: 1_048_576 });
let answer = "{}";
process.on("message", (text: string) => (answer = text));
// A request is parsed and the answer has its id, as every protocol of requests needs.
server.on("connection", (socket) => {
  socket.on("message", (data: Buffer) => {
    const { id } = JSON.parse(data.toString("utf8")) as { id: string };
    socket.send(`{"type":"res","id":${JSON.stringify(id)},"ok":true,"payload":${answer}}`);
  });
});
server.once("listening", () => {
  const address = server.address();
  process.send?.(typeof address === "object" ? (address?.port ?? 0) : 0);
});
