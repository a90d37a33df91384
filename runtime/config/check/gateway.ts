/** Whether the gateway's doors are closed as far as they must be. Source: behaviour §1.7, §5.9, AC-03.3. */
import { BlockList, isIPv6 } from "node:net";
import { findGatewayAuth, findSharedSecret, readCredential } from "../credentials.ts";
import type { Draft } from "../draft.ts";
import { isTemplated } from "../../edge/settings.ts";
import { hasPrefix } from "../hooks.ts";
import type { ConfigIssue, Path } from "../issue.ts";
import { findHost, findPortVariable, isLoopback, parsePort } from "../listen.ts";
import { makeIssue } from "../validate.ts";

export function checkGateway(draft: Draft): ConfigIssue[] {
  return [...checkMode(draft), ...checkAuth(draft), ...checkAddress(draft), ...checkHooks(draft), ...checkJobs(draft)];
}

function issue(path: Path, message: string, remedy: string, draft: Draft): ConfigIssue[] {
  return [makeIssue(path, message, remedy, draft.written, "without-value")];
}

function checkMode(draft: Draft): ConfigIssue[] {
  if (draft.config.gateway.mode === "local") return [];
  return issue(
    ["gateway", "mode"],
    'is "remote", which is for clients of a gateway elsewhere; a gateway runs only with "local"',
    'Set gateway.mode to "local", or remove it.',
    draft,
  );
}

function checkAuth(draft: Draft): ConfigIssue[] {
  const auth = findGatewayAuth(draft);
  if (auth.mode === "ambiguous") {
    return issue(
      ["gateway", "auth", "mode"],
      "is not set while both a token and a password are, so that it is open which one counts",
      'Set gateway.auth.mode to "token" or "password".',
      draft,
    );
  }
  return auth.mode === "trusted-proxy" ? checkProxy(draft) : [];
}

/** Whoever can speak as the proxy is any user: so it is known by its address, and nothing else opens the gateway beside it. */
function checkProxy(draft: Draft): ConfigIssue[] {
  const { auth, trustedProxies } = draft.config.gateway;
  const noHeader =
    auth.trustedProxy?.userHeader === undefined
      ? issue(
          ["gateway", "auth", "trustedProxy", "userHeader"],
          'is missing while gateway.auth.mode is "trusted-proxy"; without it nobody can be identified',
          'Set it to the header in which the proxy names the user, for example "x-forwarded-user".',
          draft,
        )
      : [];
  const noProxy =
    trustedProxies.length === 0
      ? issue(
          ["gateway", "trustedProxies"],
          'is empty while gateway.auth.mode is "trusted-proxy"; nobody could come in',
          "Set it to the addresses from which the proxy connects.",
          draft,
        )
      : [];
  const here = trustedProxies.find(hasThisMachine);
  const loopback =
    here !== undefined && auth.trustedProxy?.allowLoopback !== true
      ? issue(
          ["gateway", "trustedProxies"],
          `has ${JSON.stringify(here)}, this machine itself, whose every program could name any user`,
          "Set gateway.auth.trustedProxy.allowLoopback to true if all of them may, or use the proxy's own address.",
          draft,
        )
      : [];
  const shared = (["token", "password"] as const).find((name) => findSharedSecret(name, draft) !== undefined);
  const both =
    shared === undefined
      ? []
      : issue(
          ["gateway", "auth", "mode"],
          `is "trusted-proxy" while a ${shared} is configured as well, which would be a way past the proxy`,
          `Remove gateway.auth.${shared} and CLOISTER_GATEWAY_${shared.toUpperCase()}, or use "${shared}".`,
          draft,
        );
  return [...noHeader, ...noProxy, ...loopback, ...both];
}

function hasThisMachine(entry: string): boolean {
  const [address = "", bits] = entry.trim().split("/");
  const network = new BlockList();
  network.addSubnet(
    address,
    bits === undefined ? (isIPv6(address) ? 128 : 32) : Number(bits),
    isIPv6(address) ? "ipv6" : "ipv4",
  );
  return isLoopback(address) || network.check("127.0.0.1") || network.check("::1", "ipv6");
}

