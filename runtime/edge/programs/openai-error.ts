/** Errors in the form of OpenAI's API, with our code, and the remedy beside the message. */
import { type Refusal, toRefusal } from "../../kernel/errors.ts";
import { httpStatus } from "../wire-error.ts";

export interface OpenAiError {
  readonly error: {
    readonly message: string;
    readonly type: string;
    readonly param: null;
    readonly code: string;
    readonly remedy?: string;
  };
}

const types: Readonly<Record<number, string>> = {
  401: "authentication_error",
  403: "permission_error",
  404: "not_found_error",
  429: "rate_limit_error",
};

export function openAiError(error: unknown): OpenAiError {
  return openAiRefusal(toRefusal(error));
}

export function openAiRefusal({ code, message, remedy }: Refusal): OpenAiError {
  const status = httpStatus(code);
  const type = types[status] ?? (status < 500 ? "invalid_request_error" : "server_error");
  const full = remedy === undefined ? message : `${message} (${remedy})`;
  return { error: { message: full, type, param: null, code, ...(remedy === undefined ? {} : { remedy }) } };
}
