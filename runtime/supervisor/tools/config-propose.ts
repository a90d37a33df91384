/**
 * `config_propose`: a change of the configuration that an operator decides about. Nothing of the configuration is told to the agent but
 * the keys that it names itself; it writes nothing.
 */
import { z } from "zod";
import { limits } from "../../kernel/limits.ts";
import type { ConfigProposals } from "../config-proposals.ts";
import { readsBody } from "./in-body.ts";
import { defineTool, type Tool } from "./table.ts";

const key = z.string().trim().min(1).max(limits.configProposalKeyCharsMax);

const bodyCharsMax = limits.configProposalCharsMax + limits.configProposalReasonCharsMax;

const params = z
  .object({
    reason: z
      .string()
      .trim()
      .min(1)
      .max(limits.configProposalReasonCharsMax)
      .describe("Why, for the operator who decides."),
    set: z
      .array(z.object({ key, value: z.unknown().refine((value) => value !== undefined, "expected a value") }))
      .max(limits.configProposalKeysMax)
      .default([])
      .describe("Keys such as agents.list[id=raul].name, with what is to stand there."),
    unset: z.array(key).max(limits.configProposalKeysMax).default([]).describe("Keys that are to go."),
  })
  .refine(({ set, unset }) => set.length + unset.length > 0, "expected at least one key in set or unset");

export function makeConfigPropose(proposals: Pick<ConfigProposals, "propose">): Tool {
  const tool = defineTool("by-call", params, async (asked, { header, key: number }) => {
    const { agentId, sessionKey, id: turn } = header;
    const { id, check } = await proposals.propose({ ...asked, agentId, sessionKey, call: { turn, key: number } });
    const told = { status: "waiting", proposalId: id, note: "An operator decides; nothing has changed." };
    // What a variable holds shows in what fits, and in what is said of it.
    if (JSON.stringify([asked.set, asked.unset]).includes("${")) return told;
    // What is wrong elsewhere in the file is not the agent's to know.
    const named = check.issues.filter(
      ({ path }) => check.misfits === true || isNamed(path, [...asked.set.map((one) => one.key), ...asked.unset]),
    );
    const issues = named.length > 0 ? named.map(({ path, message }) => ({ path, message })) : [elsewhere];
    return { ...told, valid: check.valid, ...(check.valid ? {} : { issues }) };
  });
  return readsBody(tool, bodyCharsMax);
}

const elsewhere = {
  path: "(elsewhere)",
  message: "is not valid with this, at a key that the proposal does not name; the operator sees which",
};

const plain = (text: string): string => text.replace(/\[[^\]]*\]/g, "[]");

/** Items of a list stand by their id in the one and by their place in the other. */
function isNamed(path: string, keys: readonly string[]): boolean {
  return keys.some((one) => isAt(plain(path), plain(one)) || isAt(plain(one), plain(path)));
}

const isAt = (path: string, named: string): boolean =>
  path === named || path.startsWith(`${named}.`) || path.startsWith(`${named}[`);
