/** Entry of the edge's thread: every socket of the gateway is opened here and nowhere else. */
import { makeSecretReader } from "../broker/secret-refs.ts";
import { watchMain } from "../thread/main-watch.ts";
import { trimHeap } from "../thread/trim-heap.ts";
import { serveTrustedThread } from "../thread/trusted-thread.ts";
import { makeEdge } from "./edge.ts";
import type { Log } from "./log.ts";
import type { EdgeThreadInit, EdgeThreadRemote } from "./port.ts";

serveTrustedThread<EdgeThreadInit, EdgeThreadRemote>(async ({ logLevel, stateDir, mainBeat }, remote, tell) => {
  if (mainBeat !== undefined) watchMain(mainBeat);
  const verbose = logLevel === "debug" || logLevel === "trace";
  const log: Log = (level, message, fields = {}) => {
    if (level === "debug" && !verbose) return;
    tell.log(level, message, fields);
  };
  // Variables are texts by now: the main thread has them.
  const secrets = makeSecretReader(() => ({ stateDir, variables: {} }), Date.now);
  const edge = makeEdge(remote, log, {}, secrets);
  // What the modules left behind.
  await trimHeap();
  return edge;
});
