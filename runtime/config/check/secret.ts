/** Whether a reference to a secret can lead anywhere. */
import { isAbsolute } from "node:path";
import type { Secret } from "../schema/values.ts";

/** With a reference to a secret; what it leads to is looked at when it is needed. */
export function whatIsWrong(secret: Secret | undefined): readonly [message: string, remedy: string] | undefined {
  if (typeof secret !== "object") return undefined;
  const { source, provider, id } = secret;
  if (source === "file" && !isAbsolute(id) && !id.startsWith("~/"))
    return ["names a file by a path that is not absolute", 'Write it as "/…" or "~/…".'];
  if (source === "exec" && provider === undefined)
    return [
      "names no program",
      'Put one into secret-programs of the state directory, and write its name: { source: "exec", provider: "<name>", id: "<its argument>" }.',
    ];
  return undefined;
}
