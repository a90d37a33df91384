import type { ActorDefinition } from "../runtime/thread/actor-port.ts";

/**
 * Defines an actor. The default export of an actor module is what this returns.
 *
 * ```ts
 * import { defineActor } from "cloister";
 * export default defineActor({
 *   state: () => ({ count: 0 }),
 *   message(ctx, message) {
 *     ctx.state.count += 1;
 *     ctx.reply(`${ctx.state.count}: ${message.text}`);
 *   },
 * });
 * ```
 *
 * @throws {TypeError} with `CLOISTER_MODULE_INVALID` in the message when the definition has no `message` function.
 */
export function defineActor<S extends object = Record<string, never>>(
  definition: ActorDefinition<S>,
): ActorDefinition<S> {
  if (typeof definition?.message !== "function") {
    throw new TypeError(
      "CLOISTER_MODULE_INVALID: defineActor expects an object with a function `message(ctx, message)`",
    );
  }
  return definition;
}
