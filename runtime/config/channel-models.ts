/** `channels.modelByChannel`: which model answers in which conversations. Source: behaviour §1.8. */
import { normalizeSender } from "../groups/index.ts";
import type { ChannelModels } from "./resolved.ts";
import type { Config } from "./schema.ts";

export function resolveChannelModels({ channels }: Config): ChannelModels {
  return Object.fromEntries(
    Object.entries(channels.modelByChannel ?? {}).map(([name, models]) => {
      const channel = name.trim().toLowerCase();
      return [
        channel,
        Object.fromEntries(Object.entries(models).map(([id, model]) => [normalizeSender(channel, id), model.trim()])),
      ] as const;
    }),
  );
}
