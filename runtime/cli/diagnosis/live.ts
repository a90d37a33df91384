/** What the running gateway says of its agents, its mail and who waits for a decision. */
import { z } from "zod";
import { parseAgents, parseDeadLetterCounts, parseGatewayProcess } from "../gateway-rows.ts";
import { formatCount } from "../views/table.ts";
import { fieldsOf } from "../wire-failure.ts";
import type { Answers } from "./gateway.ts";
import type { Finding } from "./finding.ts";

/** Of `askGateway`; each is only read. */
export const liveMethods: readonly (readonly [method: string, params: object])[] = [
  ["gateway.status", {}],
  ["status", {}],
  ["device.pair.list", {}],
  ["grants.requests", {}],
];

export function checkLive({ payloads }: Answers, prefix: string): readonly Finding[] {
  return [
    ...checkProcess(payloads.get("gateway.status")),
    ...checkAgents(payloads.get("status"), prefix),
    ...checkWaiting(payloads, prefix),
  ];
}

function checkProcess(payload: unknown): readonly Finding[] {
  if (payload === undefined) return [];
  const { launcher, ready } = parseGatewayProcess(payload);
  const found: Finding[] = [];
  if (!ready) {
    found.push({
      id: "gateway.resuming",
      severity: "note",
      what: "the gateway still takes up what the last process left",
      why: "What comes now waits behind it.",
    });
  }
  if (launcher === undefined) {
    found.push({
      id: "gateway.launcher",
      severity: "note",
      what: "the gateway runs without its launcher",
      why: "Nothing starts it again after a crash, unless a service manager does.",
      remedy: "Start it without --no-launcher, or see docs/guides/run-as-a-service.md.",
    });
  } else if (launcher.lastEnd !== undefined && launcher.restarts > 0) {
    found.push({
      id: "gateway.crashed",
      severity: "warning",
      what: `the gateway was started again ${formatCount(launcher.restarts, "time")}; the last end: ${launcher.lastEnd}`,
      why: "Nothing that was accepted is lost, but something is wrong.",
      remedy: "Look at the log before that time; see docs/guides/run-as-a-service.md.",
    });
  }
  return found;
}

function checkAgents(payload: unknown, prefix: string): readonly Finding[] {
  if (payload === undefined) return [];
  const agents = parseAgents(payload);
  const parked = agents.filter(({ phase }) => phase === "parked" || phase === "disabled");
  const found: Finding[] = parked.map(({ agentId, phase, reason, queueDepth }) => ({
    id: "agent.parked",
    // What an operator has ordered is meant.
    severity: reason?.includes("by the operator") === true ? "note" : "error",
    what: `agent ${agentId} is ${phase}${reason === undefined ? "" : `: ${reason}`}; ${queueDepth} of its messages wait`,
    why: "It handles nothing until it is put back into service; its mail is kept, and the other agents work.",
    remedy: `Correct what stopped it, then \`${prefix} agents start ${agentId}\`.`,
  }));
  if (parked.length === 0)
    found.push({ id: "agents", severity: "ok", what: `${formatCount(agents.length, "agent")}, all in service` });
  const { total, byFate } = parseDeadLetterCounts(fieldsOf(payload));
  if (total > 0) {
    const fates = Object.entries(byFate).map(([fate, count]) => `${count} ${fate}`);
    found.push({
      id: "mail.dead-letters",
      severity: "warning",
      what: `${formatCount(total, "message")} will not be handled: ${fates.join(", ")}`,
      remedy: `Look at them with \`${prefix} deadletters\`; replay or purge them there.`,
    });
  }
  return found;
}

const pendingDevices = z.object({
  pending: z.array(z.object({ requestId: z.string(), clientId: z.string().catch("?"), kind: z.string().catch("") })),
});
const pendingRights = z.object({
  requests: z.array(z.object({ id: z.string(), from: z.string(), to: z.string(), verb: z.string() })),
});

function checkWaiting(payloads: Answers["payloads"], prefix: string): readonly Finding[] {
  const devices = pendingDevices.safeParse(payloads.get("device.pair.list")).data?.pending ?? [];
  const rights = pendingRights.safeParse(payloads.get("grants.requests")).data?.requests ?? [];
  return [
    ...devices.map(
      ({ requestId, clientId, kind }): Finding => ({
        id: "device.waiting",
        severity: "warning",
        what: `a device of the client ${clientId} waits for your approval${kind === "upgrade-scope" ? ": it wants more access than it has" : ""} (${requestId})`,
        why: "Until then it is refused, or works with what it has. Agents are not concerned: they are no devices.",
        remedy: `See what it would get and decide: \`${prefix} devices approve ${requestId}\` or \`${prefix} devices reject ${requestId}\`.`,
      }),
    ),
    ...rights.map(
      ({ id, from, to, verb }): Finding => ({
        id: "grant.waiting",
        severity: "note",
        what: `agent ${from} asks for the right to ${verb} agent ${to} (${id})`,
        remedy: `\`${prefix} grants requests\` shows what it wants to do; then \`${prefix} grants approve ${id}\` or \`deny\`.`,
      }),
    ),
  ];
}
