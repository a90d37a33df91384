/**
 * Takes away what Node's permission flag leaves open in a worker. Runs before any code of the actor; every stub is
 * non-configurable. Best effort on top of the flag (which denies files, processes, add-ons, nested workers, and on Node 26
 * the network), not a sandbox of its own: `docs/THREAT_MODEL.md` says what it stops, `test/contract/confinement.test.ts`
 * pins each denial per Node version.
 */
import type * as FsModule from "node:fs";
import { limits } from "../../kernel/limits.ts";

type Loose = Record<string, unknown>;

/**
 * The built-in modules that a cell may load. An allowlist, so that a module that a later Node brings is denied until somebody
 * has looked at it. (`node:sqlite`, for one, opens files past the permission flag on Node 26.9.)
 */
const allowedBuiltins = new Set(
  (
    "assert assert/strict async_hooks buffer console constants crypto diagnostics_channel events fs fs/promises module os path " +
    "path/posix path/win32 perf_hooks process punycode querystring stream stream/consumers stream/promises stream/web " +
    "string_decoder timers timers/promises url util util/types v8 vm worker_threads zlib"
  ).split(" "),
);

/**
 * What stays of it for a module that the operator trusts: its two ports and the line between agents (no other channel to a thread),
 * and at level `thread` what acts on the process that all share.
 */
export interface Confinement {
  readonly level: "thread" | "process";
  readonly trust: "confined" | "trusted";
  readonly require: (name: string) => unknown;
  readonly workspace: string;
  /** Source of the module `cloister`, and where to find `zod` for actors without an own one. */
  readonly sdk: string;
  readonly zodUrl: string;
  /** Everything that the actor prints goes here. */
  readonly print: (level: number, text: string) => void;
}

/**
 * Powers of allowed modules that a cell does not get. Applied when a module is first loaded: loading them all for the stubs
 * would double the time to wake a cell.
 */
const lateStubs: Readonly<Record<string, readonly string[]>> = {
  v8: [
    "setFlagsFromString",
    "setHeapSnapshotNearHeapLimit",
    "setHeapProfileNearHeapLimit",
    "writeHeapSnapshot",
    "getHeapSnapshot",
    "takeCoverage",
    "stopCoverage",
    "startCpuProfile",
    "startHeapProfile",
    "startupSnapshot",
  ],
  crypto: ["setEngine", "setFips"],
  os: ["setPriority"],
};

export function confine({ require, workspace, sdk, zodUrl, level, trust, print }: Confinement): void {
  const isConfined = trust === "confined";
  const sharesProcess = isConfined || level === "thread";
  const moduleApi = require("node:module") as ModuleApi;
  const builtins = new Set(moduleApi.builtinModules.map((name) => name.replace(/^node:/, "")));
  const stubbed = new Set<string>();
  /** Throws for a built-in that a cell may not load; stubs what an allowed one has too much. */
  const admit = (specifier: string, how: string): void => {
    if (!isConfined) return;
    const name = specifier.replace(/^node:/, "");
    if (!specifier.startsWith("node:") && !builtins.has(name)) return;
    if (!allowedBuiltins.has(name)) throw denied(how);
    const names = lateStubs[name];
    if (names === undefined || stubbed.has(name)) return;
    stubbed.add(name);
    stubAll(require(`node:${name}`) as Loose, `node:${name}`, names);
    moduleApi.syncBuiltinESMExports();
  };

  hookModules(moduleApi, admit, sdk, zodUrl);
  if (isConfined) stubAll(moduleApi, "node:module", ["registerHooks", "register", "enableCompileCache", "runMain"]);
  stubAll(require("node:worker_threads") as Loose, "node:worker_threads", [
    ...(isConfined ? ["Worker"] : []),
    "BroadcastChannel",
    "postMessageToThread",
    "setEnvironmentData",
    "getEnvironmentData",
    "locks",
  ]);
  for (const name of ["parentPort", "workerData"]) fix(require("node:worker_threads") as Loose, name, undefined);
  if (sharesProcess) {
    guardDescriptors(require("node:fs") as typeof FsModule & Loose);
    stubAll(process as unknown as Loose, "process", actsOnProcess);
  }
  if (isConfined) {
    stubAll(process as unknown as Loose, "process", reachesOut);
    fix(process as unknown as Loose, "report", undefined);
    stubAll(globalThis, "globalThis", ["fetch", "WebSocket", "EventSource"]);
    fix(globalThis, "navigator", undefined);
  }
  confineProcess(workspace, admit, print);
  stubAll(globalThis, "globalThis", ["BroadcastChannel"]);
  moduleApi.syncBuiltinESMExports();
}

