/** `mcp.servers`: what a server is resolved to, what is wrong with one, and what is not shown of it. */
import { describe, expect, it } from "vitest";
import { redactionMark, redactValue } from "../../../runtime/config/secrets.ts";
import { loadText } from "./load-text.ts";

describe("mcp", () => {
  it("gives each server with its secrets, and what the policy goes by", async () => {
    const { resolved, stateDir } = await loadText(
      `{ agents: { list: [{ id: "main" }] },
         mcp: { sessionIdleTtlMs: 5000, servers: {
           notes: { command: "notes-server", args: ["--all"], cwd: "notes", agents: ["Main", "ops-*"],
                    env: { KEY: "\${NOTES_KEY}", REF: { source: "env", id: "NOTES_KEY" }, GONE: "\${NOT_THERE}", EMPTY: "" } },
           web: { url: "https://mcp.example.org/mcp", headers: { Authorization: "Bearer \${NOTES_KEY}" },
                  toolFilter: { include: ["read_*"], exclude: ["read_all"] }, requestTimeoutMs: 1000 },
           off: { enabled: false, command: "x" } } } }`,
      { env: { NOTES_KEY: "s3cr3t" } },
    );
    expect(resolved.mcp.idleMs).toBe(5_000);
    expect(resolved.mcp.servers).toEqual([
      {
        name: "notes",
        at: {
          type: "stdio",
          command: "notes-server",
          args: ["--all"],
          cwd: `${stateDir}/notes`,
          env: {
            KEY: { value: "s3cr3t" },
            REF: { value: "s3cr3t" },
            GONE: { missing: expect.stringContaining("needs the variable NOT_THERE") },
            EMPTY: { value: "" },
          },
        },
        connectMs: 30_000,
        requestMs: 60_000,
        taskWaitMs: 10_000,
      },
      {
        name: "web",
        at: {
          type: "http",
          url: "https://mcp.example.org/mcp",
          headers: { Authorization: { value: "Bearer s3cr3t" } },
        },
        connectMs: 30_000,
        requestMs: 1_000,
        taskWaitMs: 10_000,
      },
    ]);
    expect(resolved.mcp.rules).toEqual([
      { server: "notes", agents: ["main", "ops-*"], include: [], exclude: [] },
      { server: "web", agents: ["*"], include: ["read_*"], exclude: ["read_all"] },
    ]);
    expect(resolved.notActive).toEqual([]);
  });

  it.each([
    ["{}", "says neither command nor url"],
    ['{ command: "x", url: "http://a/" }', "says both command and url"],
    ['{ command: "x", transport: "http" }', 'is "http", and the server is given by its command'],
    ['{ url: "http://a/", transport: "stdio" }', 'is "stdio", and the server is given by its url'],
    ['{ url: "http://u:p@a/" }', "holds a name or a password"],
    ['{ url: "ftp://a/" }', "must be an http or https URL"],
    ['{ url: "http://a/", transport: "sse" }', 'must be one of "stdio", "streamable-http", "http"'],
    ['{ command: "x", cwd: "a", workingDirectory: "b" }', "is there beside cwd"],
    ['{ command: "x", env: { "A B": "c" } }', "must be the name of a variable"],
    ['{ command: "x", env: { K: { source: "file", id: "a" } } }', "by a path that is not absolute"],
    ['{ url: "http://a/", headers: { K: { source: "exec", id: "a" } } }', "names no program"],
    ['{ command: "x", requestTimeoutMs: 0 }', "requestTimeoutMs"],
  ])("%s is refused: %s", async (server, message) => {
    await expect(loadText(`{ mcp: { servers: { one: ${server} } } }`)).rejects.toThrow(message);
  });

  it.each(["Notes", "a__b", "a-", "x".repeat(25)])("a server is not named %s", async (name) => {
    await expect(loadText(`{ mcp: { servers: { "${name}": { command: "x" } } } }`)).rejects.toThrow("mcp.servers");
  });

  it("tells the thread of the servers where secrets are, and reads none", async () => {
    const env = { A: { source: "file", id: "~/keys/a" }, B: { source: "exec", provider: "vault", id: "b" } };
    const headers = { C: { source: "store", id: "c" } };
    const { resolved } = await loadText({
      mcp: { servers: { one: { command: "x", env }, two: { url: "http://a/", headers } } },
    });
    expect(resolved.mcp.servers.map(({ at }) => (at.type === "http" ? at.headers : at.env))).toEqual([
      { A: { ref: { source: "file", id: expect.stringMatching(/^\/.*\/keys\/a$/) as string } }, B: { ref: env.B } },
      { C: { ref: headers.C } },
    ]);
  });

  it("shows nothing of what a server is given", () => {
    const written = { mcp: { servers: { one: { command: "x", env: { PLAIN: "a" }, headers: { "x-any": "b" } } } } };
    expect(redactValue(written)).toEqual({
      mcp: { servers: { one: { command: "x", env: { PLAIN: redactionMark }, headers: { "x-any": redactionMark } } } },
    });
  });
});
