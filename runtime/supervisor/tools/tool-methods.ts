/** What an operator is told of the tools of a session: which it may call, and which rule took each other one. Source: needs A9.3, behaviour §7.2. */
import { configTool, isNamed, mcpTools, tools as allTools } from "../../../auth/tool-names.ts";
import type { Removal } from "../../../auth/tool-policy.ts";
import type { ResolvedAgent, ResolvedConfig } from "../../config/resolved.ts";
import { failure } from "../../kernel/errors.ts";
import type { Kernel } from "../../kernel/kernel.ts";
import { isSubagentKey } from "../../routing/index.ts";
import type { Store } from "../../store/port.ts";
import type { Mcp } from "../mcp.ts";
import type { Handlers, Params } from "../method-handlers.ts";
import type { Targets } from "../method-targets.ts";
import { isSandboxed } from "../sandboxed.ts";
import { describeBounds } from "./command-bounds.ts";
import { elevatedKeys, type ElevatedSender, isElevatedSender, levelOf, rulesOutside, switchOn } from "./elevated.ts";
import type { CommandTools } from "./host-tools.ts";
import { insideOf, rootOf } from "./places.ts";
import type { ThreadTools } from "./thread-tools.ts";
import { groupOf, type ToolDesk } from "./tool-desk.ts";

export interface ToolMethodsDeps {
  readonly config: ResolvedConfig;
  readonly agents: ReadonlyMap<string, ResolvedAgent>;
  readonly kernel: () => Pick<Kernel, "toolsHeldBy">;
  readonly store: Pick<Store, "session">;
}

/** Of the tools' threads: what explanations tell of them. */
export interface ExplainedTools {
  readonly commands: Pick<CommandTools, "probe">;
  readonly mcp: Pick<Mcp, "ready" | "patternsOf">;
}

export function makeToolMethods(
  deps: ToolMethodsDeps,
  desk: Pick<ToolDesk, "explain">,
  threads: Pick<ThreadTools, "commands" | "mcp">,
): (targets: Targets) => Handlers<"tools.effective" | "mcp.list"> {
  const explain = makeExplainer(deps, desk, threads);
  return (targets) => ({
    "mcp.list": async () => ({ servers: await threads.mcp.view() }),
    "tools.effective": explain(targets),
  });
}

/** Needs no gateway: what only a running one knows is asked of the parts. */
export function makeExplainer(
  { config, agents, kernel, store }: ToolMethodsDeps,
  desk: Pick<ToolDesk, "explain">,
  { commands, mcp }: ExplainedTools,
): (targets: Targets) => (asked: Params<"tools.effective">) => Promise<object> {
  /** Whether commands may leave the sandbox for `sender`; without one, for the operator. */
  const elevatedOf = async ({ exec, id }: ResolvedAgent, sessionKey: string, sender: ElevatedSender | undefined) => {
    const chosen = (await store.session(sessionKey))?.choices?.elevated;
    const level = levelOf(exec, chosen);
    const key = !exec.elevated.enabled
      ? elevatedKeys.enabled(id)
      : sender !== undefined && !isElevatedSender(exec.elevated, sender)
        ? elevatedKeys.allowFrom(id)
        : level === "off"
          ? switchOn(chosen)
          : undefined;
    const { security, ask } = rulesOutside(exec.onHost, level);
    return {
      allowed: key === undefined,
      ...(key === undefined ? { security, ask } : { key }),
      ...(level === undefined ? {} : { level }),
    };
  };

  const sandboxOf = async (agent: ResolvedAgent, sessionKey: string, sender: ElevatedSender | undefined) => {
    const sandboxed = isSandboxed(agent, sessionKey, config.session);
    const { exec } = agent;
    return {
      mode: agent.sandboxMode,
      sandboxed,
      scope: agent.sandbox.scope,
      workspaceAccess: agent.sandbox.access,
      /** What the file tools of the session see. */
      root: rootOf(agent, sessionKey, config.session),
      commands: {
        in: sandboxed ? exec.backend : exec.sandboxOnly ? "nowhere" : "host",
        ...(sandboxed ? { folder: insideOf(agent, sessionKey, config.session) } : {}),
        security: (sandboxed ? exec.inSandbox : exec.onHost).security,
        ask: (sandboxed ? exec.inSandbox : exec.onHost).ask,
        ...(exec.sandboxOnly && !sandboxed
          ? {}
          : { bounds: describeBounds(exec, sandboxed ? exec.backend : "host", process.getuid?.() === 0) }),
        ...(sandboxed ? await brokenIn(exec) : {}),
      },
      ...(sandboxed ? { elevated: await elevatedOf(agent, sessionKey, sender) } : {}),
    };
  };

  /** Why no command runs in it; nothing where they do. */
  const brokenIn = async ({
    backend,
    box: settings,
    fault,
  }: ResolvedAgent["exec"]): Promise<{ readonly broken?: string }> => {
    if (fault !== undefined) return { broken: `${fault.message}. ${fault.remedy}` };
    const { works, why = "it does not work here" } = await commands.probe({ backend, settings });
    return works ? {} : { broken: why };
  };

  return (targets) =>
    async ({ agentId: reference, sessionKey: key, sender, group }) => {
      const { agentId, sessionKey } = key === undefined ? targets.main(targets.agent(reference)) : targets.session(key);
      if (reference !== undefined && targets.agent(reference) !== agentId)
        throw failure(
          "CLOISTER_REQUEST_INVALID",
          `the session ${sessionKey} is of the agent ${agentId}, not of ${reference}`,
          "name the agent or the session, not both",
        );
      const held = kernel().toolsHeldBy(agentId, sessionKey);
      if (held.length === 0 && isSubagentKey(sessionKey))
        throw failure(
          "CLOISTER_RUN_UNKNOWN",
          `no run is under way in ${sessionKey}`,
          "cloister subagents list shows the runs",
        );
      await mcp.ready(agentId);
      const channel = sender?.channel ?? group?.channel ?? "";
      const rules =
        group === undefined
          ? undefined
          : groupOf(config, group.accountId ?? "default", { channel, peer: { kind: "channel", id: group.id } });
      const judged = desk.explain(
        {
          agentId,
          sessionKey,
          byOperator: sender === undefined && group === undefined,
          ...(sender === undefined ? {} : { sender }),
          ...(rules === undefined ? {} : { group: rules }),
        },
        [
          ...allTools.filter((tool) => held.includes(tool)),
          ...held.flatMap((tool) =>
            tool === mcpTools ? mcp.patternsOf(agentId) : isNamed([mcpTools], tool) ? [tool] : [],
          ),
        ],
      );
      // Who may propose is the config's matter, and no rule takes it.
      const kept = allTools.filter((tool) => !held.includes(tool) && tool !== configTool);
      const notHeld: Removal = {
        rule: "not handed on to the run",
        key: "the rights of the requester",
        tools: kept,
        remedy: "what its requester may call, and sub-agents may have, when it is started",
        byAllow: false,
      };
      const agent = agents.get(agentId);
      const asker = sender === undefined ? undefined : { channel: sender.channel, senderId: sender.id };
      return {
        agentId,
        sessionKey,
        ...(agent === undefined ? {} : { sandbox: await sandboxOf(agent, sessionKey, asker) }),
        allowed: judged.allowed,
        removed: [...(kept.length === 0 ? [] : [notHeld]), ...judged.removals].map(
          ({ rule, key: at, tools, remedy }) => ({
            rule,
            key: at,
            tools,
            remedy,
          }),
        ),
      };
    };
}
