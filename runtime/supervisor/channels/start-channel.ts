/** Starts the thread of one channel. */
import type { ChannelForKernel } from "../../channels/port.ts";
import { limits } from "../../kernel/limits.ts";
import { entryUrl } from "../../thread/entries.ts";
import { startTrustedThread } from "../../thread/trusted-thread.ts";
import type { StartChannel } from "./channel-life.ts";

export const startChannelThread: StartChannel = (init, handlers, onLost) =>
  startTrustedThread<ChannelForKernel>({
    entry: entryUrl("channel"),
    name: `channel ${init.channel}`,
    init,
    handlers,
    onLost,
    stuckMs: limits.helperStuckMs,
    heapMb: limits.channelHeapMb,
    graceMs: limits.channelThreadGraceMs,
  });
