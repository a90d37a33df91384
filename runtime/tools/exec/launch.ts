/**
 * Starts one command in its place, as the leader of a process group of its own, and ends it with all that it started. What is spawned
 * carries in its environment of which gateway it is (`launcher/orphans.ts`), and which command: so it is found when it left its group.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { mkdir, realpath, stat } from "node:fs/promises";
import path from "node:path";
import type { Readable, Writable } from "node:stream";
import { limits } from "../../kernel/limits.ts";
import { cellOfVariable, commandVariable, endCommands } from "../../launcher/orphans.ts";
import { type Box, type CommandVector, engineSocket, type Place, type SetupEnd } from "../port.ts";
import {
  type BoxUser,
  boundArguments,
  bubblewrapArguments,
  type HiddenEntry,
  type HostFacts,
  isBelow,
} from "./bubblewrap.ts";
import { dockerArguments, setupArguments, setupImage } from "./docker.ts";
import { ownerOf } from "./place.ts";
import { runShort } from "./short-run.ts";

export interface Launched {
  readonly child: ChildProcess;
  /** Ends it; what is left of it is gone when this resolves. May be called again. */
  end(): Promise<void>;
  /** When it has ended by itself: whether the command ran at all, else why not. */
  failed(errors: string): string | undefined;
}

export interface LaunchDeps {
  readonly facts: (this: void) => Promise<HostFacts>;
  /** Of this gateway, as orphans are known by; undefined where the system has none. */
  readonly gateway: string | undefined;
  /** The client of the container engine. Default: `docker`. */
  readonly docker?: string;
  /** For whoever runs the gateway: a `setupCommand` is no agent's. */
  readonly onSetup?: (end: SetupEnd) => void;
}

export interface LaunchAsked {
  readonly id: string;
  readonly agentId: string;
  readonly place: Place;
  readonly vector: CommandVector;
  readonly hasInput: boolean;
}

export async function launch(asked: LaunchAsked, deps: LaunchDeps): Promise<Launched> {
  const { place } = asked;
  await mkdir(place.folder, { recursive: true, mode: 0o700 });
  if (place.type === "host") return launchOnHost(asked, deps);
  return place.type === "bubblewrap" ? launchInBubblewrap(asked, deps) : launchInDocker(asked, deps);
}

function marks({ id }: LaunchAsked, { gateway }: LaunchDeps): Record<string, string> {
  return { [commandVariable]: id, ...(gateway === undefined ? {} : { [cellOfVariable]: gateway }) };
}

async function launchOnHost(asked: LaunchAsked, deps: LaunchDeps): Promise<Launched> {
  const { argv, cwd, env } = asked.vector;
  const [file = "", ...args] = argv;
  const child = spawn(file, args, {
    cwd,
    env: { ...env, ...marks(asked, deps) },
    detached: true,
    stdio: [asked.hasInput ? "pipe" : "ignore", "pipe", "pipe"],
    ...(await ownerOf(asked.place.folder)),
  });
  return {
    child,
    async end() {
      killGroup(child);
      // What has left the group; a program that cleared its environment as well is found by nobody.
      await endCommands((name) => name === asked.id);
    },
    failed: () => undefined,
  };
}

/** The box with the places that its links lead to, and what of its hidden places is there. @throws when one of `binds` leads to a hidden place. */
async function followLinks(given: Box): Promise<{ readonly box: Box; readonly hidden: readonly HiddenEntry[] }> {
  const found = await Promise.all(
    given.hidden.map(async (place) => {
      const entry = await stat(place).catch(() => undefined);
      return entry === undefined ? [] : [{ path: await realpath(place), isFolder: entry.isDirectory() }];
    }),
  );
  // Two names of one place are covered once: docker takes no second mount for it.
  const hidden = [...new Map(found.flat().map((entry) => [entry.path, entry])).values()];
  const binds = await Promise.all(
    given.settings.binds.map(async (bind) => ({ ...bind, from: await realpathOf(bind.from, bind.to) })),
  );
  for (const { from, to } of binds)
    if (path.basename(from) === engineSocket || hidden.some((secret) => isBelow(secret.path, from)))
      throw new Error(`${to} would show what it must not`);
  const box = {
    ...given,
    folder: await realpathOf(given.folder, given.inside),
    settings: { ...given.settings, binds },
  };
  return { box, hidden };
}

/** @throws an error with the place in the box alone: it reaches the agent. */
function realpathOf(place: string, to: string): Promise<string> {
  return realpath(place).catch((error: NodeJS.ErrnoException) => {
    throw new Error(`${to} cannot be mounted: ${error.code ?? "no such place"}`);
  });
}

/** What a backend says of its fault, with the names that places have in the box: it reaches the agent. */
function inWordsOf({ folder, inside, settings }: Box, errors: string): string {
  return [{ from: folder, to: inside }, ...settings.binds]
    .toSorted((a, b) => b.from.length - a.from.length)
    .reduce((text, { from, to }) => text.replaceAll(from, to), errors)
    .trim();
}

