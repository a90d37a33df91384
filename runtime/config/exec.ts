/** What the config says of commands and of what they run in, by agent. Source: behaviour §1.6, §7.1, §7.5. */
import type { ExecRules } from "../../auth/exec-policy.ts";
import type { BoxBackend, BoxBind, BoxSettings } from "../tools/port.ts";
import { limits } from "../kernel/limits.ts";
import type { ElevatedLevel } from "../kernel/session-choices.ts";
import { toolsOf, type WrittenTools } from "./agent-tools.ts";
import type { NamedAgent } from "./agents.ts";
import { mergeMaps } from "./merge-maps.ts";
import type { ExecSettings } from "./resolved.ts";
import type { Config } from "./schema.ts";
import type { WrittenElevated, WrittenExec } from "./schema/exec.ts";
import type { WrittenDocker } from "./schema/sandbox.ts";

export function resolveExec(agent: NamedAgent, config: Config): ExecSettings {
  const own = toolsOf(agent, config);
  const written: WrittenExec = { ...config.tools.exec, ...own?.exec };
  const backend = backendOf(agent, config);
  const box = resolveBox(dockerOf(agent, config));
  const fault = whySetupFails(backend, box);
  return {
    backend,
    box,
    ...(fault === undefined ? {} : { fault }),
    sandboxOnly: written.host === "sandbox",
    onHost: rulesOf(written, { security: "allowlist", ask: "on-miss" }),
    inSandbox: rulesOf(written, { security: "full", ask: "off" }),
    yieldMs: written.backgroundMs ?? limits.execYieldMs,
    timeoutMs: written.timeoutSec === undefined ? limits.execTimeoutMs : Math.ceil(written.timeoutSec * 1_000),
    pathPrepend: written.pathPrepend ?? [],
    news: written.notifyOnExit === false ? "none" : written.notifyOnExitEmptySuccess === true ? "all" : "usual",
    ...patchOf(agent, config, written.applyPatch),
    elevated: elevatedOf(config.tools.elevated, own?.elevated, config.agents.defaults.elevatedDefault),
  };
}

function rulesOf(written: WrittenExec, usual: Pick<ExecRules, "security" | "ask">): ExecRules {
  return {
    security: written.security ?? usual.security,
    ask: written.ask ?? usual.ask,
    allow: (written.allow ?? []).map((entry) => entry.trim().split(/\s+/)),
  };
}

function patchOf(
  { id, entry }: NamedAgent,
  { agents }: Config,
  written: WrittenExec["applyPatch"],
): Pick<ExecSettings, "patch"> {
  if (written === undefined) return {};
  const at = isWritten(entry.tools)
    ? `agents.list[id=${id}].tools`
    : isWritten(agents.defaults.tools)
      ? "agents.defaults.tools"
      : "tools";
  const models = (written.allowModels ?? []).map((name) => name.trim().toLowerCase());
  return { patch: { key: `${at}.exec.applyPatch`, isOff: written.enabled === false, models } };
}

const isWritten = (tools: WrittenTools | undefined): boolean => tools?.exec?.applyPatch !== undefined;

/** Every gate has to let it through; the agent's own only narrows. */
function elevatedOf(
  all: WrittenElevated | undefined,
  own: WrittenElevated | undefined,
  usual: ElevatedLevel | undefined,
): ExecSettings["elevated"] {
  const gates = [all?.allowFrom ?? {}, ...(own?.allowFrom === undefined ? [] : [own.allowFrom])];
  return {
    enabled: all?.enabled === true && own?.enabled !== false,
    ...(usual === undefined ? {} : { usual }),
    allowFrom: gates.map((gate) =>
      Object.fromEntries(Object.entries(gate).map(([channel, ids]) => [channel.toLowerCase(), ids.map(String)])),
    ),
  };
}

/** One sandbox for all has the settings of all. */
export function dockerOf({ entry }: NamedAgent, { agents }: Config): WrittenDocker | undefined {
  const inherited = agents.defaults.sandbox;
  const own = entry.sandbox;
  const isShared = (own?.scope ?? inherited.scope) === "shared";
  if (isShared || own?.docker === undefined) return inherited.docker;
  return mergeMaps(inherited.docker, own.docker);
}

export function backendOf(agent: NamedAgent, config: Config): BoxBackend {
  return (
    agent.entry.sandbox?.backend ??
    config.agents.defaults.sandbox.backend ??
    (dockerOf(agent, config) === undefined ? "bubblewrap" : "docker")
  );
}

export function resolveBox(written: WrittenDocker = {}): BoxSettings {
  const { image, network, readOnlyRoot, user, capDrop, tmpfs, memory, cpus, pidsLimit, binds, env, setupCommand } =
    written;
  return {
    image: image ?? "debian:stable-slim",
    network: network ?? "none",
    readOnlyRoot: readOnlyRoot ?? true,
    ...(user === undefined ? {} : { user }),
    ...(capDrop === undefined ? {} : { capDrop }),
    tmpfs: tmpfs ?? ["/tmp", "/var/tmp", "/run"],
    memoryBytes: memory === undefined ? limits.execBoxMemoryBytes : bytesOf(memory),
    ...(cpus === undefined ? {} : { cpus }),
    processesMax: pidsLimit ?? limits.execBoxProcesses,
    binds: (binds ?? []).map(readBind),
    env: env ?? {},
    ...(setupCommand === undefined ? {} : { setupCommand }),
  };
}

/** Half a setup is none: what cannot succeed is told before it is tried, with the keys to change. Source: behaviour §7.1. */
export function whySetupFails(backend: BoxBackend, box: BoxSettings): ExecSettings["fault"] {
  if (box.setupCommand === undefined) return undefined;
  if (backend === "bubblewrap")
    return {
      message: "sandbox.docker.setupCommand needs containers: in bubblewrap there is nothing that it could set up",
      remedy: 'Use sandbox.backend: "docker", or install on the host what commands need.',
    };
  const missing = [
    ...(box.network === "none" ? ['network: "bridge"'] : []),
    ...(box.readOnlyRoot ? ["readOnlyRoot: false"] : []),
    ...(/^0(?::0)?$/.test(box.user ?? "") ? [] : ['user: "0:0"']),
  ];
  if (missing.length === 0) return undefined;
  return {
    message: "sandbox.docker.setupCommand cannot succeed: it needs a network, a root that can be written, and root",
    remedy: `Set ${missing.map((one) => `sandbox.docker.${one}`).join(", ")}.`,
  };
}

/** As the schema has checked it: `/source:/target[:ro|:rw]`. */
export function readBind(text: string): BoxBind {
  const [from = "", to = "", mode] = text.split(":");
  return { from, to, writable: mode === "rw" };
}

const units: Readonly<Record<string, number>> = { k: 1_024, m: 1_048_576, g: 1_073_741_824 };

function bytesOf(memory: string | number): number {
  if (typeof memory === "number") return memory;
  const unit = /[kmg]/i.exec(memory)?.[0].toLowerCase() ?? "";
  return Math.floor(Number.parseFloat(memory) * (units[unit] ?? 1));
}
