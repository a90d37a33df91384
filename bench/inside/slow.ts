/** Actor of `overload`: takes as many milliseconds for each message as its options say, without using the CPU. */
import type { Context, IncomingMessage } from "../../actors/index.ts";

export default {
  async message(ctx: Context<object>, message: IncomingMessage): Promise<void> {
    await new Promise((resolve) => setTimeout(resolve, Number(ctx.agent.options["ms"])));
    ctx.reply(message.text);
  },
};
