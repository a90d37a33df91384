/** `mcp.*`: programs beside the gateway whose tools agents may call. Keys as the peer has them, and `agents` beside. */
import * as z from "zod";
import { limits } from "../../kernel/limits.ts";
import { inert, key, later } from "./note.ts";
import { agentId, anyMap, filledText, secret, texts } from "./values.ts";

const elsewhere = "authorization and certificates of MCP servers";

const ms = (max: number, usual: number) => z.int().min(limits.mcpTimeMsMin).max(max).default(usual);

const server = () =>
  z.strictObject({
    enabled: key("`false`: as if it were not there.", z.boolean().default(true)),
    command: key("The program to start; it is spoken to over its standard input and output.", filledText().optional()),
    args: key("Its arguments.", texts().default([])),
    env: key(
      "Further variables of its environment. It gets no others of the gateway's than PATH, HOME, LANG, LC_ALL, TZ, TMPDIR and TERM.",
      z.record(z.string().regex(/^[A-Za-z_][A-Za-z0-9_]*$/, "must be the name of a variable"), secret()).default({}),
    ),
    cwd: key(
      "Where it is started. Default: a folder of its own below `mcp` of the state directory, for each agent, which no agent writes; `{workspace}`: the agent's workspace.",
      filledText().optional(),
    ),
    workingDirectory: key("Another name of `cwd`.", filledText().optional()),
    url: key(
      "Instead of `command`: address of a server that speaks streamable HTTP.",
      z.url({ protocol: /^https?$/, error: "must be an http or https URL" }).optional(),
    ),
    transport: key(
      "`stdio` or `streamable-http`. Default: what `command` or `url` says.",
      z.enum(["stdio", "streamable-http", "http"]).optional(),
    ),
    headers: key("Further headers of each request to `url`.", z.record(filledText(), secret()).default({})),
    agents: key("Agents that may use it, as ids or `*` patterns. Default: all.", z.array(agentId()).optional()),
    toolFilter: key(
      "Of its tools, by their names on the server; `*` works. `exclude` wins.",
      z
        .strictObject({
          include: key("Only these.", texts().optional()),
          exclude: key("Never these.", texts().optional()),
        })
        .optional(),
    ),
    connectionTimeoutMs: key(
      "How long it may take to start, and again to tell its tools, in milliseconds.",
      ms(limits.mcpConnectMsMax, limits.mcpConnectMs),
    ),
    requestTimeoutMs: key(
      "How long one call of a tool may take, in milliseconds.",
      ms(limits.mcpRequestMsMax, limits.mcpRequestMs),
    ),
    taskWaitMs: key(
      "How long a call waits for a tool that the server carries out as a task, in milliseconds; then the turn goes on, and the session is told of the end.",
      ms(limits.mcpRequestMsMax, limits.mcpTaskWaitMs),
    ),
    supportsParallelToolCalls: inert(
      "Hint of other programs.",
      "Calls of one agent are made when they are asked for.",
      z.boolean().optional(),
    ),
    auth: later(elsewhere, "`oauth`.", z.string().optional()),
    oauth: later(elsewhere, "OAuth of the server.", anyMap().optional()),
    sslVerify: later(elsewhere, "`false` accepts any certificate.", z.boolean().optional(), (value) => value === false),
    clientCert: later(elsewhere, "Certificate of the client.", z.string().optional()),
    clientKey: later(elsewhere, "Its key.", z.string().optional()),
  });

export const mcp = z
  .strictObject({
    servers: key(
      "The servers by name: lower case letters, digits and single `-` or `_`. Their tools are `mcp__<name>__<tool>`.",
      z
        .record(
          z
            .string()
            .max(limits.mcpServerNameCharsMax)
            .regex(
              /^[a-z0-9]+(?:[-_][a-z0-9]+)*$/,
              "must be lower case letters and digits, with single - or _ between",
            ),
          server(),
        )
        .refine((servers) => Object.keys(servers).length <= limits.mcpServersMax, {
          error: `must be at most ${limits.mcpServersMax} servers`,
        })
        .default({}),
    ),
    sessionIdleTtlMs: key(
      "A connection that nobody used for so long is closed, and its process ended, in milliseconds.",
      ms(limits.mcpIdleMsMax, limits.mcpIdleMs),
    ),
  })
  .prefault({});
