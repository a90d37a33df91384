/** Binds a server to its address, with an error that says what to change. */
import type { Server } from "node:http";
import { type CodedError, failure } from "../kernel/errors.ts";

/** Resolves with the address that was bound (port 0 asks for a free one). Rejects with `CLOISTER_EDGE_BIND`. */
export function listenOn(
  server: Server,
  host: string,
  port: number,
): Promise<{ readonly port: number; readonly host: string }> {
  return new Promise((resolve, reject) => {
    const failed = (error: NodeJS.ErrnoException): void => reject(bindFailure(error, host, port));
    server.once("error", failed);
    server.listen({ host, port, exclusive: true }, () => {
      server.off("error", failed);
      const address = server.address();
      const bound = typeof address === "object" && address !== null ? address : { port, address: host };
      resolve({ port: bound.port, host: bound.address });
    });
  });
}

function bindFailure(error: NodeJS.ErrnoException, host: string, port: number): CodedError {
  const [found, remedy] = reasons[error.code ?? ""] ?? [error.message, "Change gateway.bind or gateway.port."];
  return failure("CLOISTER_EDGE_BIND", `cannot listen on ${host} port ${port}: ${found}`, remedy, error);
}

const reasons: Readonly<Record<string, readonly [found: string, remedy: string]>> = {
  EADDRINUSE: [
    "another program listens there (EADDRINUSE)",
    "Stop the other program, or choose another port with --port or gateway.port.",
  ],
  EACCES: ["the system does not allow it (EACCES)", "Choose a port above 1023 with --port or gateway.port."],
  EADDRNOTAVAIL: [
    "this machine has no such address (EADDRNOTAVAIL)",
    "Correct gateway.bind or gateway.customBindHost.",
  ],
  ENOTFOUND: ["the name has no address (ENOTFOUND)", "Correct gateway.bind or gateway.customBindHost."],
};
