/** Whether a call was signed with the secret of its account, and lately: one that somebody recorded opens nothing later. Pure. */
import { createHmac } from "node:crypto";
import type { IncomingHttpHeaders } from "node:http";
import type { Refusal } from "../kernel/errors.ts";
import { limits } from "../kernel/limits.ts";
import { makeSecret } from "./credential.ts";
import type { SignatureProof } from "./platform-door.ts";

export interface SignedCall {
  readonly signature: string;
  /** As the header has it: what is signed. */
  readonly time: string;
}

/** What the headers show, before a byte of the body is read. `nowMs`: milliseconds since 1970. */
export function readSignature(
  { header, timeHeader }: Pick<SignatureProof, "header" | "timeHeader">,
  headers: IncomingHttpHeaders,
  nowMs: number,
): SignedCall | Refusal {
  const signature = headers[header];
  const time = headers[timeHeader];
  if (typeof signature !== "string" || typeof time !== "string" || !/^\d{1,12}$/.test(time))
    return unproven(`the call is not signed; wanted the headers ${header} and ${timeHeader}`);
  const offMs = nowMs - Number(time) * 1000;
  if (Math.abs(offMs) <= limits.signedCallMs) return { signature, time };
  const seconds = Math.round(Math.abs(offMs) / 1000);
  return unproven(
    `the call was signed ${seconds} s ${offMs > 0 ? "ago" : "ahead"}; at most ${limits.signedCallMs / 1000} s are taken`,
    "Set the clock of this machine right, if the call is a new one.",
  );
}

export function isSigned(
  { version, secret }: Pick<SignatureProof, "version" | "secret">,
  { signature, time }: SignedCall,
  body: string,
): boolean {
  const made = createHmac("sha256", secret).update(`${version}:${time}:${body}`, "utf8").digest("hex");
  return makeSecret(`${version}=${made}`, "a signature").matches(signature);
}

const unproven = (message: string, remedy = "Only the platform calls this address."): Refusal => ({
  code: "CLOISTER_EDGE_UNAUTHENTICATED",
  message,
  remedy,
});
