/** What bounds the commands of a session, for explanations: also where a bound holds for one process alone, or nothing is bounded (ADR 0057). */
import type { ResolvedAgent } from "../../config/resolved.ts";
import { limits } from "../../kernel/limits.ts";

export type CommandPlace = ResolvedAgent["exec"]["backend"] | "host";

/** One line for each; `isRoot`: the gateway runs as root. */
export function describeBounds(
  { box, timeoutMs }: Pick<ResolvedAgent["exec"], "box" | "timeoutMs">,
  place: CommandPlace,
  isRoot: boolean,
): readonly string[] {
  const { memoryBytes, processesMax, cpus, network } = box;
  const time = `time: ${timeoutMs} ms, or what the call says`;
  if (place === "host")
    return [time, "memory, processes, CPU, files, network: none; a command has what the gateway's user has"];
  if (place === "docker")
    return [
      time,
      `memory: ${memoryBytes} bytes of the container`,
      `processes: ${processesMax} of the container`,
      cpus === undefined ? "CPU: none" : `CPU: ${cpus} processors`,
      `network: ${network}`,
    ];
  return [
    time,
    `memory: ${memoryBytes} bytes of each process (rlimit); none for all of a command together`,
    isRoot
      ? "processes: none, since the gateway runs as root, whose processes are not counted; give it a user of its own"
      : `processes: ${processesMax} of the gateway's user, all of them together (rlimit)`,
    "CPU: none",
    `files: ${limits.execBoxFileBytes} bytes each (rlimit); temporary folders: ${limits.execBoxTmpBytes} bytes each`,
    "network: none",
  ];
}
