/**
 * The instance lock: which gateway uses a state directory. Two would both deliver every message.
 *
 * Layout, format 1, in the registry: `["owner"]` → OwnerRow; absent when nobody uses the directory. A crash leaves the row of
 * a process that is gone, which the next start replaces. LMDB has one writer at a time over all processes, so that reading and
 * replacing the row in one transaction is atomic between them.
 */
import { readFileSync } from "node:fs";
import { hostname } from "node:os";
import { failure } from "../kernel/errors.ts";
import { startTicksIn } from "../launcher/process-start.ts";
import type { Environment } from "./environment.ts";

export interface ProcessIdentity {
  readonly pid: number;
  /** Start of the process in clock ticks since boot, so that a reused pid is not taken for the owner. Empty when not told. */
  readonly startTicks: string;
  /** Changes with every boot of the machine. Empty when not told. */
  readonly bootId: string;
  readonly host: string;
}

interface OwnerRow extends ProcessIdentity {
  readonly atMs: number;
  readonly seenAtMs: number;
}

/** How often the owner writes that it still lives; an owner on another host (a container) counts as gone after three. */
export const ownerSeenEveryMs = 20_000;
const ownerGoneAfterMs = 3 * ownerSeenEveryMs;

/** The identity of a process on this machine. */
export function identify(pid: number): ProcessIdentity {
  return {
    pid,
    startTicks: startTicks(pid) ?? "",
    bootId: firstLine("/proc/sys/kernel/random/boot_id") ?? "",
    host: hostname(),
  };
}

/** Rejects with `CLOISTER_STATE_LOCKED` while another gateway owns the directory. */
export async function claimOwner(
  registry: Environment,
  own: ProcessIdentity,
  nowMs: number,
  stateDir: string,
): Promise<void> {
  await registry.write(() => {
    const owner = registry.get<OwnerRow>(["owner"]);
    if (owner !== undefined && isAlive(owner, own, nowMs)) throw locked(owner, stateDir);
    registry.put(["owner"], { ...own, atMs: nowMs, seenAtMs: nowMs } satisfies OwnerRow);
  });
}

/** The gateway that says that it uses the directory. */
export interface Owner {
  readonly pid: number;
  readonly host: string;
  readonly sinceMs: number;
  /** As far as this process can tell. */
  readonly isAlive: boolean;
}

/** Undefined when nobody uses the directory. A row that a crash has left says `isAlive: false`. */
export function findOwner(registry: Pick<Environment, "get">, nowMs: number): Owner | undefined {
  const owner = registry.get<OwnerRow>(["owner"]);
  if (owner === undefined) return undefined;
  const { pid, host, atMs } = owner;
  return { pid, host, sinceMs: atMs, isAlive: isAlive(owner, identify(process.pid), nowMs) };
}

export async function renewOwner(registry: Environment, nowMs: number): Promise<void> {
  await registry.write(() => {
    const owner = registry.get<OwnerRow>(["owner"]);
    if (owner !== undefined) registry.put(["owner"], { ...owner, seenAtMs: nowMs });
  });
}

export async function clearOwner(registry: Environment): Promise<void> {
  await registry.write(() => registry.remove(["owner"]));
}

/**
 * Another boot of the machine: gone. The same host: the kernel tells. Another host of the same boot is a container whose
 * processes cannot be seen from here: its last sign of life decides.
 */
function isAlive(owner: OwnerRow, own: ProcessIdentity, nowMs: number): boolean {
  if (owner.bootId !== own.bootId) return false;
  if (owner.host !== own.host) return nowMs - owner.seenAtMs < ownerGoneAfterMs;
  if (owner.startTicks !== "") return startTicks(owner.pid) === owner.startTicks;
  try {
    process.kill(owner.pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}

function locked(owner: OwnerRow, stateDir: string): Error {
  const since = new Date(owner.atMs).toISOString();
  return failure(
    "CLOISTER_STATE_LOCKED",
    `cannot use the state directory ${stateDir}: the gateway with pid ${owner.pid} on ${owner.host} uses it since ${since}`,
    "stop that gateway, or set CLOISTER_STATE_DIR to another directory",
  );
}

function startTicks(pid: number): string | undefined {
  return startTicksIn(firstLine(`/proc/${pid}/stat`) ?? "");
}

/** `/proc` is memory, not disk, and a transaction cannot wait: read at once. Undefined where it does not exist. */
function firstLine(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8").split("\n")[0];
  } catch {
    return undefined;
  }
}
