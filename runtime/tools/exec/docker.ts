/**
 * A command in docker: a container for each, that is removed with it. Files of `/workspace` stay, nothing else does; what a `setupCommand`
 * installs is kept as an image of its own, made once, and only when the command ended well. Source: behaviour §7.1.
 */
import { createHash } from "node:crypto";
import type { Box, CommandVector } from "../port.ts";
import { type BoxUser, type HiddenEntry, hiddenIn } from "./bubblewrap.ts";

export interface DockerRun {
  readonly box: Box;
  /** Places of the box that are there. */
  readonly hidden: readonly HiddenEntry[];
  readonly vector: CommandVector;
  readonly image: string;
  /** Of the container: it is removed by it. */
  readonly name: string;
  /** Which gateway it is of, as its label says: an operator finds by it what a gateway that was killed has left. */
  readonly gateway: string;
  readonly hasInput: boolean;
  /** Owner of the folder. */
  readonly owner: BoxUser;
}

export const gatewayLabel = "cloister.gateway";

/** Names that the client of docker, or the loader that starts it, goes by itself. */
const ofClient = /^(?:PATH|HOME|LD_.*|GO(?:DEBUG|TRACEBACK|GC|MEMLIMIT|MAXPROCS)|DOCKER_.*|XDG_.*|SSL_.*|.*_PROXY)$/i;

/**
 * The arguments of `docker`, and the environment of its client. Of the operator's variables (`sandbox.docker.env`) no list of processes shows the
 * values: the client hands them on. What a call sets stands in the arguments as its words do: in the environment it would act on the client,
 * which is outside of the sandbox.
 */
export function dockerArguments({ box, hidden, vector, image, name, gateway, hasInput, owner }: DockerRun): {
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
} {
  const { settings } = box;
  const variables = Object.entries(vector.env);
  const isHandedOn = (key: string, value: string): boolean =>
    !ofClient.test(key) && Object.hasOwn(settings.env, key) && settings.env[key] === value;
  const args = [
    "run",
    "--rm",
    "--init",
    "--name",
    name,
    "--label",
    `${gatewayLabel}=${gateway}`,
    "--pull",
    "never",
    ...(hasInput ? ["--interactive"] : []),
    ...boundsOf(box, owner),
    ...capabilitiesOf(box, owner),
    ...(settings.readOnlyRoot ? ["--read-only"] : []),
    ...settings.tmpfs.flatMap((place) => ["--tmpfs", place]),
    ...[{ from: box.folder, to: box.inside, writable: box.writable }, ...settings.binds].flatMap((bind) => [
      "--mount",
      ["type=bind", field("src", bind.from), field("dst", bind.to), ...(bind.writable ? [] : ["readonly"])].join(","),
      ...hiddenIn(bind, hidden).flatMap(({ isFolder, place }) => [
        "--mount",
        isFolder
          ? ["type=tmpfs", field("dst", place), "tmpfs-size=4096", "tmpfs-mode=0500", "readonly"].join(",")
          : ["type=bind", "src=/dev/null", field("dst", place), "readonly"].join(","),
      ]),
    ]),
    "--workdir",
    vector.cwd,
    ...variables.flatMap(([key, value]) => ["--env", isHandedOn(key, value) ? key : `${key}=${value}`]),
    // What the image starts by itself is not what was judged.
    "--entrypoint",
    vector.argv[0] ?? "",
    image,
    ...vector.argv.slice(1),
  ];
  return { args, env: Object.fromEntries(variables.filter(([key, value]) => isHandedOn(key, value))) };
}

/** One of a line of CSV, as docker reads a mount: a comma in a path begins no other one. */
function field(name: string, value: string): string {
  return `"${`${name}=${value}`.replaceAll('"', '""')}"`;
}

function boundsOf({ settings }: Box, owner: BoxUser): readonly string[] {
  const user = settings.user ?? (owner.uid === 0 ? "1000:1000" : `${owner.uid}:${owner.gid}`);
  return [
    "--network",
    settings.network,
    "--user",
    user,
    "--security-opt",
    "no-new-privileges",
    "--memory",
    String(settings.memoryBytes),
    "--pids-limit",
    String(settings.processesMax),
    ...(settings.cpus === undefined ? [] : ["--cpus", String(settings.cpus)]),
  ];
}

/** Root without any may not enter a folder that its owner has for itself, and no command would start. */
function capabilitiesOf({ settings }: Box, owner: BoxUser): readonly string[] {
  const isStranger = /^0(?::|$)/.test(settings.user ?? "") && owner.uid !== 0;
  return [
    ...dropped(settings.capDrop ?? ["ALL"]),
    ...(settings.capDrop === undefined && isStranger ? ["--cap-add", "DAC_OVERRIDE"] : []),
  ];
}

const dropped = (capabilities: readonly string[]): readonly string[] =>
  capabilities.flatMap((capability) => ["--cap-drop", capability]);

/** Of the image that a `setupCommand` leaves; another command or image, another name. */
export function setupImage({ image, setupCommand = "" }: Pick<Box["settings"], "image" | "setupCommand">): string {
  const hash = createHash("sha256")
    .update(JSON.stringify([image, setupCommand]))
    .digest("hex")
    .slice(0, 24);
  return `cloister-sandbox:${hash}`;
}

/**
 * Runs the `setupCommand` in a container that is kept until it is committed; without the workspace, which is no part of an image. It is the
 * operator's, and has docker's usual capabilities: without them no package manager works (apt changes its user, dpkg those of files).
 */
export function setupArguments(box: Box, name: string, gateway: string, owner: BoxUser): readonly string[] {
  return [
    "run",
    "--init",
    "--name",
    name,
    "--label",
    `${gatewayLabel}=${gateway}`,
    "--pull",
    "never",
    ...boundsOf(box, owner),
    ...dropped(box.settings.capDrop ?? []),
    "--entrypoint",
    "sh",
    box.settings.image,
    "-lc",
    box.settings.setupCommand ?? "",
  ];
}
