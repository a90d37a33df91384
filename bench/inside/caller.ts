/**
 * Actor of `round-trip`: asks its sibling as often as it can for a while, and answers with what it measured.
 * A session handles one durable message at a time, so each client has a session of its own on the other side.
 */
import type { Context, IncomingMessage } from "../../actors/index.ts";
import { type CallOrder, measureCalls } from "./measure-calls.ts";

export interface SiblingOrder extends CallOrder {
  readonly sibling: string;
  readonly durability: "stored" | "accepted";
  readonly text: string;
}

export default {
  async message(ctx: Context<object>, message: IncomingMessage): Promise<void> {
    const order = JSON.parse(message.text) as SiblingOrder;
    const { sibling, durability, text } = order;
    const figures = await measureCalls(order, (client) =>
      ctx.request(`agent:${sibling}:s${client}`, text, { durability }),
    );
    ctx.reply(JSON.stringify(figures));
  },
};
