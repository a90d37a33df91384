/** `gateway.*`, `hooks.*`, `logging.*`: the doors to the outside and the log. Source: behaviour §1.7, §1.8, §5.9. */
import { isIP } from "node:net";
import * as z from "zod";
import { limits } from "../../kernel/limits.ts";
import { isMap } from "../is-map.ts";
import { inert, key, later } from "./note.ts";
import { agentId, anyMap, filledText, secret, texts } from "./values.ts";

export const bindNames = ["auto", "loopback", "lan", "tailnet", "custom"] as const;

const headerName = () => z.string().regex(/^[\w-]{1,64}$/, "must be the name of a header, such as x-forwarded-user");

/** One address, or a network of at least so many bits that it is not everybody's. */
const proxyAddress = () =>
  z.string().refine((text) => {
    const [address = "", bits, ...rest] = text.trim().split("/");
    const longest = isIP(address) === 6 ? 128 : 32;
    if (isIP(address) === 0 || rest.length > 0) return false;
    return bits === undefined || (/^\d{1,3}$/.test(bits) && Number(bits) >= 8 && Number(bits) <= longest);
  }, 'must be an IP address or a network such as "10.0.0.0/24", of at least 8 bits');

const auth = z.strictObject({
  mode: key(
    "How clients prove themselves. Default: `token`, or `password` when only a password is set.",
    z.enum(["none", "token", "password", "trusted-proxy"]).optional(),
  ),
  token: key(
    "The token (also `CLOISTER_GATEWAY_TOKEN`): a text, or a reference. Empty = not configured.",
    secret().optional(),
  ),
  password: key(
    "The password (also `CLOISTER_GATEWAY_PASSWORD`): a text, or a reference. Empty = not configured.",
    secret().optional(),
  ),
  trustedProxy: key(
    "With mode `trusted-proxy`: the proxy has identified the user, and says who it is.",
    z
      .strictObject({
        userHeader: key("Header with the user; required.", headerName().optional()),
        requiredHeaders: key("Headers that have to be there as well.", z.array(headerName()).default([])),
        allowUsers: key("Users that may come in; empty = all that the proxy lets through.", texts().default([])),
        allowLoopback: key(
          "Believe a proxy on this machine, and with it every program of this machine.",
          z.boolean().default(false),
        ),
      })
      .optional(),
  ),
  allowTailscale: later("Tailscale", "Accept the network's own identity.", z.boolean().optional()),
  rateLimit: key(
    "Wrong credentials of WebSocket clients from one address, or from one page of this machine.",
    z
      .strictObject({
        maxAttempts: key(
          "With so many the address is locked out.",
          z.int().min(1).max(limits.authFailuresCeiling).default(limits.authFailuresPerMinute),
        ),
        windowMs: key("Within so many milliseconds.", z.int().min(1_000).max(limits.authWindowMsMax).default(60_000)),
        lockoutMs: key("For so many.", z.int().min(1_000).max(limits.authLockoutMsMax).default(limits.authLockoutMs)),
        exemptLoopback: key(
          "Programs of this machine are not counted. `cloister` on it comes in by a socket, and is counted in no case.",
          z.boolean().default(true),
        ),
      })
      .optional(),
  ),
});

const noEffect =
  "Clients on this machine prove themselves with the operator's key; device approval cannot be switched off.";

const controlUi = z.strictObject({
  enabled: key("Serve the web page.", z.boolean().default(true)),
  basePath: key("Path of the web page.", z.string().default("/")),
  allowedOrigins: key("Further web origins that may connect.", texts().default([])),
  root: later("own web page", "Directory of another web page.", z.string().optional()),
  allowInsecureAuth: inert("Older escape hatch.", noEffect, z.boolean().optional()),
  dangerouslyDisableDeviceAuth: inert("Older escape hatch.", noEffect, z.boolean().optional()),
});

const commands = () =>
  z.array(z.string().regex(/^[^\s*]{1,128}$/, "must be the whole name of a command, such as camera.snap")).default([]);

const nodes = z.looseObject({
  pairing: key(
    "Approval of devices.",
    z
      .looseObject({
        autoApproveLocal: key(
          "Approve programs of this machine that hold the token or password, or that `none` admits, without asking.",
          z.boolean().default(true),
        ),
        autoApproveCidrs: later("nodes", "Networks whose nodes need no approval.", texts().optional()),
      })
      .prefault({}),
  ),
  browser: later("nodes", "Browsers of other machines.", anyMap().optional()),
  allowCommands: key("Commands that an approved node may be asked for without an approval of their own.", commands()),
  denyCommands: key("Commands that no node is asked for, whatever was approved or allowed.", commands()),
});

const reload = z.strictObject({
  mode: key(
    "`hybrid`: edits count at once, and what only a restart can change restarts the gateway when its turns have ended; `off`: edits are checked and reported, no more. `hot` and `restart` are older words for `hybrid`.",
    z
      .enum(["hybrid", "off", "hot", "restart"])
      .default("hybrid")
      .transform((mode) => (mode === "off" ? ("off" as const) : ("hybrid" as const))),
  ),
  debounceMs: key(
    "How long the file must be left alone before it is read, in milliseconds.",
    z.int().min(0).max(limits.configDebounceMsMax).default(limits.configDebounceMs),
  ),
});

