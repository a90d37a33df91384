/**
 * `GET /metrics`, and the same at the peer's address: the gateway's figures as Prometheus reads them. Who has the token of the figures gets
 * them and nothing else; what opens the gateway for a program gets them too. Source: needs A12.5, behaviour §9.2.
 */
import { failure, fromRefusal } from "../kernel/errors.ts";
import { sendBytes } from "./answer.ts";
import type { Attempts } from "./attempts.ts";
import { makeSecret } from "./credential.ts";
import type { Client, KernelForEdge } from "./port.ts";
import type { EdgeSettings } from "./settings.ts";
import type { ProgramDoor } from "./programs/door.ts";
import type { Route, RouteFinder } from "./route.ts";
import { makeTokenGuard } from "./token-guard.ts";

export interface MetricsDeps {
  readonly kernel: Pick<KernelForEdge, "rpc">;
  readonly programs: Pick<ProgramDoor, "opensGateway">;
  readonly attempts: Attempts;
}

/** Whoever reads it, with no more than the figures need. */
const reader: Client = { connId: "http", clientId: "metrics", mode: "backend", scopes: ["operator.read"] };

export function makeMetricsRoutes(
  { token }: EdgeSettings["metrics"],
  { kernel, programs, attempts }: MetricsDeps,
): RouteFinder {
  const own = token === undefined ? undefined : makeSecret(token, "gateway.metrics.scrapeToken");
  const route: Route = {
    methods: ["GET", "HEAD"],
    access: makeTokenGuard({
      secret: {
        // Both comparisons are made, so that the time does not tell which one failed.
        matches: (candidate, request) => {
          const isOwn = own?.matches(candidate) ?? false;
          return programs.opensGateway(candidate, request) || isOwn;
        },
      },
      headers: [],
      wanted: "gateway.metrics.scrapeToken, or on this machine the gateway's own",
      attempts,
    }),
    handle: async ({ response }) => {
      const result = await kernel.rpc(reader, "metrics.get", {});
      if (!result.ok) throw fromRefusal(result.refusal);
      const text = (result.payload as { readonly text?: unknown } | null)?.text;
      if (typeof text !== "string") throw failure("CLOISTER_INTERNAL", "the figures came without their text");
      sendBytes(response, 200, Buffer.from(text, "utf8"), {
        "content-type": "text/plain; version=0.0.4; charset=utf-8",
        "cache-control": "no-store",
      });
    },
  };
  const paths = new Set(["/metrics", "/api/diagnostics/prometheus"]);
  return (path) => (paths.has(path) ? route : undefined);
}
