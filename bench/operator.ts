/** An operator's connection to a program that runs, for what only the operator is told. */
import { type GatewayClient, connectGateway } from "../runtime/cli/gateway-client.ts";

export function connectOperator(port: number): Promise<GatewayClient> {
  return connectGateway(
    { url: `ws://127.0.0.1:${port}/`, remedy: "look at the output of the program" },
    { version: "bench", platform: process.platform, scopes: ["operator.read", "operator.write", "operator.admin"] },
  );
}