const moreOfEndpoints = "attachments and own bounds of HTTP endpoints";

const endpoint = (path: string) =>
  key(
    `\`POST ${path}\`, as OpenAI's clients call it. Needs the operator's token, or one of \`cloister callers add\`.`,
    z
      .strictObject({
        enabled: key("Answer it.", z.boolean().default(false)),
        maxBodyBytes: later(moreOfEndpoints, "Largest request.", z.int().positive().optional()),
        maxUrlParts: later(moreOfEndpoints, "Largest number of files by address.", z.int().min(0).optional()),
        maxImageParts: later(moreOfEndpoints, "Largest number of images.", z.int().min(0).optional()),
        files: later(moreOfEndpoints, "Files in requests.", anyMap().optional()),
        images: later(moreOfEndpoints, "Images in requests.", anyMap().optional()),
      })
      .prefault({}),
  );

const http = z.strictObject({
  endpoints: key(
    "Which are there; all are off by default.",
    z
      .strictObject({
        chatCompletions: endpoint("/v1/chat/completions"),
        responses: endpoint("/v1/responses"),
        mcp: key(
          "`POST /mcp`, for clients of the Model Context Protocol: each agent is a tool. Needs the same tokens.",
          z.strictObject({ enabled: key("Answer it.", z.boolean().default(false)) }).prefault({}),
        ),
        a2a: key(
          "`POST /a2a/<agent>`, for clients of the Agent2Agent protocol, and the card of each agent. Needs the same tokens.",
          z.strictObject({ enabled: key("Answer it.", z.boolean().default(false)) }).prefault({}),
        ),
      })
      .prefault({}),
  ),
  securityHeaders: later("own security headers", "Further headers of answers.", anyMap().optional()),
});

export const gateway = z
  .strictObject({
    mode: key(
      "`local`; a gateway does not start with `remote`, which is for clients.",
      z.enum(["local", "remote"]).default("local"),
    ),
    port: key(
      "Port of WebSocket and HTTP. `--port` and `CLOISTER_GATEWAY_PORT` go before it; 0 takes a free one.",
      z.int().min(0).max(65_535).default(18_789),
    ),
    bind: key(
      "Where to listen: this machine only (`loopback`, `auto`), all interfaces (`lan`), the Tailscale address (`tailnet`), or `customBindHost` (`custom`). Everything but loopback needs a token or password.",
      z.enum(bindNames).default("loopback"),
    ),
    customBindHost: key(
      'IP address for `bind: "custom"`.',
      z.union([z.ipv4(), z.ipv6(), z.literal("localhost")], { error: "must be an IP address" }).optional(),
    ),
    auth: key("Authentication of clients.", auth.prefault({})),
    controlUi: key("Web page.", controlUi.prefault({})),
    trustedProxies: key(
      "Proxies, by address, whose `X-Forwarded-For` is believed and who may identify users.",
      z.array(proxyAddress()).default([]),
    ),
    allowRealIpFallback: later("trusted proxy", "Believe `X-Real-IP`.", z.boolean().optional()),
    nodes: key("Devices.", nodes.prefault({})),
    remote: later(
      "remote gateway",
      "Where clients find a gateway elsewhere.",
      z
        .looseObject({ url: z.string().optional(), token: secret().optional(), password: secret().optional() })
        .optional(),
    ),
    tls: later("TLS", "Encrypted connections.", anyMap().optional()),
    tailscale: later(
      "Tailscale",
      "Publishing through Tailscale.",
      z.looseObject({ mode: z.enum(["off", "serve", "funnel"]).optional() }).optional(),
      (value) => !isMap(value) || value["mode"] !== "off",
    ),
    publicOrigin: later("TLS", "Address under which clients see the gateway.", z.string().optional()),
    http: key("Endpoints for other programs.", http.prefault({})),
    metrics: key(
      "Figures for Prometheus, at `/metrics`.",
      z
        .strictObject({
          scrapeToken: key(
            "A token that opens the figures and nothing else. Without it: only what opens the gateway on its own machine.",
            secret().optional(),
          ),
        })
        .prefault({}),
    ),
    reload: key("What becomes of edits of this file while the gateway runs.", reload.prefault({})),
    tools: later("tools over HTTP", "Tools that HTTP clients may call.", anyMap().optional()),
    push: later("push messages", "Push messages to phones.", anyMap().optional()),
    webchat: later("own web page", "Settings of the chat page.", anyMap().optional()),
  })
  .prefault({});

const template = () => z.string().max(limits.hookTemplateCharsMax).optional();

