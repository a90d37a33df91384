/** Probes: live (the edge answers), ready (the kernel's side says so), started. Source: behaviour §9.2. */
import type { OutgoingHttpHeaders } from "node:http";
import { sendJson } from "./answer.ts";
import type { KernelForEdge } from "./port.ts";
import type { Exchange, Route, RouteFinder } from "./route.ts";

export interface HealthFacts {
  readonly kernel: Pick<KernelForEdge, "ready">;
  readonly version: string;
  uptimeMs(): number;
}

export function makeHealthRoutes(facts: HealthFacts): RouteFinder {
  const live = probe(async () => ({ status: 200, body: { ok: true, status: "live" } }));
  const startup = probe(async () => ({
    status: 200,
    body: { ok: true, status: "started", version: facts.version, uptimeMs: facts.uptimeMs() },
  }));
  const ready = probe(async () => {
    const failing = await askFailing(facts.kernel);
    const ok = failing.length === 0;
    return { status: ok ? 200 : 503, body: { ok, ready: ok, failing, uptimeMs: facts.uptimeMs() } };
  });
  const routes = new Map<string, Route>([
    ["/health", live],
    ["/healthz", live],
    ["/startup", startup],
    ["/startupz", startup],
    ["/ready", ready],
    ["/readyz", ready],
  ]);
  return (path) => routes.get(path);
}

/** A kernel's side that cannot be asked is itself what fails. */
async function askFailing(kernel: Pick<KernelForEdge, "ready">): Promise<readonly string[]> {
  try {
    return (await kernel.ready()).failing;
  } catch {
    return ["kernel"];
  }
}

function probe(answer: () => Promise<{ status: number; body: unknown }>): Route {
  return {
    methods: ["GET", "HEAD"],
    access: "open",
    handle: async ({ response }: Exchange) => {
      const { status, body } = await answer();
      const headers: OutgoingHttpHeaders = status === 503 ? { "retry-after": "1" } : {};
      sendJson(response, status, body, headers);
    },
  };
}
