/** `cloister gateway probe` and `cloister gateway call`: one question to the running gateway. */
import type { Scope } from "../../../auth/scopes.ts";
import { findMethod } from "../../edge/methods.ts";
import type { CliContext, ExitCode } from "../context.ts";
import { findGateway } from "../find-gateway.ts";
import { connectGateway } from "../gateway-client.ts";
import { withGateway } from "../open-client.ts";
import { isHealthy } from "../views/gateway-state.ts";
import { formatFacts, formatJson } from "../views/table.ts";
import { fieldsOf } from "../wire-failure.ts";

export interface ProbeOptions {
  readonly json?: boolean;
}

export interface CallOptions {
  readonly params?: object;
  /** Seconds. */
  readonly timeout?: number;
  readonly json?: boolean;
}

/** As a monitor asks: with the right to read alone, and without a trace. Exit code 1 when it does not answer or is not healthy. */
export async function runGatewayProbe(context: CliContext, { json }: ProbeOptions): Promise<ExitCode> {
  const { terminal, version, platform } = context;
  const target = await findGateway(context);
  const fromMs = performance.now();
  const client = await connectGateway(target, { version, platform, scopes: ["operator.read"], mode: "probe" });
  try {
    const connectMs = Math.round(performance.now() - fromMs);
    const askedMs = performance.now();
    const health = fieldsOf(await client.request("health", {}));
    const answerMs = Math.round(performance.now() - askedMs);
    const ok = isHealthy(health);
    const { url, hello } = client;
    if (json === true) terminal.out(formatJson({ ok, url, version: hello.version, connectMs, answerMs, health }));
    else {
      const facts = formatFacts([
        ["gateway", `${url}, version ${hello.version}`],
        ["reachable", `yes: connected in ${connectMs} ms, answered in ${answerMs} ms`],
        ["healthy", ok ? "yes" : "no"],
      ]);
      for (const line of facts) terminal.out(line);
    }
    return ok ? 0 : 1;
  } finally {
    await client.close();
  }
}

/** Prints what the method answers. It is asked with the scope of the method and no more; one that is not known needs all. */
export function runGatewayCall(
  context: CliContext,
  method: string,
  { params = {}, timeout }: CallOptions,
): Promise<ExitCode> {
  const scope: Scope = findMethod(method)?.scope ?? "operator.admin";
  return withGateway(context, [scope], async (client) => {
    const payload = await client.request(method, params, timeout === undefined ? {} : { timeoutMs: timeout * 1_000 });
    context.terminal.out(formatJson(payload));
    return 0;
  });
}
