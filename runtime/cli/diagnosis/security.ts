/**
 * What a configuration opens, judged: each check names its key and what would close it. `error` is open to strangers, `warning` is
 * wider than most mean it, `note` is worth knowing. A check looks at the config as the program reads it and at nothing else;
 * files and modes are the doctor's (`state-dir.ts`).
 */
import { isIP } from "node:net";
import { isDeepStrictEqual } from "node:util";
import type { SecretText } from "../../broker/port.ts";
import { isInside, isLoopback, type ResolvedConfig } from "../../config/index.ts";
import { limits } from "../../kernel/limits.ts";
import type { Finding } from "./finding.ts";

export interface SecurityFinding extends Finding {
  /** The key of the config that decides. */
  readonly key: string;
}

type Check = (config: ResolvedConfig) => readonly Omit<SecurityFinding, "id">[];

export function auditSecurity(config: ResolvedConfig): readonly SecurityFinding[] {
  return Object.entries(securityChecks).flatMap(([id, check]) => check(config).map((found) => ({ id, ...found })));
}

const isExposed = ({ gateway }: ResolvedConfig): boolean => !isLoopback(gateway.host);

/** By id. Each has a test with a config that has it and one that has not. */
export const securityChecks = {
  "gateway.exposed": (config) =>
    isExposed(config)
      ? [
          {
            severity: "warning",
            key: "gateway.bind",
            what: `the gateway listens on ${config.gateway.host || "all addresses"}, in reach of other machines`,
            why: "Its traffic is not encrypted, and everybody on the network may try credentials.",
            remedy: 'Set gateway.bind to "loopback" and reach it through an SSH tunnel, or a proxy that does TLS.',
          },
        ]
      : [],
  "gateway.auth-none": ({ gateway: { auth } }) =>
    auth.mode === "none"
      ? [
          {
            severity: "warning",
            key: "gateway.auth.mode",
            what: "every program of every user on this machine may connect without a secret",
            remedy: 'Set gateway.auth.mode to "token" and gateway.auth.token to a long random text.',
          },
        ]
      : [],
  "gateway.secret-weak": (config) => {
    const { auth } = config.gateway;
    if (auth.mode !== "token" && auth.mode !== "password") return [];
    return weakSecrets(
      [{ key: `gateway.auth.${auth.mode}`, secret: auth.secret }],
      isExposed(config) ? "error" : "warning",
    );
  },
  "gateway.origin-plain": ({ gateway: { controlUi } }) =>
    controlUi.allowedOrigins.flatMap((origin, index) => {
      const url = URL.parse(origin);
      if (url?.protocol !== "http:" || isLoopback(url.hostname.replaceAll(/[[\]]/g, ""))) return [];
      return [
        {
          severity: "warning",
          key: `gateway.controlUi.allowedOrigins[${index}]`,
          what: `pages of ${url.origin} may open the gateway, and come without encryption`,
          why: "Who can change such a page on its way decides what it asks of the gateway.",
          remedy: "Serve it by https, and write that origin.",
        },
      ];
    }),
  "gateway.proxy-wide": ({ gateway: { trustedProxies } }) =>
    trustedProxies.flatMap((range, index) => {
      const [address = "", bits] = range.split("/");
      const wide = bits !== undefined && Number(bits) < (isIP(address) === 6 ? 64 : 24);
      if (!wide) return [];
      return [
        {
          severity: "warning",
          key: `gateway.trustedProxies[${index}]`,
          what: `every machine of ${range} counts as a proxy that says who is there`,
          remedy: "Name the proxy's own address.",
        },
      ];
    }),
  "senders.dm-open": (config) =>
    eachAccount(config, (rules, name, channel) => {
      // Who has the token of a webhook account says who the sender is.
      const anybody = rules.dmPolicy === "open" || (rules.allowFrom ?? []).includes("*");
      if (channel === "webhook" || !anybody) return [];
      const key = rules.dmPolicy === "open" ? rules.keys.dmPolicy : rules.keys.allowFrom;
      return [
        {
          severity: "error",
          key,
          what: `everybody may write to ${name} directly`,
          why: "What strangers write is what your agent works on, with your agent's rights.",
          remedy: `Set ${rules.keys.dmPolicy} to "pairing" or "allowlist", and name the senders in ${rules.keys.allowFrom}.`,
        },
      ];
    }),
  "senders.group-open": (config) =>
    eachAccount(config, (rules, name) =>
      rules.groupPolicy === "open"
        ? [
            {
              severity: "warning",
              key: rules.keys.groupPolicy,
              what: `${name} answers in every group that somebody adds it to`,
              remedy: `Set ${rules.keys.groupPolicy} to "allowlist" and name the groups in ${rules.keys.groups}.`,
            },
          ]
        : [],
    ),
  "senders.bots": (config) =>
    eachAccount(config, (rules, name) =>
      rules.allowBots === true && !rules.botBudget.enabled
        ? [
            {
              severity: "warning",
              key: rules.keys.botLoopProtection,
              what: `${name} hears other bots, without a bound on how often`,
              why: "Two bots that answer each other never stop.",
              remedy: `Set ${rules.keys.allowBots} to "mentions", or leave the bound on.`,
            },
          ]
        : [],
    ),
  "session.dm-shared": (config) => {
    if (config.session.dmScope !== "main") return [];
    const shared = eachAccount(config, (rules, name) => {
      const senders = rules.allowFrom ?? [];
      return rules.dmPolicy !== "disabled" && (senders.length > 1 || senders.includes("*")) ? [{ name }] : [];
    });
    const [first] = shared;
    if (first === undefined) return [];
    return [
      {
        severity: "warning",
        key: "session.dmScope",
        what: `all people who write to ${first.name} directly share one session of the agent`,
        why: "What one of them has said, the agent may tell the next.",
        remedy: 'Set session.dmScope to "per-channel-peer".',
      },
    ];
  },
  "commands.anybody": ({ commands }) => {
    const open = Object.entries(commands.allowFrom ?? {}).filter(([, senders]) => senders.includes("*"));
    const keys = [
      ...(commands.owners.includes("*") ? ["commands.ownerAllowFrom"] : []),
      ...open.map(([channel]) => `commands.allowFrom.${channel}`),
    ];
    return keys.map((key) => ({
      severity: "warning",
      key,
      what: "everybody who may write may also give commands: /stop, /reset, /new",
      remedy: `Name the people in ${key}.`,
    }));
  },
  "agents.messages-open": ({ agents, agentToAgent, visibility }) =>
    agents.length > 2 && agentToAgent.enabled && visibility === "all" && agentToAgent.allow.includes("*")
      ? [
          {
            severity: "warning",
            key: "tools.agentToAgent.allow",
            what: `each of ${agents.length} agents may write to, list and read every other`,
            why: "An agent that is talked into something can read the conversations of all others.",
            remedy: "Name the agents that work together, or grant single verbs with tools.agentToAgent.grants.",
          },
        ]
      : [],
  "agents.spawn-open": ({ agents }) =>
    agents.length > 1
      ? agents
          .filter(({ subagents }) => subagents.allowAgents.includes("*"))
          .map(({ id }) => ({
            severity: "warning",
            key: `agents.list[].subagents.allowAgents (${id})`,
            what: `agent ${id} may start sub-agents as any other agent, in that agent's workspace`,
            remedy: "Name the agents.",
          }))
      : [],
  "agents.trusted": ({ agents }) =>
    agents
      .filter(({ isolation }) => isolation.trust === "trusted")
      .map(({ id, module, isolation: { level, user } }) => ({
        severity: level === "thread" ? "warning" : "note",
        key: `agents.list[].isolation.trust (${id})`,
        what: `the module ${module} of agent ${id} reaches ${level === "thread" ? "everything in the gateway's process, the secrets of other agents included" : `the network and all files of ${user === undefined ? "the gateway's user" : `user ${user.uid}`}`}`,
        remedy: 'Leave it if you wrote or read the module; otherwise set it to "confined".',
      })),
  "agents.workspace-shared": ({ agents }) => {
    const sorted = agents.toSorted((a, b) => (a.workspace < b.workspace ? -1 : 1));
    return sorted.slice(1).flatMap((inner, index) => {
      const outer = sorted[index];
      if (outer === undefined || !isInside(inner.workspace, outer.workspace)) return [];
      return [
        {
          severity: "warning",
          key: `agents.list[].workspace (${inner.id})`,
          what: `agent ${outer.id} can read and change the files of agent ${inner.id}`,
          remedy: "Give each agent a workspace of its own.",
        },
      ];
    });
  },
  "exec.unbounded": ({ agents }) =>
    agents
      .filter(({ sandboxMode, exec: { onHost, sandboxOnly } }) => {
        const isFree = onHost.security === "full" && onHost.ask !== "always" && !sandboxOnly;
        return isFree && sandboxMode !== "all";
      })
      .map(({ id }) => ({
        severity: "warning",
        key: `agents.list[].tools.exec.security (${id})`,
        what: `agent ${id} runs any command on this machine, outside of a sandbox`,
        why: "Whoever makes its model say a command has what the gateway's user has: files, network, other agents' state.",
        remedy: 'Set sandbox.mode: "all", or tools.exec.security: "allowlist" with the commands that it needs.',
      })),
  "hooks.secret": ({ hooks, gateway: { auth } }) => {
    if (!hooks.enabled) return [];
    const shared =
      auth.mode !== "none" && "secret" in auth && auth.secret !== undefined && isSame(auth.secret, hooks.token);
    return [
      ...(shared
        ? [
            {
              severity: "error" as const,
              key: "hooks.token",
              what: "the token of the hooks is that of the gateway",
              why: "Whoever may ring one hook may do everything.",
              remedy: "Set hooks.token to another long random text.",
            },
          ]
        : []),
      ...weakSecrets([{ key: "hooks.token", secret: hooks.token }], "warning"),
    ];
  },
  "hooks.wide": ({ hooks, agents }) => {
    if (!hooks.enabled) return [];
    const anyAgent = hooks.allowedAgentIds === undefined || hooks.allowedAgentIds.includes("*");
    return [
      ...(anyAgent && agents.length > 1
        ? [
            {
              severity: "note" as const,
              key: "hooks.allowedAgentIds",
              what: "a hook may name any agent",
              remedy: "Name the agents that hooks are for.",
            },
          ]
        : []),
      ...(hooks.allowRequestSessionKey
        ? [
            {
              severity: "warning" as const,
              key: "hooks.allowRequestSessionKey",
              what: "who rings a hook chooses the session, so that it may speak in anybody's conversation",
              remedy: "Set hooks.allowRequestSessionKey to false.",
            },
          ]
        : []),
    ];
  },
  "webhook.secret": ({ webhook }) => {
    const accounts = Object.entries(webhook?.accounts ?? {});
    const twice = accounts.filter(([name, { token }]) =>
      accounts.some(([other, account]) => other < name && isSame(account.token, token)),
    );
    return [
      ...twice.map(([name]) => ({
        severity: "warning" as const,
        key: webhookToken(name),
        what: `the webhook account ${name} has the token of another account`,
        why: "Who has one account can write as the other.",
        remedy: "Give each account a token of its own.",
      })),
      ...weakSecrets(
        accounts.map(([name, { token }]) => ({ key: webhookToken(name), secret: token })),
        "warning",
      ),
    ];
  },
  "webhook.plain": ({ webhook }) =>
    Object.entries(webhook?.accounts ?? {}).flatMap(([name, { outboundUrl }]) => {
      const url = outboundUrl === undefined ? null : URL.parse(outboundUrl);
      if (url?.protocol !== "http:" || isLoopback(url.hostname.replaceAll(/[[\]]/g, ""))) return [];
      return [
        {
          severity: "warning",
          key: `channels.webhook.accounts.${name}.outboundUrl`,
          what: `answers of the webhook account ${name} go to ${url.host} without encryption`,
          remedy: "Write an https address.",
        },
      ];
    }),
  "logging.open": ({ logging }) =>
    logging.redactSensitive
      ? []
      : [
          {
            severity: "warning",
            key: "logging.redactSensitive",
            what: "what looks like a secret is written to the log as it is",
            remedy: 'Remove logging.redactSensitive, or set it to "tools".',
          },
        ],
} satisfies Readonly<Record<string, Check>>;

