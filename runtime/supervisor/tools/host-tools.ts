/**
 * The tools that run in the tools' thread: which folder a call is for, and the thread itself, which starts with the first call and again
 * after it was lost. Parameters travel in the body of the call, and the main thread reads those of commands alone. Source: behaviour §7.1.
 */
import { randomBytes } from "node:crypto";
import { realpath } from "node:fs/promises";
import type { OutboundMessage, SendResult } from "../../../channels/port.ts";
import type { hostTools } from "../../../auth/tool-names.ts";
import type { ResolvedAgent, ResolvedConfig } from "../../config/resolved.ts";
import { failure, toRefusal } from "../../kernel/errors.ts";
import type { Kernel } from "../../kernel/kernel.ts";
import { limits } from "../../kernel/limits.ts";
import { ownSkillFolders } from "../../kernel/skills.ts";
import type { ExitReason } from "../../kernel/state.ts";
import { endCommands } from "../../launcher/orphans.ts";
import { hostParams, type HostTool, webFetchParams } from "../../tools/params.ts";
import type {
  BackendState,
  Beside,
  BoxBackend,
  KernelForTools,
  ProbeAsked,
  SetupEnd,
  ToolsForKernel,
  ToolsInit,
} from "../../tools/port.ts";
import type { TimerRow } from "../../store/port.ts";
import { entryUrl } from "../../thread/entries.ts";
import { startTrustedThread } from "../../thread/trusted-thread.ts";
import type { Logger } from "../driver.ts";
import type { SkillShelf } from "../skills.ts";
import type { CommandNews } from "./command-news.ts";
import type { Approvals } from "./exec-approvals.ts";
import { makeExecTools } from "./exec-tool.ts";
import { insideOf, rootOf } from "./places.ts";
import { fault, type Tool, type ToolCall } from "./table.ts";
import { makeToolThread, type StartedThread, type ToolThreadDeps } from "./tool-thread.ts";

export interface HostToolsDeps extends Pick<ToolThreadDeps<ToolsForKernel>, "agents"> {
  readonly start: (
    onLost: (reason: string) => void,
    handlers: KernelForTools,
  ) => Promise<StartedThread<ToolsForKernel>>;
  readonly news: CommandNews;
  readonly config: Pick<ResolvedConfig, "session" | "stateDir" | "configPath" | "webFetch" | "jobPosts">;
  readonly skills: Pick<SkillShelf, "foldersOf">;
  readonly log: Logger;
  readonly approvals: Pick<Approvals, "ask" | "isAllowed">;
  readonly kernel: () => Pick<Kernel, "judgedTurn">;
}

/** What becomes of commands, and of what they run in. */
export interface CommandTools {
  /** The turn is over: commands that a call of it still waits for end. */
  endTurn(entry: string, turn: number): void;
  /** The cell is gone, or is to go: its commands end. One that only has nothing to do keeps them, unless it is a sub-agent's. */
  endCell(entry: string, reason: ExitReason, isRun: boolean): void;
  /** Ends the command that the task tells of. */
  end(task: Pick<TimerRow, "id" | "agentId" | "sessionKey">): Promise<CommandEnding>;
  /** What the processes of commands hold. Rejects when their thread is lost meanwhile. */
  readonly heldMemory: ToolsForKernel["heldMemory"];
  readonly probe: (this: void, asked: ProbeAsked) => Promise<BackendState>;
  /** Says in the log which sandboxes of the configuration cannot be set up here, of each agent once for each reason. Never rejects. */
  checkSandboxes(): Promise<void>;
}

/** `over`: it had ended, or is of another process. `running`: it was told to end, and is still there. */
export type CommandEnding = "ended" | "over" | "running";

export interface HostTools {
  readonly tools: Readonly<Record<(typeof hostTools)[number], Tool>>;
  readonly commands: CommandTools;
  /** What `ls` or `read` give, for the gateway itself. @throws when they refuse. */
  look<K extends keyof Looked>(tool: "ls" | "read", root: string, params: object): Promise<Pick<Looked, K>>;
  /** To the URL that is its peer. @throws CLOISTER_THREAD_LOST when nobody can tell: it is kept for the next process. */
  postAnswer(message: OutboundMessage): Promise<SendResult>;
  /** Ends the thread; calls that come later are refused. */
  close(): Promise<void>;
}

