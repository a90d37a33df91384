/** Whether a sandbox backend works on this machine: asked with an empty command in the sandbox that commands get. */
import { limits } from "../../kernel/limits.ts";
import type { BackendState, Box, ProbeAsked } from "../port.ts";
import { boundArguments, bubblewrapArguments, findHostFacts, type HostFacts } from "./bubblewrap.ts";
import { setupImage } from "./docker.ts";
import { removeLeftContainers } from "./docker-left.ts";
import { runShort } from "./short-run.ts";

const probeAgeMs = 60_000;

export interface Probe {
  state(asked: ProbeAsked): Promise<BackendState>;
  readonly facts: (this: void) => Promise<HostFacts>;
}

export interface ProbeDeps {
  readonly nowMs?: () => number;
  /** Containers that a killed gateway has left go when docker answers. Default: true. */
  readonly tidies?: boolean;
  /** The client of the container engine. Default: `docker`. */
  readonly docker?: string;
}

export function makeProbe({ nowMs = Date.now, tidies = true, docker = "docker" }: ProbeDeps = {}): Probe {
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
    async state({ backend, settings }) {
      if (backend === "bubblewrap") return once(backend, async () => probeBubblewrap(await facts()));
      const engine = await once(backend, () => probeDocker(docker, tidies));
      if (!engine.works || settings === undefined) return engine;
      const images = [...(settings.setupCommand === undefined ? [] : [setupImage(settings)]), settings.image];
      return once(`images ${images.join(" ")}`, () => probeImages(docker, images));
    },
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
    tmpfs: [],
    memoryBytes: limits.execBoxMemoryBytes,
    processesMax: limits.execBoxProcesses,
    binds: [],
    env: {},
  },
};

async function probeDocker(docker: string, tidies: boolean): Promise<BackendState> {
  const tried = await runShort(docker, ["version", "--format", "{{.Server.Version}}"]);
  if (tried.ok) {
    // The start of a gateway asks, before it has containers of its own. Nobody waits for it.
    if (tidies) void removeLeftContainers((args) => runShort(docker, args));
    return { backend: "docker", works: true };
  }
  const why = tried.text.includes("ENOENT") ? "docker is not installed" : tried.text.trim().slice(0, 500);
  return { backend: "docker", works: false, why: `${why}: no engine answers` };
}

/** Nothing is pulled for a command. The first that is there will do: what a `setupCommand` gave needs the other one no more. */
async function probeImages(docker: string, images: readonly string[]): Promise<BackendState> {
  let said = "";
  for (const image of images) {
    const found = await runShort(docker, ["image", "inspect", "--format", "{{.Id}}", image]);
    if (found.ok) return { backend: "docker", works: true };
    said = found.text.trim().slice(0, 500);
  }
  const image = images.at(-1) ?? "";
  const why = /no such image/i.test(said)
    ? `the engine has no image ${image}: docker pull ${image}`
    : `the image ${image} cannot be looked at: ${said}`;
  return { backend: "docker", works: false, why };
}