async function launchInBubblewrap(asked: LaunchAsked, deps: LaunchDeps): Promise<Launched> {
  const { vector, hasInput } = asked;
  const { box, hidden } = await followLinks(asked.place as Box);
  const owner = await ownerOf(box.folder);
  const facts = await deps.facts();
  const procEntries = owner.uid === 0 ? facts.procEntries : [];
  const args = bubblewrapArguments(box, vector, { ...facts, procEntries }, hidden, owner);
  // NUL ends an argument of `--args`: what follows it in a text would be options of bwrap.
  if (args.some((one) => one.includes("\0"))) throw new Error("a text for it has a NUL in it");
  // Values of variables are no part of what a list of processes shows: the arguments go through the fourth descriptor.
  const child = spawn(
    "bwrap",
    ["--args", "3", "--json-status-fd", "4", "--", ...boundArguments(box.settings), ...vector.argv],
    {
      cwd: "/",
      env: { PATH: usualPath, ...marks(asked, deps) },
      detached: true,
      stdio: [hasInput ? "pipe" : "ignore", "pipe", "pipe", "pipe", "pipe"],
      ...owner,
    },
  );
  let status = "";
  const [argsTo, statusFrom] = [child.stdio[3] as Writable | null, child.stdio[4] as Readable | null];
  // It may be gone before it has read them, which its end tells.
  argsTo?.on("error", () => undefined);
  argsTo?.end(args.map((one) => `${one}\0`).join(""));
  statusFrom?.on("data", (chunk: Buffer) => {
    if (status.length < 4_096) status += chunk.toString("latin1");
  });
  statusFrom?.on("error", () => undefined);
  return {
    child,
    end: () => {
      // Its first process ends with it, and with that one all of its namespace.
      killGroup(child);
      return Promise.resolve();
    },
    failed: (errors) =>
      status.includes('"exit-code"') ? undefined : inWordsOf(box, errors) || "bwrap did not start it",
  };
}

async function launchInDocker(asked: LaunchAsked, deps: LaunchDeps): Promise<Launched> {
  const { id, vector, hasInput } = asked;
  const { box, hidden } = await followLinks(asked.place as Box);
  const owner = await ownerOf(box.folder);
  const { gateway = "", docker = "docker" } = deps;
  const image =
    box.settings.setupCommand === undefined ? box.settings.image : await prepareImage(asked, box, owner, deps);
  const { args, env } = dockerArguments({ box, hidden, vector, image, name: id, gateway, hasInput, owner });
  const child = spawn(docker, args, {
    cwd: "/",
    env: { ...env, PATH: usualPath, ...marks(asked, deps) },
    detached: true,
    stdio: [hasInput ? "pipe" : "ignore", "pipe", "pipe"],
  });
  return {
    child,
    async end() {
      killGroup(child);
      // The client's end is not the container's.
      await runShort(docker, ["rm", "--force", id]);
    },
    // The codes that docker keeps for its own faults, of which the first alone is no program's in practice. Source: docker run(1).
    failed(errors) {
      if (child.exitCode !== 125) return undefined;
      // An operator may have removed what the `setupCommand` gave: the next command makes it anew.
      images.delete(image);
      return inWordsOf(box, errors) || "docker did not start it";
    },
  };
}

/** Made once: by the first command that needs it, while others wait. */
const images = new Map<string, Promise<string>>();

async function prepareImage(asked: LaunchAsked, box: Box, owner: BoxUser, deps: LaunchDeps): Promise<string> {
  const image = setupImage(box.settings);
  const made = images.get(image) ?? makeImage(image, asked, box, owner, deps);
  images.set(image, made);
  // Half of it is no sandbox: the next command tries again.
  made.catch(() => images.delete(image));
  return made;
}

async function makeImage(
  image: string,
  { id, agentId }: LaunchAsked,
  box: Box,
  owner: BoxUser,
  { gateway = "", docker = "docker", onSetup }: LaunchDeps,
): Promise<string> {
  if ((await runShort(docker, ["image", "inspect", image])).ok) return image;
  const name = `${id}-setup`;
  const told = { agentId, image: box.settings.image };
  const fail = (why: string, text: string): Error => {
    const output = text.slice(-setupOutputChars);
    onSetup?.({ ...told, output });
    return new Error(`${why}: ${output}`);
  };
  try {
    const run = await runShort(docker, setupArguments(box, name, gateway, owner), limits.execTimeoutMs);
    if (!run.ok) throw fail("its setupCommand failed", run.text);
    const kept = await runShort(docker, ["commit", name, image]);
    if (!kept.ok) throw fail("what its setupCommand did could not be kept", kept.text);
    onSetup?.({ ...told, made: image, output: run.text.slice(-setupOutputChars) });
    return image;
  } finally {
    await runShort(docker, ["rm", "--force", name]);
  }
}

const setupOutputChars = 1_000;

const usualPath = "/usr/local/bin:/usr/bin:/bin";

function killGroup(child: ChildProcess): void {
  if (child.pid === undefined) return;
  try {
    process.kill(-child.pid, "SIGKILL");
  } catch {
    // Nothing of the group is left.
  }
}
