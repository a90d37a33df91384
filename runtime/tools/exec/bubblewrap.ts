/**
 * A command in bubblewrap: namespaces of its own for processes, users, network, IPC and host name; of the host's files only the
 * system's programs, to read, and the folder that it works in. It dies with the thread that started it (`--die-with-parent`), also when the
 * gateway is killed. Source: bwrap(1); behaviour §7.1.
 *
 * A command of a gateway that is root has root's number, though none of its capabilities: files of `/proc` that root may write without
 * one (`/proc/sys/kernel/core_pattern` names a program that the system runs) are covered.
 */
import { lstat, readdir, readlink, stat } from "node:fs/promises";
import path from "node:path";
import { limits } from "../../kernel/limits.ts";
import type { Box, BoxBind, CommandVector } from "../port.ts";

/** What the host has, looked at once a minute. */
export interface HostFacts {
  /** Folders of programs and settings, as they are mounted: a link stays one. */
  readonly system: readonly SystemEntry[];
  /** Entries of `/proc` that the system may be changed through. */
  readonly procEntries: readonly string[];
}

export interface SystemEntry {
  readonly path: string;
  readonly link?: string;
}

/** Programs, and of `/etc` what programs cannot do without and holds no secret. */
const systemPaths = [
  "/usr",
  "/bin",
  "/sbin",
  "/lib",
  "/lib32",
  "/lib64",
  "/libx32",
  "/nix/store",
  "/etc/alternatives",
  "/etc/ca-certificates",
  "/etc/ca-certificates.conf",
  "/etc/ld.so.cache",
  "/etc/ld.so.conf",
  "/etc/ld.so.conf.d",
  "/etc/localtime",
  "/etc/mime.types",
  "/etc/nsswitch.conf",
  "/etc/pki/ca-trust",
  "/etc/protocols",
  "/etc/services",
  "/etc/ssl/certs",
  "/etc/ssl/openssl.cnf",
  "/etc/timezone",
];

export async function findHostFacts(): Promise<HostFacts> {
  const found = await Promise.all(systemPaths.map(describeEntry));
  const names = (await readdir("/proc").catch(() => [])).filter((name) => !/^\d+$/.test(name));
  const proc = await Promise.all(
    names.map(async (name) => {
      const entry = await lstat(`/proc/${name}`).catch(() => undefined);
      const isRisk = entry?.isDirectory() === true || (entry?.isFile() === true && (entry.mode & 0o222) !== 0);
      return isRisk ? [`/proc/${name}`] : [];
    }),
  );
  return { system: found.flat(), procEntries: proc.flat() };
}

async function describeEntry(place: string): Promise<readonly SystemEntry[]> {
  const found = await lstat(place).catch(() => undefined);
  if (found === undefined) return [];
  // A link at the top (`/bin` to `usr/bin`) is made again; one in `/etc` is mounted as what it points to.
  if (found.isSymbolicLink() && path.dirname(place) === "/") return [{ path: place, link: await readlink(place) }];
  return (await stat(place).catch(() => undefined)) === undefined ? [] : [{ path: place }];
}

/** By its real path. */
export interface HiddenEntry {
  readonly path: string;
  readonly isFolder: boolean;
}

export interface BoxUser {
  readonly uid: number;
  readonly gid: number;
}

/** The arguments of `bwrap` before the command. `hidden`: those of the box's places that are there. Pure. */
export function bubblewrapArguments(
  box: Box,
  vector: Pick<CommandVector, "cwd" | "env">,
  facts: HostFacts,
  hidden: readonly HiddenEntry[],
  { uid, gid }: BoxUser,
): readonly string[] {
  const mounts = [
    ...facts.system
      .filter(({ link }) => link === undefined)
      .map((one) => ({ from: one.path, to: one.path, writable: false })),
    ...box.settings.binds,
    { from: box.folder, to: box.inside, writable: box.writable },
  ];
  return [
    "--unshare-user",
    "--disable-userns",
    "--uid",
    String(uid),
    "--gid",
    String(gid),
    "--unshare-ipc",
    "--unshare-pid",
    "--unshare-net",
    "--unshare-uts",
    "--unshare-cgroup-try",
    "--hostname",
    "sandbox",
    "--die-with-parent",
    "--new-session",
    "--cap-drop",
    "ALL",
    "--clearenv",
    ...Object.entries(vector.env).flatMap(([name, value]) => ["--setenv", name, value]),
    "--proc",
    "/proc",
    ...facts.procEntries.flatMap((place) => ["--ro-bind", place, place]),
    "--dev",
    "/dev",
    ...temporary("/dev/shm"),
    "--remount-ro",
    "/dev",
    ...["/tmp", "/var/tmp", "/run"].flatMap(temporary),
    ...facts.system.flatMap(({ path: place, link }) => (link === undefined ? [] : ["--symlink", link, place])),
    ...mounts.flatMap(({ from, to, writable }) => [
      writable ? "--bind" : "--ro-bind",
      from,
      to,
      // Mounted over in the same place, after what shows it. Folders on the way to it are mounts of their own, which nobody can rename.
      ...hiddenIn({ from, to }, hidden).flatMap((secret) => [
        ...(writable ? secret.way.flatMap((step) => ["--bind", path.join(from, step), path.join(to, step)]) : []),
        ...cover(secret),
      ]),
    ]),
    ...(box.settings.readOnlyRoot ? ["--remount-ro", "/"] : []),
    "--chdir",
    vector.cwd,
  ];
}

/** What of the hidden lies below a mount: where it is seen, and the folders between, from the mount on. */
export function hiddenIn(
  { from, to }: Pick<BoxBind, "from" | "to">,
  hidden: readonly HiddenEntry[],
): readonly { readonly isFolder: boolean; readonly place: string; readonly way: readonly string[] }[] {
  return hidden
    .filter((secret) => secret.path !== from && isBelow(from, secret.path))
    .map(({ path: secret, isFolder }) => {
      const inner = path.relative(from, secret);
      const steps = inner.split(path.sep).slice(0, -1);
      return { isFolder, place: path.join(to, inner), way: steps.map((_, at) => path.join(...steps.slice(0, at + 1))) };
    });
}

function cover({ isFolder, place }: ReturnType<typeof hiddenIn>[number]): readonly string[] {
  return isFolder ? ["--size", "4096", "--perms", "0000", "--tmpfs", place] : ["--ro-bind", "/dev/null", place];
}

function temporary(place: string): readonly string[] {
  return ["--size", String(limits.execBoxTmpBytes), "--tmpfs", place];
}

/** What bounds the command itself, as a program before it, by its path: the command's PATH is its own. Processes are not counted for root. */
export function boundArguments({ processesMax, memoryBytes }: Box["settings"]): readonly string[] {
  return [
    "/usr/bin/prlimit",
    `--nproc=${processesMax}`,
    `--data=${memoryBytes}`,
    `--fsize=${limits.execBoxFileBytes}`,
    "--core=0",
    "--",
  ];
}

/** Or the same. */
export function isBelow(folder: string, place: string): boolean {
  const inner = path.relative(folder, place);
  return inner !== ".." && !inner.startsWith(`..${path.sep}`) && !path.isAbsolute(inner);
}
