/** The state directory: there, this user's, closed to others, on a disk with room that outlasts a restart. */
import { access, chmod, constants } from "node:fs/promises";
import path from "node:path";
import { limits } from "../../kernel/limits.ts";
import { formatBytes } from "../views/table.ts";
import type { Repairable } from "./finding.ts";
import { type DiagnosedMachine, lookAt } from "./machine.ts";

type Look = (stateDir: string, machine: DiagnosedMachine) => Promise<readonly Repairable[]>;

export const checkStateDir: Look = async (stateDir, machine) => {
  const found = await lookAt(stateDir).catch((error: Error) => error);
  if (found === undefined) {
    return [
      {
        id: "state.missing",
        severity: "note",
        what: `the state directory ${stateDir} does not exist yet`,
        why: "The first start of the gateway makes it. If a gateway has run before, another directory is meant.",
        remedy: "If so, name it with --state-dir, --profile or CLOISTER_STATE_DIR.",
      },
    ];
  }
  if (found instanceof Error || !found.isDirectory()) {
    const fault = found instanceof Error ? `cannot be looked at: ${found.message}` : "is not a directory";
    return [
      {
        id: "state.unusable",
        severity: "error",
        what: `the state directory ${stateDir} ${fault}`,
        why: "The gateway keeps everything there and does not start without it.",
        remedy: "Run this as the user that runs the gateway, or name another directory with --state-dir.",
      },
    ];
  }
  const own = [...checkOwner(stateDir, found.uid, machine.uid), ...(await checkAccess(stateDir))];
  if (own.some(({ severity }) => severity === "error")) return own;
  return [
    ...own,
    ...(await checkModes(stateDir, machine.uid)),
    ...(await checkDisk(stateDir, machine)),
    { id: "state.directory", severity: "ok", what: `the state directory is ${stateDir}` },
  ];
};

function checkOwner(stateDir: string, owner: number, uid: number | undefined): readonly Repairable[] {
  if (uid === undefined || owner === uid) return [];
  return [
    {
      id: "state.owner",
      severity: uid === 0 ? "warning" : "error",
      what: `the state directory ${stateDir} belongs to user ${owner}, and this is user ${uid}`,
      why:
        uid === 0
          ? "What root writes there, the gateway's own user cannot read afterwards."
          : "A gateway of this user cannot write there, and this command cannot read all of it.",
      remedy: `Run it as user ${owner}, e.g. \`sudo -u '#${owner}' cloister doctor\`.`,
    },
  ];
}

async function checkAccess(stateDir: string): Promise<readonly Repairable[]> {
  try {
    await access(stateDir, constants.R_OK | constants.W_OK | constants.X_OK);
    return [];
  } catch (error) {
    return [
      {
        id: "state.access",
        severity: "error",
        what: `the state directory ${stateDir} cannot be read and written: ${(error as Error).message}`,
        why: "The gateway keeps everything there and does not start without it.",
        remedy: `Make it this user's: \`chown -R "$(id -u)" ${stateDir}\` and \`chmod -R u+rwX ${stateDir}\`.`,
      },
    ];
  }
}

/** What holds secrets or messages, relative to the state directory. */
const closed = [
  "",
  "operator.key",
  ".env",
  "cloister.json",
  "openclaw.json",
  "run",
  "logs",
  "store",
  "agents",
  "secrets.json",
  "secret-programs",
];

async function checkModes(stateDir: string, uid: number | undefined): Promise<readonly Repairable[]> {
  // Windows has no such bits; what Node tells there means nothing.
  if (uid === undefined) return [];
  const found: Repairable[] = [];
  for (const name of closed) {
    const file = path.join(stateDir, name);
    const stats = await lookAt(file);
    if (stats === undefined || (stats.mode & 0o077) === 0) continue;
    const isKey = name === "operator.key";
    // The directories below a closed one are closed by it.
    if (name !== "" && !isKey && (await isClosed(stateDir))) continue;
    const mode = stats.isDirectory() ? 0o700 : 0o600;
    const others = (stats.mode & 0o022) === 0 ? "read" : "change";
    found.push({
      id: isKey ? "state.key-open" : "state.open",
      severity: isKey ? "error" : "warning",
      what: `${file} has mode ${(stats.mode & 0o777).toString(8)}: other users of this machine may ${others} it`,
      why: isKey
        ? "Who reads the operator's key is the operator. Commands refuse a key that others may read."
        : "It holds messages, credentials or what they are read from.",
      remedy: `Run \`chmod ${mode.toString(8)} ${file}\`${isKey ? "; if others had access, delete the file and restart the gateway, which makes a new key" : ""}.`,
      repair: { done: `chmod ${mode.toString(8)} ${file}`, run: () => chmod(file, mode) },
    });
  }
  return found;
}