interface Looked {
  readonly entries: readonly { readonly name: string; readonly type: "file" | "directory" | "other" }[];
  readonly text: string;
}

export const makeToolsStart =
  (log: Logger): HostToolsDeps["start"] =>
  (onLost, handlers) => {
    const name = `cloister-${randomBytes(4).toString("hex")}`;
    return startTrustedThread<ToolsForKernel>({
      entry: entryUrl("tools"),
      name: "tools",
      init: { name } satisfies ToolsInit,
      handlers,
      stuckMs: limits.helperStuckMs,
      onNotStarted: (reason) => log.error({ reason }, "the thread of tools cannot start; the next call tries again"),
      onLost: (reason) => {
        log.error({ reason }, "the thread of tools was lost; the next call starts it again");
        // Those in bubblewrap die with the thread; others know nothing of it.
        void endCommands((command) => command.startsWith(name));
        onLost(reason);
      },
    });
  };

/** What an operator's command wrote is for the operator, whether it failed or not. Source: behaviour §7.1. */
function logSetup(log: Logger, { agentId, image, made, output }: SetupEnd): void {
  const fields = { agent: agentId, image, output };
  if (made === undefined) log.warn(fields, "the setupCommand of a sandbox failed: commands in it are refused");
  else log.info({ ...fields, made }, "the setupCommand of a sandbox has run, once for its image");
}

/** What a second run of one call does; see `Tool.repeat`. */
const repeats: Readonly<Record<HostTool, Tool["repeat"]>> = {
  read: "reads",
  ls: "reads",
  write: "same",
  edit: "acts",
  apply_patch: "acts",
};

