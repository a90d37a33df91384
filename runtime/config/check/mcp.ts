/** Whether each MCP server says where it is, once. */
import type { Draft } from "../draft.ts";
import type { ConfigIssue, Path } from "../issue.ts";
import { makeIssue } from "../validate.ts";
import { whatIsWrong } from "./secret.ts";

export function checkMcp(draft: Draft): ConfigIssue[] {
  const issues: ConfigIssue[] = [];
  for (const [name, server] of Object.entries(draft.config.mcp.servers)) {
    const at: Path = ["mcp", "servers", name];
    const report = (path: Path, message: string, remedy: string): void => {
      issues.push(makeIssue(path, message, remedy, draft.written, "without-value"));
    };
    const { command, url, transport, cwd, workingDirectory } = server;
    if ((command === undefined) === (url === undefined))
      report(
        at,
        command === undefined ? "says neither command nor url" : "says both command and url",
        "Give the command of a program to start, or the url of a server that runs.",
      );
    else if (transport !== undefined && (transport === "stdio") !== (command !== undefined))
      report(
        [...at, "transport"],
        `is "${transport}", and the server is given by its ${command === undefined ? "url" : "command"}`,
        "Leave the transport out, or make it fit.",
      );
    if (cwd !== undefined && workingDirectory !== undefined)
      report([...at, "workingDirectory"], "is there beside cwd, which says the same", "Remove one of the two.");
    for (const part of ["env", "headers"] as const)
      for (const [key, secret] of Object.entries(server[part])) {
        const wrong = whatIsWrong(secret);
        if (wrong !== undefined) report([...at, part, key], ...wrong);
      }
    const { username = "", password = "" } = URL.parse(url ?? "") ?? {};
    if (username !== "" || password !== "")
      report(
        [...at, "url"],
        "holds a name or a password: such an address is never asked, and failures would quote it",
        "Take them out, and give the credential in headers.",
      );
  }
  return issues;
}
