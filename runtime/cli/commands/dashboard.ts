/** `cloister dashboard`: the link to the operator's page, with the key that opens it. */
import { failure } from "../../kernel/errors.ts";
import { type CliContext, commandPrefix, type ExitCode } from "../context.ts";
import { findGateway } from "../find-gateway.ts";
import { connectGateway } from "../gateway-client.ts";
import { openBrowser } from "../open-browser.ts";
import { makePageLink } from "../page-link.ts";
import { formatJson } from "../views/table.ts";
import { readRunningConfig } from "../running-config.ts";

export interface DashboardOptions {
  readonly open: boolean;
  readonly json?: boolean;
}

/** The gateway is asked first, so that nobody opens a page that does not load. */
export async function runDashboard(context: CliContext, { open, json }: DashboardOptions): Promise<ExitCode> {
  const { terminal, version, platform } = context;
  const found = await findGateway(context);
  const client = await connectGateway(found, { version, platform, scopes: ["operator.read"] });
  const status = await client.request("status", {});
  await client.close();
  const link = makePageLink(await findPageUrl(context, found.url, status), found.token);
  terminal.out(json === true ? formatJson({ url: link }) : link);
  if (open && json !== true && terminal.isTty)
    openBrowser(link, platform, () => terminal.err("no browser could be started: open the link by hand"));
  return 0;
}

async function findPageUrl(context: CliContext, socketUrl: string, status: unknown): Promise<string> {
  const url = socketUrl.replace(/^ws/, "http");
  const config = await readRunningConfig(context, status);
  if (config === undefined) return url;
  const { enabled, basePath } = config.gateway.controlUi;
  if (enabled) return new URL(basePath, url).href;
  throw failure(
    "CLOISTER_EDGE_NOT_FOUND",
    "Opening the page: gateway.controlUi.enabled is false, so the gateway serves none.",
    `Set gateway.controlUi.enabled to true and restart the gateway, or use \`${commandPrefix(context)} chat\`.`,
  );
}
