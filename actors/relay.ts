/**
 * Passes each message on and answers with the answer. Options: `to` (an agent id or a session key, required), `timeoutMs`
 * (default 30,000), `durability` (`stored` or `accepted`).
 */
import { defineActor } from "./define-actor.ts";

export default defineActor({
  async message(ctx, message) {
    const { to, timeoutMs, durability } = ctx.agent.options;
    if (typeof to !== "string") {
      throw new TypeError(
        `relay needs options.to, the agent id or session key to pass messages to; agents.list[id=${ctx.agent.id}].options has ${JSON.stringify(to)}`,
      );
    }
    const answer = await ctx.request(to, message.text, {
      ...(typeof timeoutMs === "number" ? { timeoutMs } : {}),
      ...(durability === "accepted" ? { durability } : {}),
    });
    if (answer.status === "ok") ctx.reply(answer.text);
  },
});
