/**
 * Settings that a JSON Schema describes. Loaded where a channel of the operator's own is configured and nowhere else: most gateways have none, and zod,
 * which is there, reads such schemas in an experimental way alone, with all of itself in every thread.
 */
import { Ajv, type ErrorObject } from "ajv";
import formats from "ajv-formats";
import type { CompileSettings, Settings } from "./own-channels.ts";
import type { Path } from "./issue.ts";

/** @throws with what is wrong with the schema */
export const compileSettings: CompileSettings = (schema) => {
  const ajv = new Ajv({ useDefaults: true, strictTypes: false, logger: false });
  formats.default(ajv);
  const validate = ajv.compile<Settings>(schema);
  return (given) => {
    // Defaults are written into what is checked.
    const value: unknown = structuredClone(given);
    if (validate(value)) return { settings: value };
    const [error] = validate.errors ?? [];
    return error === undefined
      ? { path: [], message: "is not valid" }
      : { path: pathOf(error), message: messageOf(error) };
  };
};

/** A key that is missing is told of by its own path. */
function pathOf({ instancePath, keyword, params }: ErrorObject): Path {
  const parts = instancePath.split("/").slice(1);
  const at = parts.map((part) => part.replaceAll("~1", "/").replaceAll("~0", "~"));
  return keyword === "required" ? [...at, String(params["missingProperty"])] : at;
}

const messageOf = ({ keyword, message = "is not valid", params }: ErrorObject): string =>
  keyword === "required"
    ? "is missing"
    : keyword === "enum"
      ? `must be one of ${(params["allowedValues"] as readonly unknown[]).map((each) => JSON.stringify(each)).join(", ")}`
      : message;
