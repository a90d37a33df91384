/** Whom a command asks about the audit trail: the running gateway, or the files of one that does not run. */
import { findPaths } from "../config/index.ts";
import { isCoded } from "../kernel/errors.ts";
import { auditKeyOf } from "../store/audit-chain.ts";
import { type AuditMethods, makeAuditDesk, makeAuditMethods } from "../supervisor/audit-desk.ts";
import type { CliContext } from "./context.ts";
import { findRunningGateway, readOperatorKey } from "./find-gateway.ts";
import { connectGateway, type GatewayClient } from "./gateway-client.ts";
import { surroundings } from "./read-config.ts";

export async function withAudit<T>(context: CliContext, use: (source: AuditMethods) => Promise<T>): Promise<T> {
  const client = await findClient(context);
  if (client === undefined) return withFiles(context, use);
  try {
    return await use(remote(client));
  } finally {
    await client.close();
  }
}

/** Undefined when none runs; one that was killed has left the file that says where it was. */
async function findClient(context: CliContext): Promise<GatewayClient | undefined> {
  const target = await findRunningGateway(context);
  if (target === undefined) return undefined;
  const { version, platform, terminal } = context;
  try {
    return await connectGateway(target, { version, platform, scopes: ["operator.read"] });
  } catch (error) {
    if (target.source === "option" || !isCoded(error) || error.code !== "CLOISTER_GATEWAY_UNREACHABLE") throw error;
    terminal.err("no gateway answers; reading its files");
    return undefined;
  }
}

const remote = (client: GatewayClient): AuditMethods => ({
  list: async (asked) => (await client.request("audit.list", asked)) as Awaited<ReturnType<AuditMethods["list"]>>,
  verify: async (asked) => (await client.request("audit.verify", asked)) as Awaited<ReturnType<AuditMethods["verify"]>>,
  who: async (asked) => (await client.request("audit.who", asked)) as Awaited<ReturnType<AuditMethods["who"]>>,
});

async function withFiles<T>(context: CliContext, use: (source: AuditMethods) => Promise<T>): Promise<T> {
  const { stateDir } = await findPaths(surroundings(context));
  // The database's own code is needed here alone.
  const { openAudit } = await import("../store/lmdb/read-audit.ts");
  const key = auditKeyOf((await readOperatorKey(stateDir)) ?? "");
  const opened = await openAudit(stateDir, key);
  try {
    return await use(makeAuditMethods(makeAuditDesk(opened.reads, stateDir, key), context.nowMs));
  } finally {
    await opened.close();
  }
}
