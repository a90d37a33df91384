/** Actor of `settle`: asks its sibling, which is about to die, and answers with when each call settled. */
import type { Context, IncomingMessage } from "../../actors/index.ts";
import { measureSettling, type SettlingOrder } from "./settling.ts";

export default {
  async message(ctx: Context<object>, message: IncomingMessage): Promise<void> {
    const order = JSON.parse(message.text) as SettlingOrder;
    // Longer than the window: what is measured is the death, not a deadline.
    const timeoutMs = 2 * order.windowMs;
    const settled = await measureSettling(order, (text, call) =>
      ctx.request(`agent:target:s${call}`, text, { timeoutMs }),
    );
    ctx.reply(JSON.stringify(settled));
  },
};
