/** Entry of the thread of MCP servers. It starts when an agent that has one is asked for its tools, or calls one. */
import { serveTrustedThread } from "../thread/trusted-thread.ts";
import { connect } from "./connection.ts";
import { makeMcpHost } from "./host.ts";
import type { KernelForMcp, McpInit } from "./port.ts";

serveTrustedThread<McpInit, KernelForMcp>(async (init, remote) =>
  makeMcpHost({
    ...init,
    connect,
    remote,
    clock: {
      nowMs: () => Date.now(),
      random: () => Math.random(),
      after: (ms, act) => {
        const timer = setTimeout(act, ms);
        timer.unref();
        return () => clearTimeout(timer);
      },
    },
  }),
);
