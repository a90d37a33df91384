/** The rows of `methods.ts` about the configuration, what agents propose of it, and agents as parts of it. */
import { z } from "zod";
import { limits } from "../kernel/limits.ts";
import type { Method } from "./methods.ts";
import { id } from "./param-forms.ts";

const configText = z.string().max(limits.configBytesMax);
const configPath = z.array(z.union([z.string().max(1_024), z.int().min(0)])).max(limits.configNestingMax);
const writing = { baseHash: id.exactOptional(), force: z.boolean().exactOptional() };
/** Clients of the peer send more: notes and delays, which have no meaning here. */
const wholeConfig = z.object({ raw: configText, ...writing });
/** Places of the file, and what is to stand there. A path of no parts is the whole file. */
const places = {
  set: z
    .array(z.object({ path: configPath, value: z.unknown() }))
    .max(1_000)
    .exactOptional(),
  unset: z.array(configPath).max(1_000).exactOptional(),
};
const agentText = z.string().trim().min(1).max(limits.pathCharsMax);
const agentFields = {
  workspace: agentText.exactOptional(),
  model: agentText.exactOptional(),
  emoji: agentText.exactOptional(),
  avatar: agentText.exactOptional(),
  theme: agentText.exactOptional(),
};

export const configMethods = {
  "config.get": { scope: "operator.read", params: z.object({}) },
  "config.schema.lookup": { scope: "operator.read", params: z.object({ path: z.string().max(1_024) }) },
  /** What `config.patch` would do: a change is checked and shown, and nothing is written. */
  "config.check": { scope: "operator.admin", params: z.object(places) },
  /** What agents propose; the places of `config.check` for each. */
  "config.proposals": { scope: "operator.read", params: z.object({}) },
  "config.proposals.show": { scope: "operator.read", params: z.object({ id }) },
  "config.proposals.apply": {
    scope: "operator.admin",
    /** `hash`: of the file that the proposal was shown against. */
    params: z.object({ id, hash: id, force: z.boolean().exactOptional() }),
  },
  "config.proposals.reject": { scope: "operator.admin", params: z.object({ id }) },
  "config.set": { scope: "operator.admin", params: wholeConfig },
  "config.apply": { scope: "operator.admin", params: wholeConfig },
  "config.patch": {
    scope: "operator.admin",
    /** `raw`: a merge patch as JSON5; `set` and `unset` are ours. */
    params: z
      .object({
        raw: configText.exactOptional(),
        replacePaths: z.array(z.string().max(1_024)).max(100).exactOptional(),
        ...places,
        ...writing,
      })
      .refine(
        ({ raw, set, unset }) => (raw === undefined) !== (set === undefined && unset === undefined),
        "expected raw, or set and unset",
      ),
  },
  "agents.create": {
    scope: "operator.admin",
    params: z.object({
      /** The id follows from the name where none is given. */
      name: agentText,
      id: id.exactOptional(),
      agentDir: agentText.exactOptional(),
      module: agentText.exactOptional(),
      bind: z.array(id).max(100).exactOptional(),
      ...agentFields,
    }),
  },
  "agents.update": {
    scope: "operator.admin",
    params: z.object({
      agentId: id,
      name: agentText.exactOptional(),
      module: agentText.exactOptional(),
      ...agentFields,
    }),
  },
  "agents.delete": {
    scope: "operator.admin",
    params: z.object({ agentId: id, deleteFiles: z.boolean().exactOptional() }),
  },
} as const satisfies Record<string, Method>;
