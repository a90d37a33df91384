/**
 * The local operator's door: a unix socket in the state directory, beside the network's. Who may open the file is the operator, as
 * the operating system says, so that no device, approval or lockout stands in their way. Its folder and the file are open to the
 * gateway's user alone; Node does not tell who is at the other end of a unix socket.
 *
 * Without it the gateway works as well (`operator.key` still opens it), so what is wrong here is returned and never thrown.
 */
import { chmod, lstat, rm } from "node:fs/promises";
import type { Server } from "node:http";
import { connect } from "node:net";
import path from "node:path";
import { limits } from "../kernel/limits.ts";

export type LocalDoor = { readonly open: true } | { readonly open: false; readonly reason: string };

/** Binds the server to the socket. What a dead gateway left there is replaced; anything else that is there stays. */
export async function openLocalDoor(server: Server, file: string): Promise<LocalDoor> {
  const bytes = Buffer.byteLength(file);
  if (bytes > limits.socketPathBytesMax) {
    const reason = `its path has ${bytes} bytes, and an address of a socket holds ${limits.socketPathBytesMax}; use a shorter state directory`;
    return { open: false, reason };
  }
  try {
    // The folder closes before the socket is there: a socket gets its own mode only after it was bound.
    await chmod(path.dirname(file), 0o700);
    const taken = await findHolder(file);
    if (taken !== undefined) return { open: false, reason: `${file} ${taken}` };
    await rm(file, { force: true });
    await bind(server, file);
    await chmod(file, 0o600);
    return { open: true };
  } catch (error) {
    return { open: false, reason: `${file}: ${(error as Error).message}` };
  }
}

/** Why what is there must not be replaced. */
async function findHolder(file: string): Promise<string | undefined> {
  const found = await lstat(file).catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return undefined;
    throw error;
  });
  if (found === undefined) return undefined;
  if (!found.isSocket()) return "is no socket; move it away";
  return (await isAnswered(file)) ? "is the socket of a process that runs; end that process" : undefined;
}

function isAnswered(file: string): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = connect(file);
    const settle = (answered: boolean): void => {
      probe.destroy();
      resolve(answered);
    };
    probe.on("connect", () => settle(true));
    probe.on("error", () => settle(false));
  });
}

function bind(server: Server, file: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen({ path: file, exclusive: true }, () => {
      server.off("error", reject);
      resolve();
    });
  });
}