const mapping = z.strictObject({
  id: key("A name for people.", z.string().optional()),
  match: key(
    "Which requests: by what follows the path of the hooks, by the payload's own `source`, or both.",
    z
      .strictObject({
        path: key(
          "`github` is `POST /hooks/github`.",
          z
            .string()
            .regex(/^[\w-]+(?:\/[\w-]+)*$/, "must be a name such as github, without slashes at its ends")
            .refine((name) => name !== "agent" && name !== "wake", "must not be agent or wake, which are there already")
            .optional(),
        ),
        source: key("A text.", filledText().optional()),
      })
      .refine(({ path, source }) => path !== undefined || source !== undefined, "must have path or source"),
  ),
  action: key(
    "`agent`: a session of its own; `wake`: the agent's main session.",
    z.enum(["agent", "wake"]).default("agent"),
  ),
  name: key("Who sends, as the agent sees it. Default: the name in the path.", filledText().max(128).optional()),
  agentId: key("The agent. Default: the default agent.", agentId().optional()),
  sessionKey: key(
    "The session, instead of those of `action`. With `{{…}}` in it who sends the payload chooses: as `allowRequestSessionKey` and `allowedSessionKeyPrefixes` allow.",
    filledText().max(1_024).optional(),
  ),
  messageTemplate: key(
    "The message, with `{{path.to.value}}` of the payload. Without it: the payload as JSON.",
    template(),
  ),
  textTemplate: key("The same, as it is called with `wake`.", template()),
  wakeMode: key(
    "`next-heartbeat`: it waits for the agent's next heartbeat, which it has to have.",
    z.enum(["now", "next-heartbeat"]).optional(),
  ),
  deliver: key(
    "Whether the answer goes to a channel as well. Default: when `channel` or `to` is named.",
    z.boolean().optional(),
  ),
  channel: key(
    "Which channel; `last` (default): where the session, or else the agent's main session, last spoke.",
    filledText().max(64).optional(),
  ),
  to: key("To whom, as `direct:ana` or `group:1203`; an id alone is a person's.", filledText().max(1_024).optional()),
  model: key("Model of the turn, as `/model` takes it.", filledText().max(limits.modelNameCharsMax).optional()),
  thinking: key("How much the model thinks: `off`, `low`, `medium`, `high`.", filledText().max(32).optional()),
  timeoutSeconds: key(
    `Longest turn; it is ended then. At most ${limits.hookTurnMsMax / 1_000}. Default: none.`,
    z
      .number()
      .positive()
      .max(limits.hookTurnMsMax / 1_000)
      .optional(),
  ),
  transform: later("code in hook mappings", "Code that changes the payload.", anyMap().optional()),
});

export const hooks = z
  .strictObject({
    enabled: key("Accept `POST <path>/agent`.", z.boolean().default(false)),
    token: key("Credential of the callers; required when enabled.", secret().optional()),
    path: key(
      "Path of the endpoint.",
      z
        .string()
        .regex(/^\/?[\w\-./]+$/, "must be a URL path such as /hooks")
        .default("/hooks"),
    ),
    allowedAgentIds: key(
      "Agents that a caller may name; `*` or absent = every agent, empty = none.",
      z.array(agentId()).optional(),
    ),
    allowRequestSessionKey: key("Let a caller choose the session.", z.boolean().default(false)),
    mappings: key("Endpoints for other programs' payloads; the first that fits counts.", z.array(mapping).default([])),
    presets: later("hook presets", "Ready-made mappings.", texts().optional()),
    transformsDir: later("code in hook mappings", "Code that changes payloads.", z.string().optional()),
    gmail: later("hook presets", "Mail as messages.", anyMap().optional()),
    internal: inert(
      "Code that runs on events of the gateway.",
      "No code of operators runs in the gateway's process: docs/adr/0056-no-hooks-in-the-gateway.md says what there is for each event.",
      anyMap().optional(),
    ),
    defaultSessionKey: key(
      "Session of `agent` requests and mappings that name none. Default: each has one of its own.",
      filledText().max(1_024).optional(),
    ),
    allowedSessionKeyPrefixes: key(
      'What sessions begin with that a caller may choose, such as `"hook:"`: the key as a whole, or behind its agent. Absent = anything, empty = none. `defaultSessionKey` and sessions of mappings have to begin with one as well.',
      z.array(filledText().max(1_024)).optional(),
    ),
    maxBodyBytes: key(
      `Largest request in bytes; ${limits.httpBodyBytesMax} by default.`,
      z.int().positive().max(limits.hookBodyBytesMax).optional(),
    ),
  })
  .prefault({});

const level = () => z.enum(["silent", "fatal", "error", "warn", "info", "debug", "trace"]).default("info");

export const logging = z
  .strictObject({
    level: key("What the log file gets.", level()),
    consoleLevel: key("What the terminal gets.", level()),
    file: key("Log file. Default: `logs/cloister.log` in the state directory.", filledText().optional()),
    redactSensitive: key(
      "Take secrets out of the log. `off` and `tools` are the older words for `false` and `true`.",
      z
        .union([z.boolean(), z.enum(["off", "tools"])], { error: 'must be true, false, "off" or "tools"' })
        .default(true)
        .transform((value) => value === true || value === "tools"),
    ),
    maxFileBytes: later(
      "configurable log rotation",
      "Size at which a new file starts.",
      z.int().positive().default(104_857_600),
    ),
    consoleStyle: later("console style", "Look of the terminal's log.", z.string().optional()),
    redactPatterns: later("own redaction patterns", "Further secrets to take out.", texts().optional()),
  })
  .prefault({});
