/** `tools.web` of the file as the tools' thread takes it. */
import type { ResolvedConfig } from "./resolved.ts";
import type { Config } from "./schema.ts";

export function resolveWebFetch({ tools }: Config): ResolvedConfig["webFetch"] {
  const { enabled, maxChars, maxResponseBytes, timeoutSeconds, cacheTtlMinutes, maxRedirects, userAgent, ssrfPolicy } =
    tools.web.fetch;
  return {
    enabled,
    settings: {
      charsMax: maxChars,
      bytesMax: maxResponseBytes,
      timeoutMs: timeoutSeconds * 1_000,
      redirectsMax: maxRedirects,
      cacheMs: cacheTtlMinutes * 60_000,
      userAgent,
      allowedHosts: ssrfPolicy.allowedHostnames.map((host) => host.toLowerCase()),
    },
  };
}
