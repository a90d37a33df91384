/**
 * Payloads of other programs as messages: which mapping of the config a request is for, and the text that its template makes of it.
 * A template names values of the payload as `{{path.to.value}}` or `{{list[0].name}}`; what is not there is empty. Nothing but own
 * properties is read, and nothing is run. Source: behaviour §5.9.
 */
import { failure } from "../kernel/errors.ts";
import { limits } from "../kernel/limits.ts";
import type { HookRequest } from "./port.ts";
import { type HookMapping, isTemplated } from "./settings.ts";

/** The first that fits, in the order of the config. `name` is what follows the path of the hooks. */
export function findMapping(mappings: readonly HookMapping[], name: string, payload: unknown): HookMapping | undefined {
  const source = valueAt(payload, ["source"]);
  return mappings.find(
    (mapping) =>
      (mapping.path === undefined || mapping.path === name) &&
      (mapping.source === undefined || mapping.source === source),
  );
}

/** Throws `CLOISTER_REQUEST_INVALID` when the template makes no text of the payload. */
export function applyMapping(mapping: HookMapping, name: string, payload: unknown): HookRequest {
  const { template, agentId, action, delivery, model, thinking, turnMsMax, atHeartbeat } = mapping;
  const text = template === undefined ? JSON.stringify(payload, undefined, 2) : renderTemplate(template, payload);
  if (text.trim() === "" || text.length > limits.bodyCharsMax)
    throw failure(
      "CLOISTER_REQUEST_INVALID",
      `the template of the hook ${name} makes ${text.trim() === "" ? "no text" : `${text.length} characters`} of this payload; wanted 1 to ${limits.bodyCharsMax}`,
      "Compare the names in its messageTemplate (or textTemplate) with the payload.",
    );
  return {
    name: mapping.name ?? name,
    message: text,
    ...(agentId === undefined ? {} : { agentId }),
    ...(action === "wake" ? { isWake: true } : {}),
    ...sessionOf(mapping, name, payload),
    ...(atHeartbeat === undefined ? {} : { atHeartbeat: "wakeMode" }),
    ...(delivery === undefined ? {} : { delivery }),
    ...(model === undefined ? {} : { model }),
    ...(thinking === undefined ? {} : { thinking }),
    ...(turnMsMax === undefined ? {} : { turnMsMax }),
  };
}

function sessionOf(
  { action, sessionKey }: HookMapping,
  name: string,
  payload: unknown,
): Pick<HookRequest, "sessionKey" | "configuredSession"> {
  if (sessionKey === undefined) return action === "wake" ? { configuredSession: "main" } : {};
  if (!isTemplated(sessionKey)) return { configuredSession: sessionKey };
  const made = renderTemplate(sessionKey, payload).trim();
  if (made.length > 0 && made.length <= limits.sessionKeyCharsMax) return { sessionKey: made };
  throw failure(
    "CLOISTER_REQUEST_INVALID",
    `the sessionKey of the hook ${name} has ${made.length} characters for this payload; wanted 1 to ${limits.sessionKeyCharsMax}`,
    "Compare the names in its sessionKey with the payload.",
  );
}

export function renderTemplate(template: string, payload: unknown): string {
  return template.replaceAll(/\{\{\s*([\w.[\]-]{1,200})\s*\}\}/g, (_, path: string) => {
    const value = valueAt(payload, path.replaceAll(/\[(\d+)\]/g, ".$1").split("."));
    return typeof value === "string" ? value : value === undefined || value === null ? "" : JSON.stringify(value);
  });
}

function valueAt(payload: unknown, path: readonly string[]): unknown {
  let value = payload;
  for (const name of path) {
    if (typeof value !== "object" || value === null || !Object.hasOwn(value, name)) return undefined;
    value = Reflect.get(value, name);
  }
  return value;
}
