/** `cloister skills list`: as the running gateway finds them. */
import { z } from "zod";
import type { CliContext, ExitCode } from "../context.ts";
import { parse } from "../gateway-rows.ts";
import { withGateway } from "../open-client.ts";
import { formatJson, formatTable } from "../views/table.ts";

export interface SkillsOptions {
  readonly agent?: string;
  readonly json?: boolean;
}

const text = z.string().catch("");

const skillRows = z.object({
  skills: z.array(
    z.object({
      name: text,
      location: text,
      source: text,
      usable: z.boolean().catch(false),
      missing: z.array(z.string()).catch([]),
    }),
  ),
});

export function runSkillsList(context: CliContext, { agent, json }: SkillsOptions): Promise<ExitCode> {
  return withGateway(context, ["operator.read"], async (client) => {
    const payload = await client.request("skills.status", agent === undefined ? {} : { agentId: agent });
    const { skills } = parse("skills.status", skillRows, payload);
    const rows = skills.map(({ name, usable, source, location, missing }) => [
      name,
      usable ? "yes" : "no",
      source,
      location,
      missing.join("; "),
    ]);
    const columns = ["SKILL", "USABLE", "FROM", "PLACE", "MISSING"].map((title) => ({ title }));
    const lines = rows.length === 0 ? ["no skills"] : formatTable(columns, rows);
    for (const line of json === true ? [formatJson(payload)] : lines) context.terminal.out(line);
    return 0;
  });
}
