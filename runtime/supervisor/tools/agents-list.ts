/** `agents_list`: the agents that the caller may reach, and how. Source: behaviour §3.7. */
import { z } from "zod";
import { grantVerbs } from "../../kernel/envelope.ts";
import { type SessionVerb } from "../../../auth/policy.ts";
import type { SessionFinder, SessionToolsDeps } from "./find-session.ts";
import { choicesOfTurn } from "../channel-models.ts";
import { defineTool, type Tool } from "./table.ts";

/** Agents that are not configured are not there: an id that a grant names and nobody has is omitted. */
export function makeAgentsList(
  { config, store }: Pick<SessionToolsDeps, "config" | "store">,
  find: SessionFinder,
): Tool {
  return defineTool("reads", z.object({}), async (_params, call) => {
    const requester = find.requesterOf(call);
    const row = await store.session(requester.sessionKey);
    const chosen = choicesOfTurn(config.channelModels, call.header, row?.choices)?.model;
    const rows = [...find.agents.values()].map(({ id, name, model, subagents }) => {
      const isSelf = id === requester.agentId;
      const main = find.mainOf(id);
      const may = (verb: SessionVerb): boolean => find.judge(requester, main, verb).allowed;
      const spawn = find.maySpawn(requester.agentId, id);
      const spawned = subagents.model?.primary ?? (isSelf ? chosen : undefined) ?? model;
      const verbs = grantVerbs.filter((verb) => verb !== "spawn" && may(verb));
      return {
        id,
        name,
        ...(model === undefined ? {} : { model }),
        isSelf,
        /** Whether `sessions_spawn` takes the id: the caller's own, those of `subagents.allowAgents`, and those of a grant. */
        spawn,
        /** How a sub-agent of it works that this session starts without naming a model. */
        ...(spawn ? { subagent: { runtime: "subagent", ...(spawned === undefined ? {} : { model: spawned }) } } : {}),
        access: verbs,
      };
    });
    return {
      status: "ok",
      requester: requester.agentId,
      agents: rows.filter(({ spawn, access }) => spawn || access.length > 0),
    };
  });
}
