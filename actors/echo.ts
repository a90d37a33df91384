/** Answers with what it was told. For first steps, load and tests. */
import { defineActor } from "./define-actor.ts";

export default defineActor({
  message(ctx, message) {
    ctx.reply(message.text);
  },
});
