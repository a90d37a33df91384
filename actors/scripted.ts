import { defineActor } from "./define-actor.ts";
export default defineActor({ message(ctx, m) { ctx.reply("scripted " + m.text); } });
