/** The config of a gateway that runs: it may have been started with another file than the one that is meant here. */
import type { ResolvedConfig } from "../config/index.ts";
import { isCoded } from "../kernel/errors.ts";
import type { CliContext } from "./context.ts";
import { withGateway } from "./open-client.ts";
import { readConfig } from "./read-config.ts";
import { fieldsOf } from "./wire-failure.ts";

/** `status` is what the gateway answers to the method of that name. Undefined for a gateway on another machine. */
export async function readRunningConfig(context: CliContext, status: unknown): Promise<ResolvedConfig | undefined> {
  const { options } = context;
  if (options.url !== undefined) return undefined;
  const config = await readConfig(context);
  const { configPath } = fieldsOf(status);
  if (options.config !== undefined || typeof configPath !== "string" || configPath === config.configPath) return config;
  return readConfig({ ...context, options: { ...options, config: configPath } });
}

export type Live =
  | { readonly status: "live"; readonly payload: unknown }
  | { readonly status: "none"; readonly reason: string };

/** What the gateway says of itself. One that does not answer is no fault, unless it was named. */
export async function findLive(context: CliContext): Promise<Live> {
  try {
    const payload = await withGateway(context, ["operator.read"], (client) => client.request("status", {}));
    return { status: "live", payload };
  } catch (error) {
    if (context.options.url !== undefined || !isCoded(error)) throw error;
    const isDown = error.code === "CLOISTER_GATEWAY_UNREACHABLE";
    return { status: "none", reason: isDown ? "no gateway is running" : error.message };
  }
}

/** The config that messages are handled by: of the gateway that runs, or else the one that it would start with. */
export async function readConfigInForce(context: CliContext): Promise<ResolvedConfig> {
  if (context.options.config !== undefined) return readConfig(context);
  // What a gateway elsewhere is configured with is not known here.
  if (context.options.url !== undefined) return readConfig(context);
  const live = await findLive(context);
  const running = live.status === "live" ? await readRunningConfig(context, live.payload) : undefined;
  return running ?? readConfig(context);
}
