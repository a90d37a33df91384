/**
 * Buttons below messages, the menu of commands, and what Discord tells when somebody presses the one or gives the other: an interaction, by which
 * that person says the button's text, or the command. Pure. Source: Discord's documentation of interactions, of message components and of
 * application commands.
 */
import {
  type APIActionRowComponent,
  type APIButtonComponent,
  type APIInteraction,
  type APIInteractionResponse,
  ButtonStyle,
  ApplicationCommandOptionType,
  ApplicationCommandType,
  ApplicationIntegrationType,
  ComponentType,
  InteractionContextType,
  InteractionResponseType,
  InteractionType,
  MessageFlags,
  type RESTPutAPIApplicationCommandsJSONBody,
} from "discord-api-types/v10";
import type { Button, MenuCommand } from "../port.ts";
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

/** Each takes what follows it as one text. Discord has up to 100 of them, with names of up to 32 characters. */
export const makeMenu = (menu: readonly MenuCommand[]): RESTPutAPIApplicationCommandsJSONBody =>
  menu
    .filter(({ name }) => /^\/[\w-]{1,32}$/.test(name))
    .slice(0, 100)
    .map(({ name, summary }) => ({
      type: ApplicationCommandType.ChatInput,
      name: name.slice(1),
      description: summary.slice(0, 100),
      options: [
        {
          type: ApplicationCommandOptionType.String,
          name: optionName,
          description: "what follows the command",
          required: false,
        },
      ],
      // Where the account is a member, and in its direct chats.
      contexts: [InteractionContextType.Guild, InteractionContextType.BotDM],
      integration_types: [ApplicationIntegrationType.GuildInstall],
    }));

const optionName = "text";

export interface InteractionSurroundings {
  readonly self: Self;
  readonly place: Place;
  readonly atMs: number;
}

/** Undefined: it is none of this channel's. */
export function parseInteraction(
  interaction: APIInteraction,
  { self, place, atMs }: InteractionSurroundings,
): DiscordEvent | undefined {
  const text = textOf(interaction);
  const { id, member } = interaction;
  const user = member?.user ?? interaction.user;
  if (text === undefined || user === undefined) return undefined;
  return {
    messageId: `${interaction.type === InteractionType.ApplicationCommand ? "command" : "press"}-${id}`,
    ...routeFacts(place, user.id, member?.roles),
    sender: { id: user.id, name: nameOf(user, member?.nick), isBot: user.bot === true },
    selfId: self.id,
    ...(place.isDirect ? {} : { wasMentioned: true, repliesToBot: true }),
    text,
    tsMs: atMs,
  };
}

function textOf(interaction: APIInteraction): string | undefined {
  if (interaction.type === InteractionType.ApplicationCommand) {
    const { data } = interaction;
    if (data.type !== ApplicationCommandType.ChatInput) return undefined;
    const rest = data.options?.find(({ name }) => name === optionName);
    return `/${data.name} ${rest?.type === ApplicationCommandOptionType.String ? rest.value : ""}`.trim();
  }
  if (interaction.type !== InteractionType.MessageComponent) return undefined;
  const [, text] = /^say-\d+:(.*\S.*)$/s.exec(interaction.data.custom_id) ?? [];
  return text;
}

/**
 * That it was taken. Nothing changes at the message of a button; whoever gave a command sees, alone, that it was heard. What is answered comes
 * as every answer does.
 */
export const acknowledge = ({ type }: APIInteraction, heard: string): APIInteractionResponse =>
  type === InteractionType.ApplicationCommand
    ? {
        type: InteractionResponseType.ChannelMessageWithSource,
        data: {
          content: `Heard: ${heard.slice(0, 1_900)}`,
          flags: MessageFlags.Ephemeral,
          allowed_mentions: { parse: [] },
        },
      }
    : { type: InteractionResponseType.DeferredMessageUpdate };
