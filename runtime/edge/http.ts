/**
 * The life of an HTTP request:
 *
 *     draining? 503 → Host 421 → path 404 → method 405 → page of elsewhere 403 → guard 401/429/400 → handler → answer
 *
 * Every exit is JSON `{ok:false, error:{code, message, remedy?}}`, or the route's own form, with the security headers. An error exit that leaves a
 * body unread closes the connection, so that the rest of it cannot be taken for a second request.
 */
import type { DoorRefusal } from "./port.ts";
import type { IncomingMessage, ServerResponse } from "node:http";
import { isCoded, type Refusal, toRefusal } from "../kernel/errors.ts";
import { sendRefusal } from "./answer.ts";
import { addressKey } from "./attempts.ts";
import type { Log } from "./log.ts";
import type { OriginRules } from "./origin.ts";
import { clientAddress, type Proxies } from "./trusted-proxy.ts";
import { type Exchange, noSuchPath, type RouteFinder } from "./route.ts";

export interface HttpDoor {
  readonly rules: OriginRules;
  readonly proxies: Proxies;
  readonly finders: readonly RouteFinder[];
  readonly log: Log;
  noteRefusal(refusal: DoorRefusal): void;
  /** Why no request is taken any more, or undefined. */
  closing(): string | undefined;
}

export async function answerRequest(request: IncomingMessage, response: ServerResponse, door: HttpDoor): Promise<void> {
  const target = request.url ?? "/";
  const split = target.indexOf("?");
  const exchange: Exchange = {
    request,
    response,
    path: split === -1 ? target : target.slice(0, split),
    query: new URLSearchParams(split === -1 ? "" : target.slice(split + 1)),
    addressKey: addressKey(clientAddress(request, door.proxies)),
  };
  const route = findRoute(door.finders, exchange.path);
  const refuse = (refusal: Refusal, headers: Record<string, string> = {}): void => {
    const closes = request.complete && request.readableLength === 0 ? {} : { connection: "close" };
    const challenge = refusal.code === "CLOISTER_EDGE_UNAUTHENTICATED" ? { "www-authenticate": "Bearer" } : {};
    sendRefusal(response, refusal, { ...closes, ...challenge, ...headers }, route?.refusalBody);
  };
  try {
    await dispatch(exchange, route, door, refuse);
  } catch (error) {
    if (!isCoded(error)) {
      door.log("error", "a request failed in the gateway", {
        method: request.method,
        path: exchange.path,
        error: String(error),
      });
    }
    refuse(isCoded(error) ? toRefusal(error) : internalFault);
  }
}

const internalFault: Refusal = {
  code: "CLOISTER_INTERNAL",
  message: "the gateway failed while it handled the request; its log has the reason",
};

async function dispatch(
  exchange: Exchange,
  route: ReturnType<RouteFinder>,
  door: HttpDoor,
  refuse: (refusal: Refusal, headers?: Record<string, string>) => void,
): Promise<void> {
  const { request, path } = exchange;
  const closing = door.closing();
  if (closing !== undefined) return refuse(drainingRefusal(closing));
  const arrival = arrivalOf(request);
  if (!door.rules.hostAllowed(arrival)) return refuse(hostRefusal(arrival.host));
  if (route === undefined) {
    return refuse(noSuchPath(path, "no route has this path", "Ask GET /healthz to see that the gateway is there."));
  }
  if (!route.methods.some((method) => method === request.method)) {
    const allow = route.methods.join(", ");
    const message = `${request.method} is not answered at ${path.slice(0, 200)}; wanted ${allow}`;
    return refuse({ code: "CLOISTER_EDGE_METHOD", message }, { allow });
  }
  // What takes a credential takes none from the page of another site, whatever the page has got hold of.
  if (route.access !== "open" && door.rules.judgeOrigin(arrival) === "foreign")
    return refuse(originRefusal(arrival.origin));
  const refusal = route.access === "open" ? undefined : route.access(exchange);
  if (refusal !== undefined) {
    if (isDenial(refusal))
      door.noteRefusal({
        type: "auth_failed",
        subject: `address:${exchange.addressKey}`,
        object: path.slice(0, 200),
        code: refusal.code,
        detail: refusal.message,
      });
    return refuse(refusal);
  }
  await route.handle(exchange);
}

const isDenial = ({ code }: Refusal): boolean =>
  code === "CLOISTER_EDGE_UNAUTHENTICATED" ||
  code === "CLOISTER_EDGE_FORBIDDEN" ||
  code === "CLOISTER_EDGE_RATE_LIMITED";

function findRoute(finders: readonly RouteFinder[], path: string): ReturnType<RouteFinder> {
  for (const find of finders) {
    const route = find(path);
    if (route !== undefined) return route;
  }
  return undefined;
}

export function drainingRefusal(reason: string): Refusal {
  return {
    code: "CLOISTER_GATEWAY_DRAINING",
    message: `the gateway is shutting down (${reason}) and takes nothing new`,
    retryAfterMs: 5_000,
  };
}

export function hostRefusal(host: string | undefined): Refusal {
  return {
    code: "CLOISTER_EDGE_HOST",
    message: `the Host header ${JSON.stringify((host ?? "(none)").slice(0, 200))} names no address of this gateway`,
    remedy:
      "Use localhost or the gateway's address, or add the origin of this name to gateway.controlUi.allowedOrigins.",
  };
}

export function originRefusal(origin: string | undefined): Refusal {
  return {
    code: "CLOISTER_EDGE_FORBIDDEN",
    message: `origin not allowed: a web page of ${(origin ?? "").slice(0, 200)} may not open this gateway`,
    remedy: "If the page is yours, add its origin to gateway.controlUi.allowedOrigins.",
  };
}

export function arrivalOf(request: IncomingMessage): Parameters<OriginRules["hostAllowed"]>[0] {
  const { host, origin } = request.headers;
  return { host, origin, localAddress: request.socket.localAddress };
}