function checkAddress(draft: Draft): ConfigIssue[] {
  const variable = findPortVariable(draft);
  const port =
    variable === undefined || parsePort(variable) !== undefined
      ? []
      : issue(
          ["gateway", "port"],
          `is ${JSON.stringify(variable)} by CLOISTER_GATEWAY_PORT (or OPENCLAW_GATEWAY_PORT); must be a number from 0 to 65535`,
          "Correct the variable, or unset it.",
          draft,
        );
  const found = findHost(draft);
  if (!found.ok)
    return [
      ...port,
      ...issue(["gateway", "bind"], `is "${draft.config.gateway.bind}" and ${found.message}`, found.remedy, draft),
    ];
  const auth = findGatewayAuth(draft);
  const isGuarded = (auth.mode === "token" || auth.mode === "password") && auth.secret !== undefined;
  if (isLoopback(found.host) || isGuarded || auth.mode === "ambiguous" || auth.mode === "trusted-proxy") return port;
  const open = issue(
    ["gateway", "bind"],
    `is "${draft.config.gateway.bind}", which other machines can reach, while ${auth.mode === "none" ? 'gateway.auth.mode is "none"' : `no ${auth.mode} is configured`}`,
    'Set gateway.auth.token (or CLOISTER_GATEWAY_TOKEN) and leave gateway.auth.mode at "token", or set gateway.bind to "loopback".',
    draft,
  );
  return [...port, ...open];
}

function checkHooks(draft: Draft): ConfigIssue[] {
  const { enabled, token, path } = draft.config.hooks;
  if (!enabled) return [];
  const credential = readCredential(["hooks", "token"], token, draft);
  const noToken =
    credential.status === "unusable"
      ? issue(["hooks", "token"], credential.reason, credential.remedy, draft)
      : credential.status === "absent"
        ? issue(
            ["hooks", "token"],
            "is missing while hooks.enabled is true; without it anybody could start turns",
            "Set hooks.token to a long random text, or set hooks.enabled to false.",
            draft,
          )
        : [];
  const atRoot = /^\/*$/.test(path)
    ? issue(
        ["hooks", "path"],
        "is the root of the server, where other things are",
        'Use a path such as "/hooks".',
        draft,
      )
    : [];
  return [...noToken, ...atRoot, ...checkSessions(draft)];
}

/** A session that the file names itself is held to what callers are. */
function checkSessions(draft: Draft): ConfigIssue[] {
  const { allowedSessionKeyPrefixes: prefixes, defaultSessionKey, mappings } = draft.config.hooks;
  if (prefixes === undefined) return [];
  const named: readonly (readonly [Path, string | undefined])[] = [
    [["hooks", "defaultSessionKey"], defaultSessionKey],
    ...mappings.map(({ sessionKey }, index) => [["hooks", "mappings", index, "sessionKey"], sessionKey] as const),
  ];
  return named.flatMap(([path, sessionKey]) =>
    sessionKey === undefined || isTemplated(sessionKey) || hasPrefix(sessionKey, prefixes)
      ? []
      : issue(
          path,
          `is ${JSON.stringify(sessionKey)}, which begins with no text of hooks.allowedSessionKeyPrefixes`,
          `Let it begin with ${prefixes.map((prefix) => JSON.stringify(prefix)).join(" or ") || "one of them"}, or add what it begins with there.`,
          draft,
        ),
  );
}

/** Answers would leave without it, and whoever hears them could not tell who sends them. */
function checkJobs(draft: Draft): ConfigIssue[] {
  const at: Path = ["cron", "webhookToken"];
  const credential = readCredential(at, draft.config.cron.webhookToken, draft);
  return credential.status === "unusable" ? issue(at, credential.reason, credential.remedy, draft) : [];
}
