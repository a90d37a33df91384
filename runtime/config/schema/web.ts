/** `tools.web`: what agents may get from the web. The keys are the peer's; what is bounded by Cloister is bounded here too. */
import * as z from "zod";
import { limits } from "../../kernel/limits.ts";
import { anyValue } from "./values.ts";
import { key, later } from "./note.ts";

const host = z.string().regex(/^(?:\[[0-9a-f:.]+\]|[a-z0-9._-]+)(?::\d{1,5})?$/i, {
  error: "must be a host or host:port, as it stands in an address; IPv6 in brackets",
});

export const webTools = z.strictObject({
  search: later("web search", "Search of the web.", anyValue()),
  fetch: key(
    "The tool `web_fetch`. Keys of other programs are accepted and have no effect.",
    z
      .looseObject({
        enabled: key("Off: no agent has it.", z.boolean().default(true)),
        maxChars: key(
          "Characters of one result, unless a call asks for less.",
          z.int().min(100).max(limits.webCharsMax).default(40_000),
        ),
        maxResponseBytes: key(
          "Bytes of one page that are read, unpacked.",
          z.int().min(1_024).max(limits.webBytesMax).default(2_000_000),
        ),
        timeoutSeconds: key(
          "For one call, redirects included.",
          z
            .number()
            .positive()
            .max(limits.webTimeoutMsMax / 1_000)
            .default(30),
        ),
        cacheTtlMinutes: key(
          "How long a page is given from memory, to the agent that fetched it; 0 = never.",
          z.number().min(0).max(1_440).default(15),
        ),
        maxRedirects: key("Redirects of one call.", z.int().min(0).max(limits.webRedirectsMax).default(3)),
        userAgent: key(
          "What servers are told who asks.",
          z
            .string()
            .regex(/^[\x20-\x7e]{1,256}$/, { error: "must be one line of ASCII" })
            .default("Mozilla/5.0 (compatible; Cloister)"),
        ),
        ssrfPolicy: key(
          "Addresses of private and special networks are refused, also after a redirect and whatever a name stands for.",
          z
            .looseObject({
              allowedHostnames: key(
                "Hosts that may be asked all the same, as `host` or `host:port`. Every agent that has the tool reaches them.",
                z.array(host).default([]),
              ),
            })
            .prefault({}),
        ),
      })
      .prefault({}),
  ),
});
