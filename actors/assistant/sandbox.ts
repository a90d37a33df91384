/**
 * The sandbox of a session as a model is told of it: its tools work in a folder that has another name there, and that may be another one than the workspace.
 * Source: behaviour §6.2, §7.1.
 */
import type { AgentSettings, SandboxSettings } from "../../runtime/thread/agent-settings.ts";
import type { SessionKind } from "./session-kind.ts";

/** Undefined: the session is not sandboxed. */
export function sandboxOf({ sandbox }: Pick<AgentSettings, "sandbox">, kind: SessionKind): SandboxSettings | undefined {
  return sandbox?.covers === "non-main" && kind === "main" ? undefined : sandbox;
}

/** Whether its tools may change the files that the prompt shows. */
export const seesWorkspace = (sandbox: SandboxSettings | undefined): boolean => sandbox?.access !== "none";

const folders = {
  none: "Your tools have the folder /workspace of a sandbox; relative paths start there, and what you write there stays. It is not the workspace: the files below are shown to you, and your tools cannot change them.",
  ro: "Your files are in /agent, where they can be read and not be changed; relative paths start there.",
  rw: "Your files are in /workspace; relative paths start there. What you want to know later has to be in a file: the conversation is shortened when it gets long.",
};

export function sandboxSection({ access, backend, hasNetwork }: SandboxSettings): string {
  const network = hasNetwork ? "" : " They have no network.";
  return `## Workspace\n${folders[access]}\nCommands of this session run in a sandbox (${backend}), which has of this machine the system's programs, that folder, and what its operator put beside it.${network} What is missing there is missing on purpose: say so when something would need it.`;
}
