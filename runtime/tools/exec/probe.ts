/** Whether a sandbox backend works on this machine: asked with an empty command in the sandbox that commands get. */
import { limits } from "../../kernel/limits.ts";
import type { BackendState, Box, BoxBackend } from "../port.ts";
import { boundArguments, bubblewrapArguments, findHostFacts, type HostFacts } from "./bubblewrap.ts";
import { removeLeftContainers } from "./docker-left.ts";
import { runShort } from "./short-run.ts";

const probeAgeMs = 60_000;

export interface Probe {
  state(backend: BoxBackend): Promise<BackendState>;
  readonly facts: (this: void) => Promise<HostFacts>;
}

/** `tidies`: containers that a killed gateway has left go when docker answers. */
export function makeProbe(nowMs: () => number = Date.now, tidies = true): Probe {
  const known = new Map<string, { readonly atMs: number; readonly value: Promise<unknown> }>();
  const once = <T>(name: string, look: () => Promise<T>): Promise<T> => {
    const found = known.get(name);
    if (found !== undefined && nowMs() - found.atMs < probeAgeMs) return found.value as Promise<T>;
    const value = look();
    known.set(name, { atMs: nowMs(), value });
    return value;
  };
  const facts = (): Promise<HostFacts> => once("facts", findHostFacts);
  return {
    facts,
    state: (backend) =>
      once(backend, async () => (backend === "docker" ? probeDocker(tidies) : probeBubblewrap(await facts()))),
  };
}

async function probeBubblewrap(facts: HostFacts): Promise<BackendState> {
  const uid = process.getuid?.() ?? 0;
  const args = bubblewrapArguments(emptyBox, { cwd: "/workspace", env: { PATH: "/usr/bin:/bin" } }, facts, [], {
    uid,
    gid: process.getgid?.() ?? 0,
  });
  const tried = await runShort("bwrap", [...args, "--", ...boundArguments(emptyBox.settings), "true"]);
  if (tried.ok) return { backend: "bubblewrap", works: true };
  const said = tried.text.trim().slice(0, 500);
  const why = said.includes("ENOENT")
    ? "bwrap is not installed: install the package bubblewrap"
    : /namespace|Operation not permitted|Permission denied/i.test(said)
      ? `${said}: the system refuses namespaces to this user, as containers and hardened systems do; allow unprivileged user namespaces, or use sandbox.backend: "docker"`
      : said;
  return { backend: "bubblewrap", works: false, why };
}

const emptyBox: Box = {
  type: "bubblewrap",
  folder: "/usr",
  inside: "/workspace",
  writable: false,
  hidden: [],
  settings: {
    image: "",
    network: "none",
    readOnlyRoot: true,
    capDrop: [],
    tmpfs: [],
    memoryBytes: limits.execBoxMemoryBytes,
    processesMax: limits.execBoxProcesses,
    binds: [],
    env: {},
  },
};

async function probeDocker(tidies: boolean): Promise<BackendState> {
  const tried = await runShort("docker", ["version", "--format", "{{.Server.Version}}"]);
  if (tried.ok) {
    // The start of a gateway asks, before it has containers of its own. Nobody waits for it.
    if (tidies) void removeLeftContainers();
    return { backend: "docker", works: true };
  }
  const why = tried.text.includes("ENOENT") ? "docker is not installed" : tried.text.trim().slice(0, 500);
  return { backend: "docker", works: false, why: `${why}: no engine answers` };
}