const isClosed = async (dir: string): Promise<boolean> => (((await lookAt(dir))?.mode ?? 0) & 0o077) === 0;

async function checkDisk(stateDir: string, machine: DiagnosedMachine): Promise<readonly Repairable[]> {
  const { freeBytes, lasts } = await machine.disk(stateDir);
  const room = `${formatBytes(freeBytes)} are free on the disk of ${stateDir}`;
  const found: Repairable[] = [];
  if (freeBytes < limits.doctorFreeBytesMin) {
    found.push({
      id: "disk.full",
      severity: "error",
      what: room,
      why: "The gateway refuses messages while it cannot write, and goes on when there is room again; nothing accepted is lost.",
      remedy: "Free space, or move the state directory: `cloister backup`, then `cloister restore --to`.",
    });
  } else if (freeBytes < limits.doctorFreeBytesLow) {
    found.push({
      id: "disk.low",
      severity: "warning",
      what: room,
      why: "When it is used up, the gateway refuses messages.",
      remedy: "Free space, or let session.maintenance keep less.",
    });
  } else found.push({ id: "disk", severity: "ok", what: room });
  if (lasts !== "yes") {
    found.push({
      id: "state.ephemeral",
      severity: "warning",
      what: `${stateDir} lasts only ${lasts}`,
      why: "Messages, sessions, approved devices and the operator's key go with it; clients have to be approved again.",
      remedy: `Mount a persistent volume at ${stateDir}, or name another directory with CLOISTER_STATE_DIR.`,
    });
  }
  return found;
}

/** The key without its value: whether it is there and is one. */
export function checkKey(stateDir: string, key: { readonly fault?: string; readonly found: boolean }): Repairable {
  const file = path.join(stateDir, "operator.key");
  if (key.fault !== undefined) {
    return {
      id: "key.unusable",
      severity: "error",
      what: key.fault,
      why: "Without it the commands on this machine need the gateway's token or password.",
      remedy: `Delete ${file} and restart the gateway, which makes a new key.`,
    };
  }
  return key.found
    ? { id: "key", severity: "ok", what: "the operator's key is there: commands on this machine are the operator's" }
    : {
        id: "key.missing",
        severity: "note",
        what: `there is no operator's key at ${file}`,
        why: "The first start of the gateway makes it.",
      };
}

/** Folders of agents that the gateway would make at their first use: it must be able to. */
export async function checkFolders(
  folders: readonly { readonly key: string; readonly dir: string }[],
): Promise<readonly Repairable[]> {
  const found: Repairable[] = [];
  for (const { key, dir } of folders) {
    const fault = await findFolderFault(dir);
    if (fault === undefined) continue;
    found.push({
      id: "agent.folder",
      severity: "error",
      what: `${key} is ${dir}, which ${fault}`,
      why: "The agent cannot work there: its cell does not start.",
      remedy: `Make it this user's, or correct ${key}.`,
    });
  }
  return found;
}

async function findFolderFault(dir: string): Promise<string | undefined> {
  try {
    const stats = await lookAt(dir);
    if (stats === undefined) return await findFolderFaultAbove(path.dirname(dir));
    if (!stats.isDirectory()) return "is not a directory";
    await access(dir, constants.R_OK | constants.W_OK | constants.X_OK);
    return undefined;
  } catch (error) {
    return `cannot be used: ${(error as Error).message}`;
  }
}

/** The nearest directory above that exists has to let this user make one in it. */
async function findFolderFaultAbove(dir: string): Promise<string | undefined> {
  const stats = await lookAt(dir);
  if (stats === undefined) return dir === path.dirname(dir) ? undefined : findFolderFaultAbove(path.dirname(dir));
  try {
    await access(dir, constants.W_OK | constants.X_OK);
    return undefined;
  } catch {
    return `cannot be made, since ${dir} cannot be written`;
  }
}