type ModuleApi = Loose & { syncBuiltinESMExports(): void; builtinModules: readonly string[] };
type Admit = (specifier: string, how: string) => void;

/** Denies built-ins outside the list, and serves `cloister` (and `zod` when the actor has none). */
function hookModules(moduleApi: ModuleApi, admit: Admit, sdk: string, zodUrl: string): void {
  type Next = (specifier: string, context: unknown) => unknown;
  const registerHooks = moduleApi["registerHooks"] as (hooks: {
    resolve(specifier: string, context: unknown, next: Next): unknown;
    load(url: string, context: unknown, next: Next): unknown;
  }) => void;
  const sdkUrl = "cloister:sdk";
  registerHooks({
    resolve(specifier, context, next) {
      if (specifier === "cloister") return { url: sdkUrl, format: "module", shortCircuit: true };
      admit(specifier, `import "${specifier}"`);
      if (specifier !== "zod" && !specifier.startsWith("zod/")) return next(specifier, context);
      try {
        return next(specifier, context);
      } catch {
        return next(specifier.replace("zod", zodUrl), context);
      }
    },
    load: (url, context, next) =>
      url === sdkUrl ? { format: "module", source: sdk, shortCircuit: true } : next(url, context),
  });
}

/** Ends, signals or changes the process, or reaches what others have open in it. */
const actsOnProcess = [
  "abort",
  "chdir",
  "execve",
  "initgroups",
  "kill",
  "_kill",
  "_debugProcess",
  "_debugEnd",
  "_getActiveHandles",
  "_getActiveRequests",
  "_rawDebug",
  "setegid",
  "seteuid",
  "setgid",
  "setgroups",
  "setuid",
  "umask",
];
/** Ways past the permission flag or the list of modules. */
const reachesOut = ["binding", "_linkedBinding", "dlopen", "loadEnvFile"];

function confineProcess(workspace: string, admit: Admit, print: Confinement["print"]): void {
  const target = process as unknown as Loose;
  const getBuiltinModule = process.getBuiltinModule.bind(process) as (id: string) => unknown;
  fix(target, "getBuiltinModule", (id: unknown) => {
    const name = String(id);
    admit(name, `process.getBuiltinModule("${name}")`);
    return getBuiltinModule(name);
  });
  // `process.chdir` does not exist in workers: what resolves against the working directory resolves in the workspace.
  fix(target, "cwd", () => workspace);
  fix(target, "stdout", makeSink(1, 30, print));
  fix(target, "stderr", makeSink(2, 40, print));
}

/** Stands in for a standard stream: what is written becomes log records. The real one would load Node's sockets. */
function makeSink(fd: number, level: number, print: Confinement["print"]): object {
  const sink = {
    fd,
    isTTY: false,
    writable: true,
    write(chunk: unknown, encoding?: unknown, done?: unknown): boolean {
      print(
        level,
        typeof chunk === "string"
          ? chunk
          : chunk instanceof Uint8Array
            ? new TextDecoder().decode(chunk)
            : String(chunk),
      );
      const callback = typeof encoding === "function" ? encoding : done;
      if (typeof callback === "function") queueMicrotask(() => (callback as () => void)());
      return true;
    },
    end: (chunk?: unknown) => (chunk === undefined ? undefined : sink.write(chunk)),
    on: () => sink,
    once: () => sink,
    off: () => sink,
    removeListener: () => sink,
    emit: () => false,
    getColorDepth: () => 1,
    hasColors: () => false,
  };
  return sink;
}

