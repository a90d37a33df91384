/** `tools.*` and its per-agent form. Source: behaviour §1.6, §7. */
import * as z from "zod";
import { grantVerbs } from "../../kernel/envelope.ts";
import { limits } from "../../kernel/limits.ts";
import type { ToolProfile } from "../../../auth/tool-names.ts";
import type { Visibility } from "../resolved.ts";
import { isMap } from "../is-map.ts";
import { agentId, anyMap, anyValue, texts } from "./values.ts";
import { elevated, exec } from "./exec.ts";
import { inert, key, later } from "./note.ts";
import { webTools } from "./web.ts";

const profile = () =>
  key(
    "Named set of tools to start from; unset = no filter.",
    z.enum(["minimal", "coding", "messaging", "full"] satisfies ToolProfile[]).optional(),
  );

const listKeys = () => ({
  allow: key("Only these tools (`*` and `group:*` work); an empty list says nothing.", texts().optional()),
  alsoAllow: key("These tools beside the profile's; not together with `allow`.", texts().optional()),
  deny: key("Never these tools; wins over every allow.", texts().optional()),
});
const lists = () => z.strictObject(listKeys());

/** By who sent a message: `channel:<channel>:<id>`, `id:<id>`, `e164:<number>`, `username:<name>`, `name:<name>`, or `*`. */
export const toolsBySender = () =>
  key(
    "Narrower by who sent the message: `channel:<channel>:<id>`, `id:<id>`, `e164:<number>`, `username:<name>`, `name:<name>`, or `*` for whoever no entry names.",
    z
      .record(
        z.string().regex(/^(?:\*|(?:channel:[^:]+|id|e164|username|name):.+)$/i, {
          error: "must be channel:<channel>:<id>, id:<id>, e164:<number>, username:<name>, name:<name> or *",
        }),
        lists(),
      )
      .optional(),
  );

export const toolLists = () => lists();

function policyKeys() {
  return {
    profile: profile(),
    ...listKeys(),
    byProvider: key(
      "Further narrowing by model provider or `provider/model`.",
      z.record(z.string(), z.strictObject({ profile: profile(), ...listKeys() })).optional(),
    ),
    toolsBySender: toolsBySender(),
    exec: key("The tools that run commands.", exec().optional()),
    sandbox: key(
      "Tools in sandboxed sessions.",
      z
        .strictObject({
          tools: key("Which; without `allow` those that sandboxed sessions have by default.", lists().optional()),
        })
        .optional(),
    ),
    fs: later(
      "files outside of the workspace",
      "The file tools: `workspaceOnly`, which always holds. `false` would be other files as well.",
      anyMap().optional(),
      (value) => isMap(value) && value["workspaceOnly"] === false,
    ),
    loopDetection: later("loop detection of one agent", "Detection of tool calls in circles.", anyMap().optional()),
  };
}

/** The tool keys of one agent. */
export const agentTools = () =>
  z.strictObject({
    ...policyKeys(),
    elevated: key(
      "The agent's own gate for commands outside the sandbox; it only narrows.",
      elevated("agent").optional(),
    ),
  });

