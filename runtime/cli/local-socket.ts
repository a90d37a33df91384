/** The gateway's own door for the operator of this machine: found, and opened. */
import { lstat } from "node:fs/promises";
import { connect, type Socket } from "node:net";
import { localSocketFile } from "../config/index.ts";

/** Only one that its owner alone may open, and the owner is who runs this program (or the system's administrator does). */
export async function findLocalSocket(stateDir: string, uid = process.getuid?.()): Promise<string | undefined> {
  const file = localSocketFile(stateDir);
  const found = await lstat(file).catch(() => undefined);
  if (uid === undefined || found?.isSocket() !== true) return undefined;
  return (found.uid === uid || uid === 0) && (found.mode & 0o077) === 0 ? file : undefined;
}

/** Undefined: nobody listens there any more. */
export function openLocalSocket(file: string): Promise<Socket | undefined> {
  return new Promise((resolve) => {
    const socket = connect(file);
    socket.once("error", () => resolve(undefined));
    socket.once("connect", () => resolve(socket));
  });
}
