/** The tools that threads of their own run: files, commands and pages of the web, memory, and those of MCP servers; with the skills that the first of them read. */
import { mcpTools } from "../../../auth/tool-names.ts";
import type { ResolvedConfig } from "../../config/resolved.ts";
import { type LeftOutSkill, makeSkillFinder, ownSkillFolders, type SkillFolder } from "../../kernel/skills.ts";
import type { GatewayParts } from "../gateway-parts.ts";
import { makeMcp, type Mcp } from "../mcp.ts";
import type { Handlers } from "../method-handlers.ts";
import type { Targets } from "../method-targets.ts";
import type { Models } from "../models.ts";
import { makeSkillShelf, type SkillShelf } from "../skills.ts";
import { makeTaskMethods } from "../tasks.ts";
import { type CommandNewsDeps, makeCommandNews } from "./command-news.ts";
import { type Approvals, type ApprovalsDeps, makeApprovals } from "./exec-approvals.ts";
import { type CommandTools, type HostTools, type HostToolsDeps, makeHostTools } from "./host-tools.ts";
import { makeMemory } from "./memory.ts";
import type { ToolTable } from "./table.ts";

type Methods =
  | "memory.status"
  | "memory.index"
  | "memory.search"
  | "skills.status"
  | keyof Approvals["methods"]
  | keyof ReturnType<typeof makeTaskMethods>;

export interface ThreadTools {
  readonly tools: ToolTable;
  readonly commands: CommandTools;
  readonly mcp: Omit<Mcp, "tool" | "close">;
  readonly postAnswer: HostTools["postAnswer"];
  readonly skills: Pick<SkillShelf, "of">;
  readonly methods: (targets: Targets) => Handlers<Methods>;
  /** Tells of what ended with the last process. Rejects as the store does. */
  start(): Promise<void>;
  /** Ends the threads; calls that come later are refused. */
  close(): Promise<void>;
}

export interface ThreadToolsDeps
  extends Pick<HostToolsDeps, "agents" | "log" | "kernel">,
    Omit<ApprovalsDeps, "newRequestId" | "kept" | "store">,
    Omit<CommandNewsDeps, "store"> {
  readonly store: ApprovalsDeps["store"] & CommandNewsDeps["store"];
  readonly config: ResolvedConfig;
  readonly models: Pick<Models, "embed">;
}

export function makeThreadTools(
  deps: ThreadToolsDeps,
  {
    startTools,
    startMemory,
    startMcp,
    commandRequests,
    bundledSkills,
  }: Pick<GatewayParts, "startTools" | "startMemory" | "startMcp" | "commandRequests" | "bundledSkills">,
): ThreadTools {
  const { config, agents, log, kernel, nowMs, models } = deps;
  const news = makeCommandNews(deps);
  const skills = makeSkillShelf({ settings: () => config.skills, bundled: bundledSkills, nowMs });
  const approvals = makeApprovals({ ...deps, kept: commandRequests });
  const host = makeHostTools({ config, agents, skills, log, approvals, news, kernel, start: startTools });
  const memory = makeMemory({ config, agents, models, start: startMemory });
  const mcp = makeMcp({ ...deps, start: startMcp });

  const skillRows = async (agentId: string): Promise<object> => {
    const agent = agents.get(agentId);
    if (agent === undefined) return { agentId, skills: [] };
    const allowed = agent.settings.skills;
    const listed = (name: string) =>
      allowed === undefined || allowed.includes(name) ? [] : ["the agent's list of skills does not name it"];
    const { off, platform } = config.skills;
    const wrong: LeftOutSkill[] = [];
    const found = await makeSkillFinder()(folderOf(host, agent.workspace), ownSkillFolders, nowMs(), (file) =>
      wrong.push(file),
    );
    const own = await Promise.all(
      found.map(async (skill) => {
        const { name, description, location, gates } = skill;
        const barred = off.includes(name) || (gates.os.length > 0 && !gates.os.includes(platform));
        const missing = [...listed(name), ...(await skills.missingOf(skill))];
        return {
          name,
          description,
          location,
          source: "workspace",
          usable: !barred && listed(name).length === 0,
          missing,
        };
      }),
    );
    const names = new Set(own.map(({ name }) => name));
    const shared = (await skills.all()).map(({ name, description, folder, isBundled, missing: lacks }) => {
      const missing = [...listed(name), ...(names.has(name) ? ["the workspace has one of this name"] : []), ...lacks];
      const source = isBundled ? "bundled" : "shared";
      return { name, description, location: folder, source, usable: missing.length === 0, missing };
    });
    const there = new Set([...own, ...shared].map(({ name }) => name));
    const unknown = (allowed ?? []).filter((name) => !there.has(name));
    const rows = [
      ...own,
      ...shared,
      ...wrong.map(noSkill("workspace")),
      ...skills.leftOut().map(noSkill("shared")),
      ...unknown.map((name) => ({
        name,
        description: "",
        location: "",
        source: "nowhere",
        usable: false,
        missing: ["the agent's list of skills names it, and there is none"],
      })),
    ];
    return { agentId, skills: rows.toSorted((a, b) => (a.name < b.name ? -1 : 1)) };
  };

  return {
    tools: { ...host.tools, ...memory.tools, [mcpTools]: mcp.tool },
    mcp,
    commands: host.commands,
    postAnswer: (message) => host.postAnswer(message),
    start: async () => void (await Promise.all([news.start(), approvals.start(), mcp.start()])),
    async close() {
      approvals.close();
      await Promise.all([host.close(), memory.close(), mcp.close()]);
    },
    skills,
    methods: (targets) => ({
      ...memory.methods(targets),
      ...approvals.methods,
      ...makeTaskMethods({
        signals: deps.signals,
        endCommand: (task) => host.commands.end(task),
        cancelAtServer: (taskId) => mcp.cancelTask(taskId),
        denyCommand: (...task) => approvals.denyTask(...task),
        targets,
        note: deps.note,
        nowMs,
      }),
      "skills.status": ({ agentId }) => skillRows(targets.agent(agentId)),
    }),
  };
}

/** A workspace as the file tools see it: no link leads out of it. Nothing of it is remembered. */
function folderOf(host: Pick<ReturnType<typeof makeHostTools>, "look">, root: string): SkillFolder {
  return {
    list: async (path) => (await host.look<"entries">("ls", root, { path })).entries,
    read: async (path) => (await host.look<"text">("read", root, { path, limit: headLinesMax })).text,
    stamp: () => Promise.resolve({ value: "", changedMs: Number.POSITIVE_INFINITY, bytes: 0 }),
  };
}

/** The head of a SKILL.md is shorter. */
const headLinesMax = 200;

interface SkillRow {
  readonly name: string;
  readonly description: string;
  readonly location: string;
  readonly source: string;
  readonly usable: boolean;
  readonly missing: readonly string[];
}

const noSkill =
  (source: string) =>
  ({ location, why }: LeftOutSkill): SkillRow => ({
    name: location.split("/").at(-2) ?? location,
    description: "",
    location,
    source,
    usable: false,
    missing: [`left out: ${why}`],
  });
