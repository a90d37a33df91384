/**
 * Containers that a gateway has left which was killed: they end with nobody. Each says by a label which gateway it is of, so that the next one finds
 * and removes them; those of gateways that run, also of others on the same engine, stay.
 */
import { isGone } from "../../launcher/orphans.ts";
import { gatewayLabel } from "./docker.ts";
import { runShort } from "./short-run.ts";

/** Never rejects; gives what it has removed. `docker`: as the program answers its arguments. */
export async function removeLeftContainers(
  docker: (args: readonly string[]) => ReturnType<typeof runShort> = (args) => runShort("docker", args),
  isOver: typeof isGone = isGone,
): Promise<readonly string[]> {
  const format = `{{.ID}} {{.Label "${gatewayLabel}"}}`;
  const listed = await docker(["ps", "--all", "--no-trunc", "--filter", `label=${gatewayLabel}`, "--format", format]);
  if (!listed.ok) return [];
  const left: string[] = [];
  for (const line of listed.text.split("\n")) {
    const [, id, gateway = ""] = /^([0-9a-f]{12,64}) (.+)$/.exec(line.trim()) ?? [];
    if (id !== undefined && (await isOver(gateway))) left.push(id);
  }
  if (left.length === 0) return [];
  return (await docker(["rm", "--force", ...left])).ok ? left : [];
}
