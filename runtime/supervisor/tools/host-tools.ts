/**
 * The tools that run in the tools' thread: which folder a call is for, and the thread itself, which starts with the first call and again
 * after it was lost. Parameters travel in the body of the call, so that the main thread never reads them. Source: behaviour §7.1.
 */
import { createHash } from "node:crypto";
import path from "node:path";
import type { hostTools } from "../../../auth/tool-names.ts";
import type { ResolvedAgent, ResolvedConfig } from "../../config/resolved.ts";
import { limits } from "../../kernel/limits.ts";
import { hostParams, type HostTool, webFetchParams } from "../../tools/params.ts";
import type { ToolsForKernel } from "../../tools/port.ts";
import { entryUrl } from "../../thread/entries.ts";
import { startTrustedThread } from "../../thread/trusted-thread.ts";
import { isSandboxed } from "../sandboxed.ts";
import { fault, type Tool } from "./table.ts";
import { makeToolThread, type ToolThreadDeps } from "./tool-thread.ts";

export interface HostToolsDeps extends ToolThreadDeps<ToolsForKernel> {
  readonly config: Pick<ResolvedConfig, "session" | "webFetch">;
}

export interface HostTools {
  readonly tools: Readonly<Record<(typeof hostTools)[number], Tool>>;
  /** Ends the thread; calls that come later are refused. */
  close(): Promise<void>;
}

export const startToolsThread: HostToolsDeps["start"] = (onLost) =>
  startTrustedThread<ToolsForKernel>({
    entry: entryUrl("tools"),
    name: "tools",
    init: {},
    handlers: {},
    stuckMs: limits.helperStuckMs,
    onLost,
  });

/** What a second run of one call does; see `Tool.repeat`. */
const repeats: Readonly<Record<HostTool, Tool["repeat"]>> = {
  read: "reads",
  ls: "reads",
  write: "same",
  edit: "acts",
  apply_patch: "acts",
};

export function makeHostTools({ config, agents, start }: HostToolsDeps): HostTools {
  const thread = makeToolThread({ agents, start });

  const toolOf = (name: HostTool): Tool => ({
    repeat: repeats[name],
    parameters: hostParams[name],
    run: (call) =>
      thread.call(call, (agent, remote) => {
        const root = rootOf(agent, call.header.sessionKey, config.session);
        return inTime(name, remote.run({ tool: name, params: call.body, root }));
      }),
  });

  return {
    tools: {
      read: toolOf("read"),
      write: toolOf("write"),
      edit: toolOf("edit"),
      apply_patch: toolOf("apply_patch"),
      ls: toolOf("ls"),
      web_fetch: {
        // A page that is asked for once more; what asking for it does at the server is the server's affair, as with every GET.
        repeat: "reads",
        parameters: webFetchParams,
        run: (call) =>
          thread.call(call, ({ id }, remote) =>
            remote.fetchPage({ agentId: id, params: call.body, settings: config.webFetch.settings }),
          ),
      },
    },
    close: () => thread.close(),
  };
}

/** What the file system does not answer for holds no place for ever: its call is answered, and may still take effect. */
async function inTime(tool: HostTool, run: Promise<object>): Promise<object> {
  const { promise, resolve } = Promise.withResolvers<object>();
  const late = fault(
    "timeout",
    `${tool} did not end within ${limits.toolFileMs} ms`,
    repeats[tool] === "reads"
      ? "the file system does not answer"
      : "look whether it took effect before you call it again",
  );
  const timer = setTimeout(resolve, limits.toolFileMs, late);
  try {
    return await Promise.race([run, promise]);
  } finally {
    clearTimeout(timer);
  }
}

/** The agent's workspace; a sandboxed session that may not see it has a folder of its sandbox. */
export function rootOf(
  agent: Pick<ResolvedAgent, "id" | "workspace" | "sandboxMode" | "sandbox">,
  sessionKey: string,
  session: ResolvedConfig["session"],
): string {
  const { scope, access, folder } = agent.sandbox;
  if (!isSandboxed(agent, sessionKey, session) || access !== "none") return agent.workspace;
  return path.join(
    folder,
    scope === "shared"
      ? "shared"
      : scope === "agent"
        ? `agent-${agent.id}`
        : `session-${createHash("sha256").update(sessionKey).digest("hex").slice(0, 32)}`,
  );
}
