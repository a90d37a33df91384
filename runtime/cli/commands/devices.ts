/**
 * `cloister devices …`: clients that prove a key, and what they may do. On the gateway's machine the commands go by the operator's
 * socket, else with the operator's key, so that they work whatever became of a device. Nothing is approved that was not shown.
 */
import { z } from "zod";
import { sortScopes } from "../../../auth/scopes.ts";
import { type CliContext, commandPrefix, type ExitCode } from "../context.ts";
import { parse } from "../gateway-rows.ts";
import { withGateway, withOperator } from "../open-client.ts";
import { describeRequest, formatDevices } from "../views/devices.ts";
import { formatJson } from "../views/table.ts";

export interface DevicesOptions {
  readonly json?: boolean;
}

const names = z.array(z.string()).catch([]);
const maybe = z.string().optional().catch(undefined);

const pendingRow = z.object({
  requestId: z.string(),
  revision: z.int(),
  deviceId: z.string(),
  role: z.string(),
  kind: z.string(),
  scopes: names,
  adds: names,
  already: names,
  explanations: z.record(z.string(), z.string()).catch({}),
  clientId: z.string(),
  clientMode: z.string(),
  platform: maybe,
  remoteIp: maybe,
  looksLike: maybe,
  ts: z.number(),
});

const pairedRow = z.object({
  deviceId: z.string(),
  operatorLabel: maybe,
  clientId: z.string(),
  clientMode: z.string(),
  scopes: names,
  roles: names,
  approvedVia: z.string().catch(""),
  approvedAtMs: z.number().catch(0),
  connected: z.boolean().catch(false),
});

const listed = z.object({ pending: z.array(pendingRow), paired: z.array(pairedRow) });

export type PendingEntry = z.infer<typeof pendingRow>;
export type PairedEntry = z.infer<typeof pairedRow>;

export const parseDeviceList = (payload: unknown): z.infer<typeof listed> => parse("device.pair.list", listed, payload);

export function runDevicesList(context: CliContext, { json }: DevicesOptions): Promise<ExitCode> {
  return withOperator(context, ["operator.pairing"], async (client) => {
    const payload = await client.request("device.pair.list", {});
    if (json === true) context.terminal.out(formatJson(payload));
    else
      for (const line of formatDevices(parseDeviceList(payload), context.nowMs(), commandPrefix(context)))
        context.terminal.out(line);
    return 0;
  });
}

/** Without an id it shows the newest request and ends with 1. What it approves is the revision that it showed. */
export async function runDevicesApprove(
  context: CliContext,
  id: string | undefined,
  { json }: DevicesOptions,
): Promise<ExitCode> {
  const { terminal } = context;
  const { pending } = await withOperator(context, ["operator.pairing"], async (client) =>
    parseDeviceList(await client.request("device.pair.list", {})),
  );
  const found =
    id === undefined ? pending[0] : pending.find(({ requestId, deviceId }) => [requestId, deviceId].includes(id));
  if (id === undefined && found === undefined) {
    terminal.err("no device waits for an approval");
    return 1;
  }
  const say = json === true ? terminal.err : terminal.out;
  if (found !== undefined) for (const line of describeRequest(found, context.nowMs())) say(line);
  if (id === undefined && found !== undefined) {
    if (json === true) terminal.out(formatJson(found));
    terminal.err(`nothing is approved yet: \`${commandPrefix(context)} devices approve ${found.requestId}\``);
    return 1;
  }
  // One that is not in the list is asked for all the same: the gateway knows what became of it.
  const approval = found === undefined ? { requestId: id } : { requestId: found.requestId, revision: found.revision };
  const scopes =
    found?.role === "operator" ? sortScopes(["operator.pairing", ...found.scopes]) : ["operator.admin" as const];
  return withGateway(context, scopes, async (client) => {
    const payload = await client.request("device.pair.approve", approval);
    if (json === true) {
      const { adds, already, explanations } = found ?? {};
      terminal.out(formatJson({ ...z.looseObject({}).parse(payload), adds, already, explanations }));
    } else terminal.out(`approved; it lasts until \`${commandPrefix(context)} devices revoke\` or \`remove\``);
    return 0;
  });
}

export interface Change {
  readonly method: string;
  readonly params: object;
  /** What is said when it is done. */
  readonly done: string;
  /** Beside `operator.pairing`. */
  readonly scopes?: readonly string[];
}

/** One change, told in one line. */
export function runDevicesChange(
  context: CliContext,
  { method, params, done, scopes = [] }: Change,
  { json }: DevicesOptions,
): Promise<ExitCode> {
  return withOperator(context, sortScopes(["operator.pairing", ...scopes]), async (client) => {
    const payload = await client.request(method, params);
    context.terminal.out(json === true ? formatJson(payload) : done);
    return 0;
  });
}

/** Rejects what waits, and removes what is approved unless `pending` is set. */
export function runDevicesClear(
  context: CliContext,
  { json, yes, pending: onlyPending }: DevicesOptions & { readonly yes?: boolean; readonly pending?: boolean },
): Promise<ExitCode> {
  return withOperator(context, ["operator.pairing"], async (client) => {
    const { pending, paired } = parseDeviceList(await client.request("device.pair.list", {}));
    const leaving = onlyPending === true ? [] : paired;
    const said = `${pending.length} waiting, ${leaving.length} approved`;
    if (yes !== true) {
      context.terminal.err(`nothing is removed yet (${said}): add --yes`);
      return 1;
    }
    for (const { requestId } of pending) await client.request("device.pair.reject", { requestId });
    for (const { deviceId } of leaving) await client.request("device.pair.remove", { deviceId });
    context.terminal.out(
      json === true ? formatJson({ rejected: pending.length, removed: leaving.length }) : `removed: ${said}`,
    );
    return 0;
  });
}
