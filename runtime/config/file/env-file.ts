/** One variable of a `.env` file changed, and nothing else of it. Pure. */
import { isDeepStrictEqual, parseEnv } from "node:util";
import { failure } from "../../kernel/errors.ts";

/** @throws CLOISTER_REQUEST_INVALID for a value that such a file cannot hold */
export function setVariable(text: string, name: string, value: string): string {
  const quote = ["'", '"', "`"].find((mark) => !value.includes(mark));
  // In double quotes \n is a line break.
  const fits = quote !== undefined && !/[\r\n\0]/.test(value) && (quote !== '"' || !value.includes("\\"));
  const line = `${name}=${quote}${value}${quote}`;
  if (!fits || parseEnv(line)[name] !== value)
    throw failure(
      "CLOISTER_REQUEST_INVALID",
      `The value for ${name} cannot stand in a .env file: it has line breaks, or quotes of every kind.`,
      "Set the variable in the environment of the gateway.",
    );
  const assigns = new RegExp(`^\\s*(?:export\\s+)?${name}\\s*=`);
  const lines = text.split("\n");
  const at = lines.findLastIndex((one) => assigns.test(one));
  const next = at === -1 ? [...lines.slice(0, lines.at(-1) === "" ? -1 : undefined), line, ""] : lines.with(at, line);
  const changed = next.join("\n");
  // A text over several lines in quotes may hold what looks like the variable.
  const isTold = parseEnv(changed)[name] === value;
  const others = (of: string): object => ({ ...parseEnv(of), [name]: "" });
  if (isTold && isDeepStrictEqual(others(changed), others(text))) return changed;
  throw failure(
    "CLOISTER_REQUEST_INVALID",
    `The .env file has no line that sets ${name} and nothing else.`,
    `Write ${name} there by hand.`,
  );
}
