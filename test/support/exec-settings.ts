/** What an agent's commands go by when the config says nothing, or this. */
import { resolveExec } from "../../runtime/config/exec.ts";
import type { ExecSettings } from "../../runtime/config/resolved.ts";
import { configSchema } from "../../runtime/config/schema.ts";

export function execSettings(written: object = {}): ExecSettings {
  return resolveExec({ id: "main", path: ["agents"], entry: { id: "main" } }, configSchema.parse(written));
}
