/** Entry of the tools' thread. It starts with the first call of a tool of its own; most gateways without models never start it. */
import { describeGateway } from "../launcher/orphans.ts";
import { serveTrustedThread } from "../thread/trusted-thread.ts";
import { makeParts, makeToolHost } from "./host.ts";
import type { KernelForTools, ToolsInit } from "./port.ts";

serveTrustedThread<ToolsInit, KernelForTools>(async (init, remote) =>
  makeToolHost(
    makeParts(init, await describeGateway(process.pid), {
      onEnd: (end) => void remote.ended(end).catch(() => undefined),
      onSetup: (end) => void remote.setUp(end).catch(() => undefined),
    }),
  ),
);
