/** The JSON body of a request: bounded in bytes and in time before it is parsed. */
import type { z } from "zod";
import { failure } from "../kernel/errors.ts";
import { limits } from "../kernel/limits.ts";
import type { EdgeBounds } from "./bounds.ts";
import { isTooDeep } from "./depth.ts";
import { formatIssues } from "./issues.ts";
import type { Exchange } from "./route.ts";

/**
 * Throws `CLOISTER_REQUEST_INVALID` (no JSON), `CLOISTER_EDGE_TOO_LARGE` (declared or real length above
 * `httpBodyBytesMax`; nothing further is read) and `CLOISTER_EDGE_TIMEOUT` (not complete within `httpBodyMs`).
 */
export async function readJson(exchange: Exchange, bounds: EdgeBounds): Promise<unknown> {
  requireJson(exchange);
  return parseJson(await readText(exchange, bounds));
}

/** @throws CLOISTER_REQUEST_INVALID */
export function requireJson({ request }: Exchange): void {
  const type = request.headers["content-type"];
  if (type === undefined || !/^application\/(?:[\w.-]+\+)?json\s*(?:;|$)/i.test(type)) {
    throw failure(
      "CLOISTER_REQUEST_INVALID",
      `the body has the content type ${JSON.stringify(type ?? "(none)")}; wanted application/json`,
      "Send the header `content-type: application/json` and a JSON object.",
    );
  }
}

/** The body as it came. @throws CLOISTER_EDGE_TOO_LARGE, CLOISTER_EDGE_TIMEOUT */
export async function readText({ request, response }: Exchange, bounds: EdgeBounds): Promise<string> {
  const declared = Number(request.headers["content-length"] ?? 0);
  if (declared > bounds.httpBodyBytesMax) throw tooLarge(`${declared}`, bounds);
  if (request.headers.expect !== undefined) response.writeContinue();
  return (await readBytes({ request }, bounds)).toString("utf8");
}

/** @throws CLOISTER_REQUEST_INVALID */
export function parseJson(text: string): unknown {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    const what = text.trim() === "" ? "the body is empty" : `the body is not JSON (${String(error).slice(0, 120)})`;
    throw failure("CLOISTER_REQUEST_INVALID", `${what}; wanted a JSON object`, "Send a JSON object, encoded as UTF-8.");
  }
  if (!isTooDeep(value)) return value;
  throw failure(
    "CLOISTER_REQUEST_INVALID",
    `the body nests deeper than ${limits.jsonDepthMax} levels, which is the most`,
    "Send a flatter object.",
  );
}

/** `value` in the form of `schema`, else `CLOISTER_REQUEST_INVALID` that names each wrong field. */
export function parseAs<T>(schema: z.ZodType<T>, value: unknown, example: string): T {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  throw failure(
    "CLOISTER_REQUEST_INVALID",
    `the body is not valid: ${formatIssues(parsed.error)}`,
    `Send for example ${example}`,
  );
}

function readBytes({ request }: Pick<Exchange, "request">, bounds: EdgeBounds): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let length = 0;
    const settle = (finish: () => void): void => {
      clearTimeout(deadline);
      request.off("data", take).off("end", end).off("close", gone).off("error", gone);
      finish();
    };
    const take = (chunk: Buffer): void => {
      length += chunk.length;
      if (length > bounds.httpBodyBytesMax) {
        request.pause();
        settle(() => reject(tooLarge(`more than ${bounds.httpBodyBytesMax}`, bounds)));
      } else {
        chunks.push(chunk);
      }
    };
    const end = (): void => settle(() => resolve(Buffer.concat(chunks)));
    const gone = (): void =>
      settle(() =>
        reject(failure("CLOISTER_EDGE_TIMEOUT", "the client closed the connection before its body was complete")),
      );
    const late = (): void => {
      request.pause();
      const message = `the body was not complete after ${bounds.httpBodyMs} ms (${length} bytes came)`;
      settle(() => reject(failure("CLOISTER_EDGE_TIMEOUT", message, "Send the body without pauses.")));
    };
    const deadline = setTimeout(late, bounds.httpBodyMs);
    request.on("data", take).on("end", end).on("close", gone).on("error", gone);
  });
}

function tooLarge(found: string, { httpBodyBytesMax }: EdgeBounds): Error {
  return failure(
    "CLOISTER_EDGE_TOO_LARGE",
    `the body has ${found} bytes; at most ${httpBodyBytesMax} are read`,
    "Send a shorter message, or put the content where the agent can fetch it.",
  );
}
