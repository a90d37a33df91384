/** What went wrong, in the form of the Agent2Agent protocol: an error of JSON-RPC whose `data` names the reason. Source: A2A 1.0, §5.4 and §9.5. */
import { isCoded, type Refusal, toRefusal } from "../../../kernel/errors.ts";

/** The codes of the protocol, and those of JSON-RPC that it uses. */
const codes = {
  JSON_PARSE: -32700,
  INVALID_REQUEST: -32600,
  METHOD_NOT_FOUND: -32601,
  INVALID_PARAMS: -32602,
  INTERNAL: -32603,
  TASK_NOT_FOUND: -32001,
  TASK_NOT_CANCELABLE: -32002,
  PUSH_NOTIFICATION_NOT_SUPPORTED: -32003,
  UNSUPPORTED_OPERATION: -32004,
  CONTENT_TYPE_NOT_SUPPORTED: -32005,
  VERSION_NOT_SUPPORTED: -32009,
} as const;

export type FaultReason = keyof typeof codes;

/** What the protocol has no code for: who calls is not known, has no place, or the gateway ends. */
const refusedCode = -32000;

export class A2aFault extends Error {
  readonly reason: FaultReason;

  constructor(reason: FaultReason, message: string) {
    super(message);
    this.name = "A2aFault";
    this.reason = reason;
  }
}

export interface RpcError {
  readonly code: number;
  readonly message: string;
  readonly data: readonly object[];
}

/** As the body of a response has it. */
export function errorOf(error: unknown): RpcError {
  if (error instanceof A2aFault) return rpcError(codes[error.reason], error.message, error.reason, "a2a-protocol.org");
  return refusalError(refusalOf(error));
}

export const refusalOf = (error: unknown): Refusal => (isCoded(error) ? toRefusal(error) : internal);

/** What concerns the call itself is told in the body alone; anything else has a status of HTTP as well. */
export function isOfCall(error: unknown): boolean {
  return error instanceof A2aFault || refusalOf(error).code === "CLOISTER_REQUEST_INVALID";
}

/** Nothing of the request could be understood. */
export const isUnread = (error: unknown): boolean =>
  error instanceof A2aFault && (error.reason === "JSON_PARSE" || error.reason === "INVALID_REQUEST");

const internal: Refusal = {
  code: "CLOISTER_INTERNAL",
  message: "the gateway failed while it handled the request; its log has the reason",
};

function refusalError({ code, message, remedy }: Refusal): RpcError {
  const full = remedy === undefined ? message : `${message} (${remedy})`;
  const number =
    code === "CLOISTER_REQUEST_INVALID"
      ? codes.INVALID_PARAMS
      : code === "CLOISTER_INTERNAL"
        ? codes.INTERNAL
        : refusedCode;
  return rpcError(number, full, code, "cloister", remedy);
}

function rpcError(code: number, message: string, reason: string, domain: string, remedy?: string): RpcError {
  const info = { "@type": "type.googleapis.com/google.rpc.ErrorInfo", reason, domain };
  return { code, message, data: [remedy === undefined ? info : { ...info, metadata: { remedy } }] };
}

/** Of what is refused before the request is read: it has no id yet. */
export function a2aRefusal(refusal: Refusal): object {
  return { jsonrpc: "2.0", id: null, error: refusalError(refusal) };
}