/**
 * Calls on descriptor numbers bypass the permission flag: a cell could read and write whatever the process has open, other
 * agents' stores included. Only descriptors that this cell opened itself (by a path, which the flag checks) are let through.
 */
function guardDescriptors(fs: typeof FsModule & Loose): void {
  const own = new Set<number>();
  /** The process has one table of descriptors for all: a cell that took them all would leave none for sockets and stores. */
  const admitOne = (): void => {
    if (own.size < limits.cellDescriptorsMax) return;
    const message = `EMFILE: a cell may hold ${limits.cellDescriptorsMax} open descriptors, and it does; close some first`;
    throw Object.assign(new Error(message), { code: "EMFILE" });
  };
  const check = (name: string, value: unknown): void => {
    if (typeof value === "number" && !own.has(value))
      throw denied(`fs.${name} on descriptor ${value}, which this cell did not open`);
  };
  const wrap = (
    name: string,
    make: (original: (...args: unknown[]) => unknown) => (...args: unknown[]) => unknown,
  ): void => {
    const original = fs[name];
    if (typeof original === "function") fix(fs, name, make((original as (...args: unknown[]) => unknown).bind(fs)));
  };

  wrap("openSync", (original) => (...args) => {
    admitOne();
    const descriptor = original(...args) as number;
    own.add(descriptor);
    return descriptor;
  });
  wrap("open", (original) => (...args) => {
    admitOne();
    const done = args.at(-1) as (error: unknown, descriptor: number) => void;
    return original(...args.slice(0, -1), (error: unknown, descriptor: number) => {
      if (error === null || error === undefined) own.add(descriptor);
      done(error, descriptor);
    });
  });
  for (const name of "read write readv writev fstat ftruncate fsync fdatasync futimes fchmod fchown close".split(" ")) {
    for (const form of [name, `${name}Sync`]) {
      wrap(form, (original) => (...args) => {
        check(form, args[0]);
        if (name === "close") own.delete(args[0] as number);
        return original(...args);
      });
    }
  }
  for (const name of "readFile writeFile appendFile".split(" ")) {
    for (const form of [name, `${name}Sync`]) {
      wrap(form, (original) => (...args) => {
        check(form, args[0]);
        return original(...args);
      });
    }
  }
  for (const name of [
    "createReadStream",
    "createWriteStream",
    "ReadStream",
    "WriteStream",
    "FileReadStream",
    "FileWriteStream",
  ]) {
    const original = fs[name] as (new (...args: unknown[]) => unknown) & ((...args: unknown[]) => unknown);
    if (typeof original !== "function") continue;
    const guarded = function (this: unknown, ...args: unknown[]): unknown {
      check(name, (args[1] as { fd?: unknown } | undefined)?.fd);
      return new.target === undefined
        ? original(...args)
        : Reflect.construct(original, args, new.target === guarded ? original : new.target);
    };
    guarded.prototype = original.prototype as object;
    fix(fs, name, guarded);
  }
}

/** Does not read what it replaces: many of these are getters that load a large part of Node. */
function stubAll(target: Loose, owner: string, names: readonly string[]): void {
  for (const name of names) {
    if (!(name in target)) continue;
    fix(target, name, () => {
      throw denied(`${owner}.${name}`);
    });
  }
}

function fix(target: Loose, name: string, value: unknown): void {
  // The engine evaluates a lazy property before it redefines it, and `WebSocket` loads a large part of Node: drop it first.
  Reflect.deleteProperty(target, name);
  Object.defineProperty(target, name, { value, writable: false, configurable: false, enumerable: true });
}

function denied(what: string): Error {
  return Object.assign(new Error(`${what} is not available in an agent's cell`), { code: "ERR_ACCESS_DENIED" });
}