export function makeHostTools({
  config,
  agents,
  skills,
  log,
  approvals,
  news,
  kernel,
  start,
}: HostToolsDeps): HostTools {
  const thread = makeToolThread<ToolsForKernel>({
    agents,
    start: (onLost) =>
      start(
        (reason) => {
          onLost(reason);
          news.lost();
        },
        { ended: async (end) => news.ended(end), setUp: async (end) => logSetup(log, end) },
      ),
  });

  const toolOf = (name: HostTool): Tool => ({
    repeat: repeats[name],
    parameters: hostParams[name],
    run: (call) =>
      thread.call(call, async (agent, remote) => {
        const root = rootOf(agent, call.header.sessionKey, config.session);
        const inside = insideOf(agent, call.header.sessionKey, config.session);
        const places = {
          ...(inside === undefined ? {} : { inside }),
          ...(await besideOf(name, agent, root)),
          // The broker finds pictures in the workspace alone.
          ...(root === agent.workspace ? { showsPictures: true } : {}),
        };
        return inTime(name, remote.run({ tool: name, params: call.body, root, ...places }));
      }),
  });

  /** Skills are read, and nothing else is done to them: those that agents share, and its own where the session does not see the workspace. */
  const besideOf = async (
    name: HostTool,
    agent: ResolvedAgent,
    root: string,
  ): Promise<{ readonly beside?: readonly Beside[] }> => {
    if (repeats[name] !== "reads") return {};
    const { skills: allowed } = agent.settings;
    const own = root === agent.workspace || allowed?.length === 0 ? [] : [await ownSkills(agent.workspace)];
    const beside = [...own, ...skills.foldersOf(allowed).map((folder) => ({ root: folder }))];
    return beside.length === 0 ? {} : { beside };
  };

  const probe: CommandTools["probe"] = async (asked) => (await thread.remote()).probe(asked);

  /** Calls of `exec` in hand, and whether nobody waits for them any more: every turn without one that ends has nothing to tell the thread. */
  const inExec = new Map<string, { readonly entry: string; readonly turn: number; isOver: boolean }>();
  const endCalls = (entry: string, turn?: number): boolean => {
    const meant = [...inExec.values()].filter(
      (one) => one.entry === entry && (turn === undefined || one.turn === turn),
    );
    for (const one of meant) one.isOver = true;
    return meant.length > 0;
  };
  const execTools = makeExecTools({
    config,
    agents,
    approvals,
    news,
    kernel,
    inThread: (call, ask) => thread.call(call, ask),
    isOver: (call) => inExec.get(nameOf(call))?.isOver !== false,
  });
  const exec: Tool = {
    ...execTools.exec,
    async run(call) {
      inExec.set(nameOf(call), { entry: call.agentId, turn: call.turn, isOver: false });
      try {
        return await execTools.exec.run(call);
      } finally {
        inExec.delete(nameOf(call));
      }
    },
  };

  /** Why the sandbox of an agent cannot be set up, as the log has it. */
  const told = new Map<string, string>();

  const commands: CommandTools = {
    endTurn(entry, turn) {
      if (endCalls(entry, turn)) thread.tell((remote) => remote.endTurn(entry, turn));
      news.turnOver(entry, turn);
    },
    endCell(entry, reason, isRun) {
      news.cellOver(entry);
      if (reason === "normal" && !isRun) return;
      endCalls(entry);
      thread.tell((remote) => remote.endAll(entry));
    },
    async end({ id, agentId, sessionKey }) {
      const processId = news.processOf(id);
      if (processId === undefined) return "over";
      const remote = await thread.remote();
      const found = await remote.process(JSON.stringify({ action: "kill", processId }), { agentId, sessionKey });
      const { status, endedBy } = found as { readonly status?: unknown; readonly endedBy?: unknown };
      if (status === "running") return "running";
      // What ends in the turn that began it is told when that is over.
      return status === "exited" && endedBy === "killed" ? "ended" : "over";
    },
    heldMemory: () => thread.askRunning((remote) => remote.heldMemory(), []),
    probe,
    async checkSandboxes() {
      const sandboxed = [...agents.values()].filter(({ sandboxMode }) => sandboxMode !== "off");
      const alike = Map.groupBy(sandboxed, ({ exec: { backend, box } }) =>
        JSON.stringify(backend === "docker" ? [backend, box.image, box.setupCommand] : [backend]),
      );
      const boxed = new Set(sandboxed.map(({ id }) => id));
      for (const id of told.keys()) if (!boxed.has(id)) told.delete(id);
      const broken = new Map<string, { readonly backend: BoxBackend; readonly why: string; readonly ids: string[] }>();
      for (const [first, ...others] of alike.values()) {
        if (first === undefined) continue;
        const { backend, box: settings } = first.exec;
        const { works, why = "it does not work here" } = await probe({ backend, settings }).catch((error: unknown) => ({
          works: false,
          why: toRefusal(error).message,
        }));
        const ids = [first, ...others].map(({ id }) => id);
        if (works) for (const id of ids) told.delete(id);
        const untold = works ? [] : ids.filter((id) => told.get(id) !== why);
        if (untold.length === 0) continue;
        for (const id of untold) told.set(id, why);
        const found = broken.get(`${backend} ${why}`) ?? { backend, why, ids: [] };
        found.ids.push(...untold);
        broken.set(`${backend} ${why}`, found);
      }
      for (const { ids, backend, why } of broken.values())
        log.warn({ agents: ids, backend, reason: why }, "a sandbox cannot be set up: commands in it are refused");
    },
  };

  return {
    commands,
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
      exec,
      process: execTools.process,
    },
    async look(tool, root, params) {
      const remote = await thread.remote();
      const result = await inTime(tool, remote.run({ tool, params: JSON.stringify(params), root }));
      if (!("status" in result) || result.status !== "ok")
        throw failure("CLOISTER_REQUEST_INVALID", JSON.stringify(result));
      return result as unknown as Looked;
    },
    async postAnswer(message) {
      const post = { message, url: message.peer.id, stateDir: config.stateDir, ...config.jobPosts };
      try {
        return await (await thread.remote()).postAnswer(post);
      } catch (error) {
        throw failure(
          "CLOISTER_THREAD_LOST",
          `whether the answer has arrived is not known: ${toRefusal(error).message}`,
          undefined,
          error,
        );
      }
    },
    close: () => thread.close((remote) => remote.endAll()),
  };
}

/** Of one call: what reads its parameters hands a copy on. */
function nameOf({ agentId, incarnation, turn, key }: ToolCall): string {
  return `${agentId} ${incarnation} ${turn} ${key}`;
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

/** By the path that the cell knows. */
const ownSkills = async (workspace: string): Promise<Beside> => ({
  root: await realpath(workspace).catch(() => workspace),
  folders: ownSkillFolders,
});
