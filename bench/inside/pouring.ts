/**
 * An answer that comes piece by piece. The actor of `stream` and the bare worker beside it both use this file, so that they pour alike: `burst`
 * pieces at once, and the next ones when the loop has turned.
 */
import type { Context, IncomingMessage } from "../../actors/index.ts";

export interface PourOrder {
  readonly pieces: number;
  readonly chars: number;
  readonly burst: number;
}

export async function pour({ pieces, chars, burst }: PourOrder, tell: (piece: string) => void): Promise<void> {
  const piece = "x".repeat(chars);
  for (let told = 0; told < pieces; told += burst) {
    for (let n = 0; n < Math.min(burst, pieces - told); n++) tell(piece);
    await new Promise<void>((resolve) => {
      setImmediate(resolve);
    });
  }
}

export default {
  async message(ctx: Context<object>, message: IncomingMessage): Promise<void> {
    await pour(JSON.parse(message.text) as PourOrder, (piece) => ctx.stream(piece));
    ctx.reply("that was all");
  },
};
