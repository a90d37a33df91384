/** What the edge is told by the configuration. */
import type { PlatformDoor } from "./platform-door.ts";
import type { CallerKey, HookWishes } from "./port.ts";

/** How clients prove themselves. */
export type AuthSettings =
  | { readonly mode: "none" }
  /** `secret` is a token or a password. Absent: not configured, only the operator key opens. */
  | { readonly mode: "token" | "password"; readonly secret?: string }
  /** A proxy has identified the user already. */
  | { readonly mode: "trusted-proxy"; readonly proxy: ProxyRule };

export interface ProxyRule {
  /** Who the user is. */
  readonly userHeader: string;
  /** Further headers that have to be there. */
  readonly requiredHeaders: readonly string[];
  /** Empty: every user that the proxy has let through. */
  readonly allowUsers: readonly string[];
}

/** With so many failures within the window an address is locked out. */
export interface AttemptsRule {
  readonly failuresMax: number;
  readonly windowMs: number;
  readonly lockoutMs: number;
}

/** Wrong credentials of WebSocket clients (`gateway.auth.rateLimit`). */
export interface LoginRule extends AttemptsRule {
  /** Programs of this machine are not counted; pages in its browsers are all the same. */
  readonly exemptLoopback: boolean;
}

export interface EdgeSettings {
  readonly host: string;
  readonly port: number;
  readonly version: string;
  readonly bootId: string;
  readonly auth: AuthSettings;
  /** Absent: as the bounds of the edge have it, and programs of this machine are exempt. */
  readonly loginRule?: LoginRule;
  /** Addresses and networks whose headers about the client behind them are believed. */
  readonly trustedProxies: readonly string[];
  /** The local operator's key (hex), from the 0600 key file. */
  readonly operatorKey: string;
  readonly allowedOrigins: readonly string[];
  /** Unix socket of the local operator; absent: none. */
  readonly localSocket?: string;
  readonly page: { readonly enabled: boolean; readonly basePath: string; readonly assetsDir: string };
  readonly hooks: {
    readonly enabled: boolean;
    readonly token?: string;
    readonly path: string;
    /** Absent: as any request. */
    readonly bodyBytesMax?: number;
    readonly mappings: readonly HookMapping[];
  };
  /** Which of the endpoints for other programs are there. */
  readonly programs: {
    readonly chatCompletions: boolean;
    readonly responses: boolean;
    readonly mcp: boolean;
    readonly a2a: boolean;
  };
  /** What opens the gateway's figures, and nothing else. */
  readonly metrics: { readonly token?: string };
  readonly callers: readonly CallerKey[];
  readonly webhook: WebhookSettings | null;
  /** Accounts whose platforms call the gateway. */
  readonly platforms: readonly PlatformDoor[];
  readonly snapshot: {
    readonly defaultAgentId: string;
    readonly mainKey: string;
    readonly mainSessionKey: string;
    readonly scope: string;
  };
}

/** What may change while the edge listens. With another secret, clients that were admitted for the old one have to connect again. */
export type ChangeableSettings = Pick<
  EdgeSettings,
  | "auth"
  | "loginRule"
  | "trustedProxies"
  | "allowedOrigins"
  | "hooks"
  | "programs"
  | "metrics"
  | "webhook"
  | "platforms"
  | "snapshot"
>;

/** What a hook makes of payloads of another program. */
export interface HookMapping extends HookWishes {
  /** What follows the path of the hooks; absent: anything. */
  readonly path?: string;
  /** The payload's own `source`; absent: anything. */
  readonly source?: string;
  readonly action: "agent" | "wake";
  readonly name?: string;
  readonly agentId?: string;
  /** One that `isTemplated`: the payload chooses. */
  readonly sessionKey?: string;
  /** It waits for the agent's next heartbeat. */
  readonly atHeartbeat?: true;
  /** Absent: the payload as JSON. */
  readonly template?: string;
}

/** Its text follows from the payload, so that who sends the payload chooses. */
export const isTemplated = (text: string): boolean => text.includes("{{");

export interface WebhookSettings {
  readonly accounts: Readonly<Record<string, WebhookAccount>>;
  readonly defaultAccount: string;
}

export interface WebhookAccount {
  /** Inbound credential. A channel account without one is refused at start. */
  readonly token: string;
  /** Where answers go when the sender does not wait. Absent: they stay in the session. */
  readonly outboundUrl?: string;
  readonly outboundToken?: string;
}
