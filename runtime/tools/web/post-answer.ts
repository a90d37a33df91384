/**
 * The answer of a job on its way to a URL that an operator has named: as the webhook channel sends one, with its attempts and its form, and to public
 * addresses alone, which are judged in the look-up that the connection itself uses. Source: behaviour §5.7.
 */
import { lookup as systemLookup } from "node:dns";
import type { LookupFunction } from "node:net";
import { Readable } from "node:stream";
import type { SendResult } from "../../../channels/port.ts";
import { type ClientTools, makeWebhookClient, type WebhookAccountTarget } from "../../../channels/webhook/index.ts";
import { followSecrets } from "../../broker/follow-secrets.ts";
import { makeSecretReader } from "../../broker/secret-refs.ts";
import { toRefusal } from "../../kernel/errors.ts";
import type { AnswerPost } from "../port.ts";
import { isRefused } from "../results.ts";
import { type Interfaces, makeJudge } from "./address.ts";
import { send } from "./request.ts";

export interface PostTools extends Partial<Omit<ClientTools, "fetch">> {
  readonly lookup?: LookupFunction;
  readonly interfaces?: Interfaces;
}

/** Never rejects. What is refused is not tried again. */
export async function postAnswer(
  { message, url, token, stateDir, allowedHosts }: AnswerPost,
  { lookup = systemLookup, interfaces, ...tools }: PostTools = {},
): Promise<SendResult> {
  const isMeant = makeJudge(interfaces);
  let refusal: string | undefined;
  const judged: typeof fetch = async (target, { headers, body, signal } = {}) => {
    try {
      const response = await send(
        new URL(target as string),
        { method: "POST", headers: headers as Record<string, string>, body: body as string, allowedHosts, told },
        lookup,
        isMeant,
        signal ?? AbortSignal.timeout(0),
      );
      const { statusCode: status = 502, headers: answered } = response;
      const retryAfter = answered["retry-after"];
      const init = { status, ...(retryAfter === undefined ? {} : { headers: { "retry-after": retryAfter } }) };
      if (!hasBody(status)) {
        response.destroy();
        return new Response(null, init);
      }
      return new Response(Readable.toWeb(response) as ReadableStream<Uint8Array>, init);
    } catch (error) {
      if (!isRefused(error)) throw error;
      refusal = error.message;
      return new Response(null, { status: 403 });
    }
  };
  // Variables are texts by now.
  const secrets = makeSecretReader(() => ({ stateDir, variables: {} }), Date.now);
  let account: WebhookAccountTarget;
  try {
    const written = { outboundUrl: url, ...(token === undefined ? {} : { outboundToken: token }) };
    account = await followSecrets<WebhookAccountTarget>(written, secrets);
  } catch (error) {
    // Without it the receiver could not tell who sends it.
    const { code, message: why, remedy = "" } = toRefusal(error);
    return { status: "failed", reason: `${code}: ${why}; ${remedy}`, retry: true };
  }
  const client = makeWebhookClient({ [message.accountId]: account }, { ...tools, fetch: judged });
  const result = await client.send(message);
  return refusal === undefined ? result : { status: "failed", reason: refusal, retry: false };
}

const told = { what: "answers of jobs go only to what is public", key: "cron.webhookAllowedHosts" };

/** Of these the standard knows no body. */
const hasBody = (status: number): boolean => status !== 204 && status !== 205 && status !== 304;
