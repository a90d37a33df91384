/**
 * A command in docker: a container for each, that is removed with it. Files of `/workspace` stay, nothing else does; what a `setupCommand`
 * installs is kept as an image of its own, made once, and only when the command ended well. Source: behaviour §7.1.
 */
import { createHash } from "node:crypto";
import type { Box, CommandVector } from "../port.ts";
import type { BoxUser } from "./bubblewrap.ts";

export interface DockerRun {
  readonly box: Box;
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

/** Names that the client of docker goes by itself: their values stand in the arguments. */
const ofClient = /^(?:PATH|HOME|DOCKER_.*|HTTPS?_PROXY|NO_PROXY)$/i;

/** The arguments of `docker`, and the environment that its client needs to hand values on which no list of processes should show. */
export function dockerArguments({ box, vector, image, name, gateway, hasInput, owner }: DockerRun): {
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
} {
  const { settings } = box;
  const variables = Object.entries(vector.env);
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
    ...(settings.readOnlyRoot ? ["--read-only"] : []),
    ...settings.tmpfs.flatMap((place) => ["--tmpfs", place]),
    ...[{ from: box.folder, to: box.inside, writable: box.writable }, ...settings.binds].flatMap((bind) => [
      "--mount",
      ["type=bind", field("src", bind.from), field("dst", bind.to), ...(bind.writable ? [] : ["readonly"])].join(","),
    ]),
    "--workdir",
    vector.cwd,
    ...variables.flatMap(([key, value]) => ["--env", ofClient.test(key) ? `${key}=${value}` : key]),
    // What the image starts by itself is not what was judged.
    "--entrypoint",
    vector.argv[0] ?? "",
    image,
    ...vector.argv.slice(1),
  ];
  return { args, env: Object.fromEntries(variables.filter(([key]) => !ofClient.test(key))) };
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
    ...settings.capDrop.flatMap((capability) => ["--cap-drop", capability]),
    "--memory",
    String(settings.memoryBytes),
    "--pids-limit",
    String(settings.processesMax),
    ...(settings.cpus === undefined ? [] : ["--cpus", String(settings.cpus)]),
  ];
}

/** Of the image that a `setupCommand` leaves; another command or image, another name. */
export function setupImage({ image, setupCommand = "" }: Box["settings"]): string {
  const hash = createHash("sha256")
    .update(JSON.stringify([image, setupCommand]))
    .digest("hex")
    .slice(0, 24);
  return `cloister-sandbox:${hash}`;
}

/** Runs the `setupCommand` in a container that is kept until it is committed; without the workspace, which is no part of an image. */
export function setupArguments(box: Box, name: string, gateway: string, owner: BoxUser): readonly string[] {
  return [
    "run",
    "--init",
    "--name",
    name,
    "--label",
    `${gatewayLabel}=${gateway}`,
    ...boundsOf(box, owner),
    "--entrypoint",
    "sh",
    box.settings.image,
    "-lc",
    box.settings.setupCommand ?? "",
  ];
}