export const tools = z
  .strictObject({
    ...policyKeys(),
    loopDetection: key(
      "Ends runs that go in a circle. Keys of other programs are accepted and have no effect.",
      z
        .looseObject({
          enabled: key("Off: a run may repeat what fails for as long as its turn lasts.", z.boolean().default(true)),
          sameFailuresMax: key(
            "So often a call may fail in the same way in one run; then the run fails with `CLOISTER_RUN_LOOP`.",
            z.int().min(2).max(limits.callsPerTurnMax).default(limits.sameFailuresDefault),
          ),
          chainTokensMax: key(
            "Tokens that the turns of a chain of messages may take of models, of all agents together; then its calls of models and tools, and its messages, are refused.",
            z.int().min(1).max(Number.MAX_SAFE_INTEGER).default(limits.chainTokensDefault),
          ),
          chainCostUsdMax: key(
            "What they may cost, in USD, where the configuration has prices. Default: no bound beside the one on tokens.",
            z.number().positive().max(limits.costUsdMax).optional(),
          ),
          sameSessionMax: key(
            "So often a chain of messages may come to one session; the next message to it is refused.",
            z.int().min(1).max(limits.hopsMax).default(limits.sameSessionDefault),
          ),
        })
        .prefault({}),
    ),
    agentToAgent: key(
      "Messages from one agent to another.",
      z
        .strictObject({
          enabled: key("Lets agents use the session tools on other agents.", z.boolean().default(false)),
          allow: key(
            "Agents that may take part, as ids or `*` patterns; sender and target must both match. Empty = nobody.",
            z.array(agentId()).default([]),
          ),
          grants: key(
            "Rights by pair and verb, beside `allow`: `send` without `history` lets an agent write to another and not read it. They hold whatever `tools.sessions.visibility` says, and only while `enabled` is true.",
            z
              .array(
                z.strictObject({
                  from: key("Who may, as an id or a `*` pattern.", agentId()),
                  to: key("To whom.", agentId()),
                  verbs: key("What.", z.array(z.enum(grantVerbs)).min(1)),
                }),
              )
              .default([]),
          ),
          requests: key(
            'What becomes of a call that lacks a right: "off" refuses it; "operator" also asks the operator for the right and keeps the message until the decision (`cloister grants requests`).',
            z.enum(["off", "operator"]).default("off"),
          ),
        })
        .prefault({}),
    ),
    config: key(
      "The configuration itself.",
      z
        .strictObject({
          propose: key(
            "Agents that may propose changes of it with `config_propose`, as ids or `*` patterns. An operator decides (`cloister config proposals`); no agent writes. Empty = nobody.",
            z.array(agentId()).default([]),
          ),
        })
        .prefault({}),
    ),
    sessions: key(
      "Session tools.",
      z
        .strictObject({
          visibility: key(
            "Which sessions a session sees: itself, those that it started, its agent's, or all.",
            z.enum(["self", "tree", "agent", "all"] satisfies Visibility[]).default("tree"),
          ),
        })
        .prefault({}),
    ),
    elevated: key("Commands outside the sandbox, by sender.", elevated("all").optional()),
    subagents: key(
      "Tools of sub-agents; only narrows.",
      z
        .strictObject({
          tools: key(
            "Of the tools that a sub-agent has, only those of `allow`, and never those of `deny`.",
            z
              .strictObject({
                allow: key("Only these (`*` works).", texts().optional()),
                deny: key("Never these; wins.", texts().optional()),
                alsoAllow: inert(
                  "Nothing can be added back.",
                  "A sub-agent has at most what its requester has.",
                  texts().optional(),
                ),
              })
              .optional(),
          ),
        })
        .optional(),
    ),
    sessions_spawn: key(
      "The tool that starts sub-agents.",
      z
        .strictObject({
          attachments: key(
            "Files that a session hands to a sub-agent: they are written into the workspace of the sub-agent's agent.",
            z
              .strictObject({
                enabled: key("Whether it may.", z.boolean().default(false)),
                maxTotalBytes: key(
                  "Bytes of all files of one sub-agent.",
                  z.int().positive().max(limits.attachmentBytesMax).default(5_242_880),
                ),
                maxFiles: key("Files of one sub-agent.", z.int().positive().max(limits.attachmentsMax).default(50)),
                maxFileBytes: key(
                  "Bytes of one file.",
                  z.int().positive().max(limits.attachmentBytesMax).default(1_048_576),
                ),
                retainOnSessionKeep: key(
                  'With `cleanup: "keep"` they stay until the session is archived; else they go when the run ends.',
                  z.boolean().default(false),
                ),
              })
              .prefault({}),
          ),
        })
        .prefault({}),
    ),
    web: key("The web.", webTools.prefault({})),
    media: later("media tools", "Images, sound, video.", anyValue()),
    links: later("web tools", "Reading of links in messages.", anyValue()),
    message: key(
      "What agents say on channels with the tool `message`.",
      z
        .strictObject({
          deliver: key(
            "Where they may speak beside the conversations that their turns are in. Empty = nowhere.",
            z
              .array(
                z.strictObject({
                  from: key("Who may, as an id or a `*` pattern.", agentId()),
                  to: key(
                    "Where: patterns of `channel:account:kind:id`, as `telegram:default:direct:4711` or `telegram:*`.",
                    z.array(z.string().regex(/^[^:\s*]+:\S+$/, "must begin with a channel, as telegram:*")).min(1),
                  ),
                }),
              )
              .default([]),
          ),
          crossContext: later("other rules of the message tool", "Use deliver.", anyValue()),
          broadcast: later("other rules of the message tool", "Messages to many at once.", anyValue()),
        })
        .prefault({}),
    ),
  })
  .prefault({});
