/** Actor of `faults`: throws, or pours out what the message says, without ever giving the loop away. */
import type { Context, IncomingMessage } from "../../actors/index.ts";

export default {
  message(ctx: Context<object>, message: IncomingMessage): void {
    const [what, characters = "0"] = message.text.split(" ");
    if (what === "throw") throw new Error("thrown on purpose");
    const part = "x".repeat(65_536);
    for (let poured = 0; poured < Number(characters); poured += 3 * part.length) {
      ctx.log.info(part);
      ctx.stream(part);
      ctx.reply(part);
    }
  },
};
