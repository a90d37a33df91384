/** MCP servers as the thread is told of them that connects to them, and as the tool policy is. */
import type { McpRules } from "../../auth/tool-policy.ts";
import { type McpServer, workspaceCwd } from "../mcp/port.ts";
import { resolveConfigPath } from "./agents.ts";
import type { SecretValue } from "../broker/port.ts";
import type { Draft } from "./draft.ts";
import type { Path } from "./issue.ts";
import { secretOf } from "./secret-of.ts";
import { normalizePattern } from "./patterns.ts";
import type { ResolvedConfig } from "./resolved.ts";
import type { Secret } from "./schema/values.ts";

type Written = Draft["config"]["mcp"]["servers"][string];

export function resolveMcp(draft: Draft): ResolvedConfig["mcp"] {
  const { servers, sessionIdleTtlMs } = draft.config.mcp;
  const enabled = Object.entries(servers).filter(([, { enabled: isOn }]) => isOn);
  return {
    servers: enabled.map(([name, written]) => resolveServer(name, written, draft)),
    rules: enabled.map(([name, written]) => rulesOf(name, written)),
    idleMs: sessionIdleTtlMs,
  };
}

function resolveServer(name: string, written: Written, draft: Draft): McpServer {
  const at: Path = ["mcp", "servers", name];
  const secrets = (part: "env" | "headers") =>
    Object.fromEntries(
      Object.entries(written[part]).map(([key, secret]) => [key, valueOf([...at, part, key], secret, draft)]),
    );
  const cwd = written.cwd ?? written.workingDirectory;
  return {
    name,
    at:
      written.url === undefined
        ? {
            type: "stdio",
            command: written.command ?? "",
            args: written.args,
            env: secrets("env"),
            ...(cwd === undefined ? {} : { cwd: cwd === workspaceCwd ? cwd : resolveConfigPath(cwd, draft) }),
          }
        : { type: "http", url: written.url, headers: secrets("headers") },
    connectMs: written.connectionTimeoutMs,
    requestMs: written.requestTimeoutMs,
    taskWaitMs: written.taskWaitMs,
  };
}

/** An empty value is a value; what is not there keeps the server from being started, with the reason. */
function valueOf(path: Path, secret: Secret, draft: Draft): SecretValue {
  if (secret === "") return { value: "" };
  return secretOf(path, secret, draft) ?? { missing: `${path.join(".")} is not set` };
}

function rulesOf(server: string, { agents, toolFilter = {} }: Written): McpRules {
  const { include, exclude } = toolFilter;
  return {
    server,
    agents: (agents ?? ["*"]).map(normalizePattern),
    include: include ?? [],
    exclude: exclude ?? [],
  };
}
