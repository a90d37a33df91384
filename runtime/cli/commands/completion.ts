/**
 * Scripts that complete commands, options and their choices, made from the commands themselves. Each finds out how far the words
 * before the cursor lead, and offers what stands there; where nothing does, the shell completes files as it would without.
 */
import type { Command, Option } from "commander";
import type { ShellName } from "../completion-command.ts";
import { visibleBelow } from "../help.ts";

interface Place {
  /** Words that lead here, each with a blank before it. */
  readonly path: string;
  readonly commands: readonly { readonly word: string; readonly what: string }[];
  readonly options: readonly { readonly flag: string; readonly what: string; readonly choices: readonly string[] }[];
}

export function formatCompletion(program: Command, shell: ShellName): readonly string[] {
  const places = placesOf(program);
  if (shell === "bash") return formatBash(places);
  return shell === "zsh" ? formatZsh(places) : formatFish(places);
}

/** The program itself first. Its own options hold everywhere. */
function placesOf(program: Command): readonly Place[] {
  const shared = optionsOf(program);
  const visit = (command: Command, path: string): readonly Place[] => {
    const below = visibleBelow(command);
    const commands = below.map((each) => ({ word: each.name(), what: each.description() }));
    const options = command === program ? shared : [...optionsOf(command), ...shared];
    const choices = command.registeredArguments.flatMap(({ argChoices = [] }) => argChoices);
    const words = [...commands, ...choices.map((word) => ({ word, what: "" }))];
    return [{ path, commands: words, options }, ...below.flatMap((each) => visit(each, `${path} ${each.name()}`))];
  };
  return visit(program, "");
}

const optionsOf = (command: Command): Place["options"] =>
  command
    .createHelp()
    .visibleOptions(command)
    .map((option: Option) => ({
      flag: option.long ?? option.short ?? "",
      what: option.description,
      choices: option.argChoices ?? [],
    }));

const wordsAt = ({ commands, options }: Place): readonly string[] => [
  ...commands.map(({ word }) => word),
  ...options.map(({ flag }) => flag),
];

/** A pattern of `case` that is any of these texts. */
const anyOf = (texts: readonly string[]): string => texts.map((text) => `"${text}"`).join("|");

const pathsOf = (places: readonly Place[]): readonly string[] =>
  places.map(({ path }) => path).filter((path) => path !== "");

const chosen = (places: readonly Place[]): readonly { readonly at: string; readonly choices: readonly string[] }[] =>
  places.flatMap(({ path, options }) =>
    options
      .filter(({ choices }) => choices.length > 0)
      .map(({ flag, choices }) => ({ at: `${path} ${flag}`, choices })),
  );

const replyBash = (words: readonly string[]): string => `COMPREPLY=($(compgen -W "${words.join(" ")}" -- "$current"))`;

function formatBash(places: readonly Place[]): readonly string[] {
  return [
    "_cloister() {",
    '  local at="" word current="${COMP_WORDS[COMP_CWORD]}" i',
    "  for ((i = 1; i < COMP_CWORD; i++)); do",
    '    word="${COMP_WORDS[i]}"',
    '    case "$at $word" in',
    `      ${anyOf(pathsOf(places))}) at="$at $word" ;;`,
    "    esac",
    "  done",
    '  case "$at ${COMP_WORDS[COMP_CWORD-1]}" in',
    ...chosen(places).map(({ at, choices }) => `    "${at}") ${replyBash(choices)}; return ;;`),
    "  esac",
    '  case "$at" in',
    ...places.map((place) => `    "${place.path}") ${replyBash(wordsAt(place))} ;;`),
    "  esac",
    "}",
    "complete -o default -F _cloister cloister",
  ];
}

const replyZsh = (words: readonly string[]): string => `compadd -- ${words.join(" ")}`;

function formatZsh(places: readonly Place[]): readonly string[] {
  return [
    "#compdef cloister",
    "_cloister() {",
    '  local at="" word i',
    "  for ((i = 2; i < CURRENT; i++)); do",
    '    word="${words[i]}"',
    '    case "$at $word" in',
    `      ${anyOf(pathsOf(places))}) at="$at $word" ;;`,
    "    esac",
    "  done",
    '  case "$at ${words[CURRENT-1]}" in',
    ...chosen(places).map(({ at, choices }) => `    "${at}") ${replyZsh(choices)}; return ;;`),
    "  esac",
    '  case "$at" in',
    ...places.map((place) => `    "${place.path}") ${replyZsh(wordsAt(place))} ;;`),
    "  esac",
    "  _files",
    "}",
    "compdef _cloister cloister",
  ];
}

const quote = (text: string): string => `'${text.replaceAll("\\", "\\\\").replaceAll("'", String.raw`\'`)}'`;

function formatFish(places: readonly Place[]): readonly string[] {
  return [
    `set -g __cloister_paths ${pathsOf(places).map(quote).join(" ")}`,
    "function __cloister_at",
    "    set -l at ''",
    "    for word in (commandline -opc)[2..-1]",
    '        if contains -- "$at $word" $__cloister_paths',
    '            set at "$at $word"',
    "        end",
    "    end",
    '    test "$at" = "$argv[1]"',
    "end",
    ...places.flatMap(({ path, commands, options }) => {
      const here = `complete -c cloister -n ${quote(`__cloister_at ${quote(path)}`)}`;
      return [
        ...commands.map(({ word, what }) => `${here} -a ${quote(word)} -d ${quote(what)}`),
        ...options
          .filter(({ flag }) => flag.startsWith("--"))
          .map(({ flag, what, choices }) => {
            const values = choices.length === 0 ? "" : ` -x -a ${quote(choices.join(" "))}`;
            return `${here} -l ${flag.slice(2)} -d ${quote(what)}${values}`;
          }),
      ];
    }),
  ];
}
