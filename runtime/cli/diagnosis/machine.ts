/** What the checks ask of the machine; tests answer for it where a real one cannot be had, e.g. a full disk. */
import type { Stats } from "node:fs";
import { stat, statfs } from "node:fs/promises";
import { connect } from "node:net";
import { limits } from "../../kernel/limits.ts";

export interface DiagnosedMachine {
  /** Version of Node without a `v`. */
  readonly node: string;
  /** Of this process; undefined where users have no numbers. */
  readonly uid: number | undefined;
  /** How long an answer of the gateway is waited for. */
  readonly answerMs: number;
  /** Rejects as `statfs` does. */
  disk(dir: string): Promise<Disk>;
  /** Whether something accepts connections there. */
  readonly isListening: (host: string, port: number) => Promise<boolean>;
  /** Whether a process has this number. */
  isAlive(pid: number): boolean;
}

export interface Disk {
  /** For this user. */
  readonly freeBytes: number;
  /** A file system that does not outlive the machine's, or the container's, end. */
  readonly lasts: "yes" | "until restart" | "until the container is removed";
}

/** Numbers of file systems, as `statfs` tells them. Source: Linux, include/uapi/linux/magic.h. */
const fileSystems: Readonly<Record<number, Disk["lasts"]>> = {
  0x01_02_19_94: "until restart",
  0x85_84_58_f6: "until restart",
  0x79_4c_76_30: "until the container is removed",
};

export const thisMachine: DiagnosedMachine = {
  node: process.versions.node,
  uid: process.getuid?.(),
  answerMs: limits.doctorAnswerMs,
  disk: async (dir) => {
    const { bavail, bsize, type } = await statfs(dir);
    return { freeBytes: bavail * bsize, lasts: fileSystems[type] ?? "yes" };
  },
  isListening: (host, port) =>
    new Promise((resolve) => {
      const socket = connect({ host, port });
      const end = (answer: boolean): void => {
        socket.destroy();
        resolve(answer);
      };
      socket.setTimeout(limits.doctorAnswerMs, () => end(false));
      socket.on("connect", () => end(true));
      socket.on("error", () => end(false));
    }),
  isAlive: (pid) => {
    try {
      process.kill(pid, 0);
      return true;
    } catch (error) {
      return (error as NodeJS.ErrnoException).code === "EPERM";
    }
  },
};

/** `undefined` when there is nothing. */
export async function lookAt(file: string): Promise<Stats | undefined> {
  return stat(file).catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT" || error.code === "ENOTDIR") return undefined;
    throw error;
  });
}
