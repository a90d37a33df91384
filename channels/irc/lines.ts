/** irc-framework keeps what comes until a line ends, however much that is: a server that never ends one would fill the thread's memory. */
import type { Socket } from "node:net";

const lineFeed = 0x0a;

/** Ends the connection with an error when more than `bytesMax` come without the end of a line. */
export function boundLines(socket: Socket, bytesMax: number): void {
  let open = 0;
  socket.on("data", (data: Buffer) => {
    const end = data.lastIndexOf(lineFeed);
    open = end === -1 ? open + data.length : data.length - end - 1;
    if (open > bytesMax)
      socket.destroy(new Error(`the server sent more than ${bytesMax} bytes without the end of a line`));
  });
}
