/**
 * Chat commands: messages that the gateway answers itself, before an agent and past every queue. A command is a whole message
 * that begins with its name; with words behind it that it does not take, it is answered with how it is written, and nothing
 * happens. What is none, or comes from somebody whose commands do not count, is an ordinary message. Source: behaviour §5.1.
 */
import type { Scope } from "../../../auth/scopes.ts";
import type { Signal } from "../../kernel/envelope.ts";
import type { TurnChoices } from "../../kernel/session-choices.ts";
import type { Conversation } from "../thread-bindings.ts";

export interface CommandCall {
  readonly agentId: string;
  readonly sessionKey: string;
  /** As in the provenance of the chat's messages: the channel, or `webchat` for operators. */
  readonly channel: string;
  readonly isGroup: boolean;
  /** Where it was said; absent: in no channel. */
  readonly conversation?: Conversation;
  /** It comes from an operator, or from one of `commands.ownerAllowFrom`. */
  readonly isOwner: boolean;
  /** Of a channel; absent: an operator. */
  readonly senderId?: string;
  /** For the audit trail. */
  readonly by: string;
}

export interface CommandAnswer {
  readonly reply: string;
  /** What goes on to the agent as an ordinary message; with `signal` as a command to its module. */
  readonly message?: string;
  readonly signal?: Signal;
  /** For the turn that handles that message. */
  readonly choices?: TurnChoices;
}

export interface ChatCommand {
  /** With the slash, in lower case. */
  readonly name: string;
  /** How it is written, for `/help`. */
  readonly usage: string;
  readonly summary: string;
  /** Whether this can follow the name; else the answer is how the command is written. `rest` is trimmed. */
  readonly takes: (rest: string) => boolean;
  /** Who may give it, of those whose commands count; from others it is an ordinary message. Absent: all of them. */
  readonly mayGive?: (call: CommandCall) => boolean;
  /** What a client must hold to give it, beside what it needs to send; `rest` as above. Absent: nothing. */
  readonly needs?: (rest: string) => Scope | undefined;
  /** Must not throw for what a person may have typed: that is answered. */
  readonly run: (call: CommandCall, rest: string) => Promise<CommandAnswer>;
}

export const takesNothing = (rest: string): boolean => rest === "";
export const takesAnything = (): boolean => true;

/** `undefined`: the text is an ordinary message. */
export function findCommand(
  commands: readonly ChatCommand[],
  text: string,
): { readonly command: ChatCommand; readonly rest: string } | undefined {
  const [, name = "", rest = ""] = /^(\S+)([^]*)$/u.exec(text.trim()) ?? [];
  const lower = name.toLowerCase();
  const command = commands.find((candidate) => candidate.name === lower);
  return command && { command, rest: rest.trim() };
}

/** Runs the command, or says how it is written when it does not take what follows its name. */
export function runCommand(
  { takes, usage, run }: ChatCommand,
  call: CommandCall,
  rest: string,
): Promise<CommandAnswer> {
  return takes(rest) ? run(call, rest) : Promise.resolve({ reply: `Nothing was done. Usage: ${usage}` });
}
