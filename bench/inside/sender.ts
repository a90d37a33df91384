/**
 * Actor of `store`: sends to its sibling without waiting for answers, as often as it can for a while, and answers with how
 * long it took until each was on disk. Each client has a session of its own on the other side.
 */
import type { Context, IncomingMessage } from "../../actors/index.ts";
import { type CallOrder, measureCalls } from "./measure-calls.ts";

export interface SendOrder extends CallOrder {
  readonly sibling: string;
  readonly text: string;
}

export default {
  async message(ctx: Context<object>, message: IncomingMessage): Promise<void> {
    const order = JSON.parse(message.text) as SendOrder;
    const sessionOf = (client: number): string => `agent:${order.sibling}:s${client}`;
    const handleAll = (): Promise<unknown> =>
      Promise.all(
        Array.from({ length: order.inFlight }, (_, client) => ctx.request(sessionOf(client), "all handled?")),
      );
    // The tool sends to sessions that there are.
    await handleAll();
    const figures = await measureCalls(order, async (client) => {
      const sent = await ctx.tools.sessions_send({
        sessionKey: sessionOf(client),
        message: order.text,
        timeoutSeconds: 0,
      });
      if (sent.status !== "accepted")
        throw new Error(`Sending to a sibling: found ${JSON.stringify(sent)}, wanted accepted.`);
    });
    // The next measurement begins without a backlog: an answer comes after everything before it in its session.
    await handleAll();
    ctx.reply(JSON.stringify(figures));
  },
};
