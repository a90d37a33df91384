/**
 * `POST /channels/<channel>/<account>`: a platform calls, for accounts that are called instead of asking. The platform shows a secret of that
 * account in a header of its own, or signs what it says with it; what it says is for the channel's thread, which alone can read it. 200 means
 * stored: on anything else platforms call again.
 */
import { failure, fromRefusal } from "../kernel/errors.ts";
import { sendBytes, sendJson } from "./answer.ts";
import type { Attempts } from "./attempts.ts";
import { parseJson, readJson, readText } from "./body.ts";
import type { EdgeBounds } from "./bounds.ts";
import { makeSecret } from "./credential.ts";
import type { PlatformDoor, SecretProof, SignatureProof } from "./platform-door.ts";
import type { KernelForEdge } from "./port.ts";
import type { Exchange, Guard, Route, RouteFinder } from "./route.ts";
import { isSigned, readSignature } from "./signed-call.ts";
import { findLockout, makeTokenGuard } from "./token-guard.ts";

export interface PlatformDeps {
  readonly kernel: Pick<KernelForEdge, "platformCalled">;
  readonly bounds: EdgeBounds;
  readonly attempts: Attempts;
  readonly now: () => number;
}

export function makePlatformRoutes(doors: readonly PlatformDoor[], deps: PlatformDeps): RouteFinder {
  const routes = new Map(
    doors.map(({ channel, accountId, proof }): [string, Route] => {
      const wanted = `the secret of channels.${channel}.accounts.${accountId}`;
      const { access, read } =
        proof.type === "secret" ? bySecret(proof, wanted, deps) : bySignature(proof, wanted, deps);
      return [
        `/channels/${channel}/${accountId}`,
        {
          methods: ["POST"],
          access,
          async handle(exchange) {
            const answer = await deps.kernel.platformCalled(channel, accountId, await read(exchange));
            if (answer !== undefined) sendJson(exchange.response, 200, answer);
            else sendBytes(exchange.response, 200, Buffer.alloc(0), { "cache-control": "no-store" });
          },
        },
      ];
    }),
  );
  return (path) => routes.get(path);
}

interface Reader {
  readonly access: Guard;
  /** @throws CLOISTER_EDGE_UNAUTHENTICATED when the body shows that it is not the platform's */
  readonly read: (exchange: Exchange) => Promise<unknown>;
}

function bySecret({ header, secret }: SecretProof, wanted: string, { attempts, bounds }: PlatformDeps): Reader {
  return {
    access: makeTokenGuard({ secret: makeSecret(secret, wanted), headers: [header], wanted, attempts }),
    read: (exchange) => readJson(exchange, bounds),
  };
}

function bySignature(proof: SignatureProof, wanted: string, { attempts, bounds, now }: PlatformDeps): Reader {
  return {
    access({ request, addressKey }) {
      const locked = findLockout(attempts, addressKey);
      if (locked !== undefined) return locked;
      const shown = readSignature(proof, request.headers, now());
      return "code" in shown ? shown : undefined;
    },
    async read(exchange) {
      const shown = readSignature(proof, exchange.request.headers, now());
      if ("code" in shown) throw fromRefusal(shown);
      const text = await readText(exchange, bounds);
      if (!isSigned(proof, shown, text)) {
        attempts.failed(exchange.addressKey);
        throw failure(
          "CLOISTER_EDGE_UNAUTHENTICATED",
          `the call is not signed with ${wanted}`,
          "Copy the secret again from the platform's page of the application.",
        );
      }
      return isForm(exchange) ? Object.fromEntries(new URLSearchParams(text)) : parseJson(text);
    },
  };
}

const isForm = ({ request }: Exchange): boolean =>
  /^application\/x-www-form-urlencoded\s*(?:;|$)/i.test(request.headers["content-type"] ?? "");
