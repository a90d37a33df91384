/**
 * Actor of `spawn`. As the requester it starts so many sub-agents and keeps when each was asked for, accepted and heard of; as a
 * sub-agent it answers with the moment of its first line. All on the clock that the threads of the process share.
 */
import type { Context, IncomingMessage } from "../../actors/index.ts";

/** Nanoseconds, as decimal texts. */
export interface SpawnTimes {
  readonly askedNs: string;
  readonly acceptedNs: string;
  readonly firstLineNs?: string;
  readonly heardNs?: string;
}

interface State {
  runs: Record<string, SpawnTimes>;
}

const clock = (): string => String(process.hrtime.bigint());

export default {
  state: (): State => ({ runs: {} }),
  async message(ctx: Context<State>, message: IncomingMessage): Promise<void> {
    const now = clock();
    const { signal } = message;
    if (signal?.type === "spawned") {
      ctx.reply(now);
      return;
    }
    if (signal?.type === "completion") {
      const run = ctx.state.runs[signal.runId];
      const [, firstLineNs] = /^(\d{6,})$/mu.exec(message.text) ?? [];
      if (run === undefined || firstLineNs === undefined) throw new Error(`Hearing of a run: found ${message.text}`);
      ctx.state.runs[signal.runId] = { ...run, firstLineNs, heardNs: now };
      return;
    }
    if (message.text === "report") {
      ctx.reply(JSON.stringify(Object.values(ctx.state.runs)));
      return;
    }
    ctx.state.runs = {};
    for (let left = Number(message.text); left > 0; left--) {
      const askedNs = clock();
      const accepted = await ctx.tools.sessions_spawn({ task: "tell the time" });
      if (accepted["status"] !== "accepted") throw new Error(`Starting a sub-agent: found ${JSON.stringify(accepted)}`);
      ctx.state.runs[String(accepted["runId"])] = { askedNs, acceptedNs: clock() };
    }
    ctx.reply("asked");
  },
};
