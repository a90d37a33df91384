/** `subagents` of an agent, and of all. Source: behaviour §3.5. */
import * as z from "zod";
import { limits } from "../../kernel/limits.ts";
import { inert, key } from "./note.ts";
import { model, texts } from "./values.ts";

/** Efforts as configurations name them; there are fewer of them (`runtime/config/agent-settings.ts`). */
export const thinkingNames = ["off", "minimal", "low", "medium", "adaptive", "high", "xhigh", "max"] as const;
export type ThinkingName = (typeof thinkingNames)[number];

/** Minutes in five years: beyond that a timer is none. */
const archiveMinutesMax = Math.floor(limits.timerHorizonMsMax / 60_000);

export const subagents = () =>
  z.strictObject({
    allowAgents: key("Other agents that its sub-agents may run as; `*` is any. Default: none.", texts().optional()),
    requireAgentId: key("`sessions_spawn` has to name the agent. Default: false.", z.boolean().optional()),
    maxConcurrent: key(
      "Sub-agents at work at a time: in `agents.defaults` in the whole gateway (lane `subagent`, default 8), in `agents.list[]` those that work as the agent (`lanes.subagent` wins).",
      z.int().min(1).max(limits.runsMax).optional(),
    ),
    maxChildrenPerAgent: key(
      "Sub-agents of one session at a time. Default: 5.",
      z.int().min(1).max(limits.spawnChildrenMax).optional(),
    ),
    maxSpawnDepth: key(
      "Generations: with 1 a sub-agent starts none itself. Default: 1.",
      z.int().min(1).max(limits.spawnDepthMax).optional(),
    ),
    runTimeoutSeconds: key(
      "A run that takes longer is ended. 0: no bound. Default: 0.",
      z
        .number()
        .min(0)
        .max(limits.askTimeoutMsMax / 1_000)
        .optional(),
    ),
    archiveAfterMinutes: key(
      "How long after its end a sub-agent's session is archived. 0: never. Default: 60.",
      z.number().min(0).max(archiveMinutesMax).optional(),
    ),
    announceTimeoutMs: inert(
      "Time of one attempt to tell a requester.",
      "An attempt takes none: the result is stored with the requester's mail, or is refused at once and told again later.",
      z.number().positive().optional(),
    ),
    model: key(
      "Model of sub-agents that run as the agent: `provider/model`, or `{ primary, fallbacks }`. The agent may ask it as well. Default: that of the session which starts one, when it is the agent's own, else the agent's.",
      model().optional(),
    ),
    thinking: key(
      "How much that model thinks. Default: as in the session which starts one, when it is the agent's own, else as the agent's.",
      z.enum(thinkingNames).optional(),
    ),
    delegationMode: key(
      "What the model of a session that people speak to is told of sub-agents: that they are for what takes long (`suggest`, the default), or that all goes to them which is more than an answer or one quick step (`prefer`).",
      z.enum(["suggest", "prefer"]).optional(),
    ),
  });