const webhookToken = (account: string): string => `channels.webhook.accounts.${account}.token`;

type Rules = ResolvedConfig["groups"]["fallback"];

/** Accounts of channels that are configured; `*` stands for those that are not named. */
function eachAccount<T>(
  { groups }: ResolvedConfig,
  look: (rules: Rules, name: string, channel: string) => readonly T[],
): readonly T[] {
  return Object.entries(groups.accounts).flatMap(([channel, accounts]) => {
    const named = Object.keys(accounts).filter((account) => account !== "*");
    const shown = named.length === 0 ? ["*"] : named;
    return shown.flatMap((account) => {
      const rules = accounts[account];
      return rules === undefined
        ? []
        : look(rules, account === "*" ? channel : `${channel} account ${account}`, channel);
    });
  });
}

/** The same text, or the same place. */
const isSame = (one: SecretText, other: SecretText | undefined): boolean =>
  typeof one === "string" || typeof other !== "object" ? one === other : isDeepStrictEqual(one.ref, other.ref);

function weakSecrets(
  secrets: readonly { readonly key: string; readonly secret: SecretText | undefined }[],
  severity: "error" | "warning",
): readonly Omit<SecurityFinding, "id">[] {
  return secrets.flatMap(({ key, secret }) => {
    // What is elsewhere is not read for this.
    if (typeof secret !== "string" || secret === "") return [];
    const kinds = new Set(secret).size;
    if (secret.length >= limits.secretCharsMin && kinds >= limits.secretCharsMin / 2) return [];
    return [
      {
        severity,
        key,
        what: `${key} has ${secret.length} characters, ${kinds} of them different`,
        why: "A short secret is guessed sooner or later; attempts are slowed down, not stopped.",
        remedy: `Write a random text of at least ${limits.secretCharsMin} characters, e.g. from \`openssl rand -hex 32\`.`,
      },
    ];
  });
}
