/**
 * Actor of `revocation`: asks its sibling in memory, with so many questions in flight, until one is refused; then it asks as often again as it had in flight, and
 * answers with how many answers came before and how many of those last questions were answered.
 */
import type { Context, IncomingMessage } from "../../actors/index.ts";

export interface FloodOrder {
  readonly sibling: string;
  readonly text: string;
  readonly inFlight: number;
}

export interface FloodFigures {
  readonly answered: number;
  readonly answeredAfter: number;
}

export default {
  async message(ctx: Context<object>, message: IncomingMessage): Promise<void> {
    const { sibling, text, inFlight } = JSON.parse(message.text) as FloodOrder;
    const ask = async (client: number): Promise<boolean> => {
      try {
        await ctx.request(`agent:${sibling}:s${client}`, text, { durability: "accepted" });
        return true;
      } catch (error) {
        const { code } = error as { readonly code?: string };
        if (code === "CLOISTER_CAPABILITY_DENIED" || code === "CLOISTER_CAPABILITY_REVOKED") return false;
        throw error;
      }
    };
    const clients = Array.from({ length: inFlight }, (_, client) => client);
    let answered = 0;
    await Promise.all(
      clients.map(async (client) => {
        while (await ask(client)) answered++;
      }),
    );
    const late = await Promise.all(clients.map(ask));
    ctx.reply(JSON.stringify({ answered, answeredAfter: late.filter(Boolean).length } satisfies FloodFigures));
  },
};
