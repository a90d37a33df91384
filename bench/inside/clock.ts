/** Actor of `wake`: answers with the moment of its first line, on the clock that all threads of the process share. */
import type { Context } from "../../actors/index.ts";

export default {
  message(ctx: Context<object>): void {
    ctx.reply(String(process.hrtime.bigint()));
  },
};
