/** The tool keys of the file as the policy reads them (`auth/tool-policy.ts`). Source: behaviour §1.6. */
import type { ToolLists, ToolRules } from "../../auth/tool-policy.ts";
import type { agentTools, tools, toolsBySender } from "./schema/tools.ts";
import type * as z from "zod";

type Written = Pick<
  z.output<ReturnType<typeof agentTools>> & z.output<typeof tools>,
  "profile" | "allow" | "alsoAllow" | "deny" | "byProvider" | "toolsBySender" | "sandbox"
>;

/** Undefined: it says nothing about tools. `inherited`: keys that are of `agents.defaults`. */
export function resolveToolRules(
  written: Written | undefined,
  inherited: readonly string[] = [],
): ToolRules | undefined {
  if (written === undefined) return undefined;
  const { profile, byProvider, sandbox } = written;
  const senders = resolveSenderTools(written.toolsBySender);
  const rules: ToolRules = {
    ...(profile === undefined ? {} : { profile }),
    ...resolveToolLists(written),
    ...(byProvider === undefined
      ? {}
      : {
          byProvider: Object.fromEntries(
            Object.entries(byProvider).map(([name, lists]) => [
              name.trim().toLowerCase(),
              {
                ...(lists.profile === undefined ? {} : { profile: lists.profile }),
                ...resolveToolLists(lists),
              },
            ]),
          ),
        }),
    ...(senders === undefined ? {} : { toolsBySender: senders }),
    ...(sandbox?.tools === undefined ? {} : { sandboxTools: resolveToolLists(sandbox.tools) }),
  };
  if (Object.keys(rules).length === 0) return undefined;
  return inherited.length === 0 ? rules : { ...rules, inherited };
}

interface WrittenLists {
  readonly allow?: readonly string[] | undefined;
  readonly alsoAllow?: readonly string[] | undefined;
  readonly deny?: readonly string[] | undefined;
}

export function resolveToolLists({ allow, alsoAllow, deny }: WrittenLists): ToolLists {
  return {
    ...(allow === undefined ? {} : { allow }),
    ...(alsoAllow === undefined ? {} : { alsoAllow }),
    ...(deny === undefined ? {} : { deny }),
  };
}

export function resolveSenderTools(
  written: z.output<ReturnType<typeof toolsBySender>>,
): Readonly<Record<string, ToolLists>> | undefined {
  return written === undefined
    ? undefined
    : Object.fromEntries(Object.entries(written).map(([name, lists]) => [name, resolveToolLists(lists)]));
}
