/** `cloister gateway status`. */
import type { Hello } from "../gateway-client.ts";
import type { GatewayProcess } from "../gateway-rows.ts";
import { formatAccess } from "./access.ts";
import { formatAge, formatCount, formatFacts } from "./table.ts";

export function formatGatewayProcess(
  gateway: GatewayProcess & { readonly url: string } & Pick<Hello, "version" | "role" | "scopes">,
  nowMs: number,
): readonly string[] {
  const { launcher } = gateway;
  return formatFacts([
    ["Gateway RPC probe", gateway.ready ? "ok" : "ok, and it still takes up what the last process left"],
    ["gateway", `${gateway.url}, version ${gateway.version}, pid ${gateway.pid}`],
    ["access", formatAccess(gateway)],
    ["started", formatAge(gateway.startedAtMs, nowMs)],
    ["work", formatCount(gateway.runs, "run")],
    [
      "launcher",
      launcher === undefined
        ? "none: nothing starts it again after a crash, unless a service manager does"
        : `pid ${launcher.pid}, ${formatCount(launcher.restarts, "restart")}${launcher.lastEnd === undefined ? "" : `; before this the gateway ended ${launcher.lastEnd}`}`,
    ],
  ]);
}
