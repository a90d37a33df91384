/** Actor of `settle`: dies as it is told. */
import type { Context, IncomingMessage } from "../../actors/index.ts";
import { answer } from "./mortal.ts";

export default {
  async message(ctx: Context<object>, message: IncomingMessage): Promise<void> {
    ctx.reply(await answer(message.text));
  },
};
