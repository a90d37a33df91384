/**
 * Buttons below messages, and what Discord tells when somebody presses one: an interaction, by which its presser says the button's text. Pure.
 * Undefined: it is none of this channel's. Source: Discord's documentation of interactions and of message components.
 */
import {
  type APIActionRowComponent,
  type APIButtonComponent,
  type APIInteraction,
  type APIInteractionResponse,
  ButtonStyle,
  ComponentType,
  InteractionResponseType,
  InteractionType,
} from "discord-api-types/v10";
import type { Button } from "../port.ts";
import { type DiscordEvent, nameOf, routeFacts, type Self } from "./inbound.ts";
import type { Place } from "./places.ts";

type Row = APIActionRowComponent<APIButtonComponent>;

/** A row of Discord has up to five buttons, and each button of a message an id of its own of up to 100 characters. */
export function makeRows(buttons: readonly Button[]): readonly Row[] {
  const made = buttons.map(
    ({ label, text }, index): APIButtonComponent => ({
      type: ComponentType.Button,
      style: ButtonStyle.Secondary,
      label: label.slice(0, 80),
      custom_id: `say-${index}:${text}`,
    }),
  );
  return Array.from({ length: Math.ceil(made.length / 5) }, (_, row) => ({
    type: ComponentType.ActionRow,
    components: made.slice(row * 5, row * 5 + 5),
  }));
}

export interface InteractionSurroundings {
  readonly self: Self;
  readonly place: Place;
  readonly atMs: number;
}

export function parseInteraction(
  interaction: APIInteraction,
  { self, place, atMs }: InteractionSurroundings,
): DiscordEvent | undefined {
  const text = textOf(interaction);
  const { id, member } = interaction;
  const user = member?.user ?? interaction.user;
  if (text === undefined || user === undefined) return undefined;
  return {
    messageId: `press-${id}`,
    ...routeFacts(place, user.id, member?.roles),
    sender: { id: user.id, name: nameOf(user, member?.nick), isBot: user.bot === true },
    selfId: self.id,
    ...(place.isDirect ? {} : { wasMentioned: true, repliesToBot: true }),
    text,
    tsMs: atMs,
  };
}

function textOf(interaction: APIInteraction): string | undefined {
  if (interaction.type !== InteractionType.MessageComponent) return undefined;
  const [, text] = /^say-\d+:(.*\S.*)$/s.exec(interaction.data.custom_id) ?? [];
  return text;
}

/** Nothing changes at the message; the presser sees that it was taken. */
export const acknowledgement: APIInteractionResponse = { type: InteractionResponseType.DeferredMessageUpdate };
