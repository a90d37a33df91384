/**
 * `POST /channels/<channel>/<account>`: a platform calls, for accounts that are called instead of asking. The platform shows a secret of that
 * account in a header of its own; what it says is for the channel's thread, which alone can read it. 200 means stored: on anything else
 * platforms call again.
 */
import { sendJson } from "./answer.ts";
import type { Attempts } from "./attempts.ts";
import { readJson } from "./body.ts";
import type { EdgeBounds } from "./bounds.ts";
import { makeSecret } from "./credential.ts";
import type { EdgeSettings, KernelForEdge } from "./port.ts";
import type { Route, RouteFinder } from "./route.ts";
import { makeTokenGuard } from "./token-guard.ts";

export interface PlatformDeps {
  readonly kernel: Pick<KernelForEdge, "platformCalled">;
  readonly bounds: EdgeBounds;
  readonly attempts: Attempts;
}

export function makePlatformRoutes(
  doors: EdgeSettings["platforms"],
  { kernel, bounds, attempts }: PlatformDeps,
): RouteFinder {
  const routes = new Map(
    doors.map(({ channel, accountId, header, secret }): [string, Route] => {
      const wanted = `the secret of channels.${channel}.accounts.${accountId}`;
      return [
        `/channels/${channel}/${accountId}`,
        {
          methods: ["POST"],
          access: makeTokenGuard({ secret: makeSecret(secret, wanted), headers: [header], wanted, attempts }),
          async handle(exchange) {
            await kernel.platformCalled(channel, accountId, await readJson(exchange, bounds));
            sendJson(exchange.response, 200, { ok: true });
          },
        },
      ];
    }),
  );
  return (path) => routes.get(path);
}
