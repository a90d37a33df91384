/**
 * `cloister channels login` of an account whose credential is a text: asks for it, or reads it from a pipe, keeps it in `.env` of the state directory, and
 * has the configuration refer to it there. No credential stands in the configuration, in an argument, or on the screen.
 */
import { mkdir } from "node:fs/promises";
import path from "node:path";
import type { BuiltChannel } from "../../../channels/built.ts";
import { changePrivate, readPrivate } from "../../broker/private-file.ts";
import {
  type AccountPlace,
  applyEdits,
  findPaths,
  nameVariable,
  placeAccount,
  readVariables,
  setKeys,
  setVariable,
} from "../../config/index.ts";
import { failure, isCoded } from "../../kernel/errors.ts";
import { limits } from "../../kernel/limits.ts";
import { askLine, readPipe } from "../ask-line.ts";
import { type ChangedConfig, changeConfig, readShown } from "../change-config.ts";
import { type CliContext, commandPrefix } from "../context.ts";
import { surroundings } from "../read-config.ts";

/** One thing that an account is asked for. */
interface Question {
  /** Of the account. */
  readonly key: readonly string[];
  /** For the person who is asked. */
  readonly what: string;
  /** The whole of it; what is not a secret stands in the configuration. */
  readonly form: RegExp;
  readonly wanted: string;
  readonly isSecret: boolean;
  /** Of the environment, which the default account may have it from. */
  readonly variable?: string;
  /** Nothing may be answered. */
  readonly mayLack?: true;
}

type Asked = Exclude<BuiltChannel, "whatsapp">;

const questionsOf: Readonly<Record<Asked, (keys: AccountPlace["keys"]) => readonly Question[]>> = {
  telegram: () => [
    {
      key: ["botToken"],
      what: "Token of the bot, from @BotFather",
      form: /^\d{1,20}:[\w-]{1,100}$/,
      wanted: "the number of the bot, a colon and letters, as @BotFather gave it",
      isSecret: true,
      variable: "TELEGRAM_BOT_TOKEN",
    },
  ],
  discord: () => [
    {
      key: ["token"],
      what: "Token of the bot (discord.com/developers/applications: the application, Bot, Reset Token)",
      // As examples of HTTP headers have it; the channel leaves the word out.
      form: /^(?:Bot\s+)?[\w.-]{10,200}$/i,
      wanted: "letters, digits, points and lines, as Discord showed it",
      isSecret: true,
      variable: "DISCORD_BOT_TOKEN",
    },
  ],
  slack: ({ mode }) => [
    {
      key: ["botToken"],
      what: "Token of the bot (api.slack.com/apps: the application, OAuth & Permissions)",
      form: /^xoxb-[\w-]+$/,
      wanted: "a token that begins with xoxb-",
      isSecret: true,
      variable: "SLACK_BOT_TOKEN",
    },
    mode === "http"
      ? {
          key: ["signingSecret"],
          what: "Signing secret (Basic Information of the application)",
          form: /^\w{8,200}$/,
          wanted: "letters and digits",
          isSecret: true,
          variable: "SLACK_SIGNING_SECRET",
        }
      : {
          key: ["appToken"],
          what: "App-level token with the scope connections:write (Basic Information of the application)",
          form: /^xapp-[\w-]+$/,
          wanted: "a token that begins with xapp-",
          isSecret: true,
          variable: "SLACK_APP_TOKEN",
        },
  ],
  irc: () => [
    { key: ["host"], what: "Server of the network", form: /^\S+$/, wanted: "a name of a host", isSecret: false },
    { key: ["nick"], what: "Nick of the account", form: /^[^\s\p{Cc}]{1,50}$/u, wanted: "one word", isSecret: false },
    {
      key: ["nickserv", "password"],
      what: "Password for NickServ; nothing where the nick is not registered",
      form: /^[^\p{Cc}]{1,200}$/u,
      wanted: "one line",
      isSecret: true,
      mayLack: true,
    },
  ],
};

export interface CredentialOptions {
  readonly channel: Asked;
  readonly account?: string | undefined;
  /** Secrets come on standard input, a line each, in the order in which a person is asked. */
  readonly tokenStdin?: boolean | undefined;
  /** Also where there is a credential. */
  readonly ask?: boolean | undefined;
}

interface Answer {
  readonly question: Question;
  readonly text: string;
}

/** A question whose answer stands in a variable. */
interface Found {
  readonly question: Question;
  readonly name: string;
  readonly isOfEnvironment: boolean;
  /** For the person. */
  readonly where: string;
}

/** Undefined: there is one, or nobody to ask; nothing was changed. */
export async function takeCredential(
  context: CliContext,
  options: CredentialOptions,
): Promise<ChangedConfig | undefined> {
  const { channel, account, tokenStdin = false, ask = false } = options;
  const isAtTerminal = context.terminal.input.isTTY === true;
  const shown = await readShown(context);
  const place = placeAccount(shown, channel, account);
  const questions = questionsOf[channel](place.keys);
  const asksAll = tokenStdin || ask;
  const unset = questions.filter((question) => (question.isSecret && asksAll) || !isThere(place, question));
  const found = asksAll ? [] : await findVariables(context, shown, place, unset);
  const lacking = unset.filter((question) => !found.some((one) => one.question === question));
  if (!asksAll && lacking.every(({ mayLack }) => mayLack === true))
    return found.length === 0 ? undefined : takeFound(context, place, found);
  if (!asksAll && !isAtTerminal) return undefined;
  const url = context.options.url;
  if (url !== undefined)
    throw failure(
      "CLOISTER_REQUEST_INVALID",
      `The credential is kept on the machine of the gateway, and --url names another one: ${url}.`,
      "Run the command there, without --url.",
    );
  if (ask && !isAtTerminal && !tokenStdin)
    throw failure("CLOISTER_REQUEST_INVALID", "--ask needs a terminal.", "Use --token-stdin in a script.");
  const answers = tokenStdin ? await readAnswers(context, place, lacking) : await askAnswers(context, lacking);
  return keepAnswers(context, shown, place, answers, found);
}

/** The keys as the gateway shows them: of a secret a mark alone. */
function isThere({ keys, isDefault, own }: AccountPlace, { key, isSecret }: Question): boolean {
  const [first = "", second] = key;
  // Accounts beside the default one inherit no secret of their channel.
  const found = (isSecret && !isDefault ? own : keys)[first];
  const value = second === undefined ? found : Object(found)[second];
  return value !== undefined && value !== "";
}

/** In the environment, or in `.env` of the state directory: the platform's own variable, or the one that an earlier login has kept. */
async function findVariables(
  context: CliContext,
  shown: unknown,
  place: AccountPlace,
  questions: readonly Question[],
): Promise<readonly Found[]> {
  // Those of another machine are not seen here.
  if (context.options.url !== undefined) return [];
  const { stateDir } = await findPaths(surroundings(context));
  const variables = await readVariables(context.env, stateDir, shown);
  return questions
    .filter(({ isSecret }) => isSecret)
    .flatMap((question): Found[] => {
      const own = nameVariable(shown, place, question.key);
      const names = [...(place.isDefault && question.variable !== undefined ? [question.variable] : []), own];
      const name = names.find((one) => question.form.test(variables[one]?.trim() ?? ""));
      if (name === undefined) return [];
      const isOfEnvironment = Boolean(context.env[name]);
      const where = isOfEnvironment ? "the environment, which the gateway needs as well" : path.join(stateDir, ".env");
      return [{ question, name, isOfEnvironment, where }];
    });
}

/** Nothing is asked: it is said where the credential comes from, and the account is switched on. */
async function takeFound(context: CliContext, place: AccountPlace, found: readonly Found[]): Promise<ChangedConfig> {
  tellFound(context, place, found);
  return writeKeys(context, place, keysOf(found), {
    mayBeNew: found.some(({ isOfEnvironment }) => !isOfEnvironment),
  });
}

const tellFound = ({ terminal }: CliContext, { path: at }: AccountPlace, found: readonly Found[]): void => {
  for (const { question, name, where } of found)
    terminal.err(`${[...at, ...question.key].join(".")}: taken from ${name} in ${where}`);
};

type Keys = Parameters<typeof setKeys>[2];

/** The platform's own variable is read without a key. */
const keysOf = (found: readonly Found[]): Keys =>
  found
    .filter(({ question, name }) => name !== question.variable)
    .map(({ question: { key }, name }) => ({ key, value: `\${${name}}` }));

async function askAnswers({ terminal }: CliContext, questions: readonly Question[]): Promise<readonly Answer[]> {
  const answers: Answer[] = [];
  for (const question of questions) {
    const { what, isSecret } = question;
    const text = await askLine(terminal, `${what}${isSecret ? "; it is not shown" : ""}:`, isSecret);
    answers.push(...judge(question, text));
  }
  return answers;
}

async function readAnswers(
  context: CliContext,
  { path: at }: AccountPlace,
  questions: readonly Question[],
): Promise<readonly Answer[]> {
  const open = questions.find(({ isSecret }) => !isSecret);
  if (open !== undefined)
    throw failure(
      "CLOISTER_REQUEST_INVALID",
      `${[...at, ...open.key].join(".")} is not set; standard input brings secrets alone.`,
      `${commandPrefix(context)} config set ${[...at, ...open.key].join(".")} …`,
    );
  const lines = (await readPipe(context.terminal)).split(/\r?\n/);
  if (lines.length !== questions.length)
    throw failure(
      "CLOISTER_REQUEST_INVALID",
      `Standard input has ${lines.length} lines, wanted ${questions.length}: ${questions.map(({ key }) => key.join(".")).join(", ")}.`,
      "Give each on a line of its own.",
    );
  return questions.flatMap((question, index) => judge(question, (lines[index] ?? "").trim()));
}

/** The text itself is never shown. */
function judge(question: Question, text: string): readonly Answer[] {
  const { key, form, wanted, mayLack = false } = question;
  if (text === "" && mayLack) return [];
  if (form.test(text) && Buffer.byteLength(text) <= limits.secretBytesMax) return [{ question, text }];
  throw failure(
    "CLOISTER_REQUEST_INVALID",
    `What was given for ${key.join(".")} has ${text.length} characters in another form than it should; wanted ${wanted}.`,
    "Copy it again, whole, and run the command once more; nothing was changed.",
  );
}

async function keepAnswers(
  context: CliContext,
  shown: unknown,
  place: AccountPlace,
  answers: readonly Answer[],
  found: readonly Found[],
): Promise<ChangedConfig> {
  tellFound(context, place, found);
  const named = answers.map(({ question: { key, isSecret }, text }) => ({
    key,
    text,
    ...(isSecret ? { variable: nameVariable(shown, place, key) } : {}),
  }));
  const { stateDir } = await findPaths(surroundings(context));
  await changeVariables(stateDir, (text) =>
    named.reduce((now, one) => (one.variable === undefined ? now : setVariable(now, one.variable, one.text)), text),
  );
  const keys = [
    ...keysOf(found),
    ...named.map(({ key, text, variable }) => ({ key, value: variable === undefined ? text : `\${${variable}}` })),
  ];
  return writeKeys(context, place, keys, { mayBeNew: true });
}

/** `mayBeNew`: what the variables hold, although the configuration says of them what it said before. */
async function writeKeys(
  context: CliContext,
  place: AccountPlace,
  keys: Keys,
  { mayBeNew }: { readonly mayBeNew: boolean },
): Promise<ChangedConfig> {
  const write = (isOn: boolean): Promise<ChangedConfig> =>
    changeConfig(context, (value) => {
      const next = setKeys(value, place, keys);
      return isOn ? next : switchedOff(next, place);
    });
  const changed = await write(true);
  if (!mayBeNew || changed.through !== "gateway" || changed.answer["status"] !== "unchanged") return changed;
  // The gateway reads its variables when the file changes.
  await write(false);
  return write(true);
}

const switchedOff = (value: unknown, { path: at }: AccountPlace): unknown =>
  applyEdits(value, { set: [{ path: [...at, "enabled"], value: false }] });

async function changeVariables(stateDir: string, change: (text: string) => string): Promise<void> {
  const file = path.join(stateDir, ".env");
  const owner = process.getuid?.() ?? 0;
  try {
    await mkdir(stateDir, { recursive: true, mode: 0o700 });
    await changePrivate(
      file,
      async (text = "") => change(text),
      () => readPrivate(file, owner, limits.envFileBytesMax),
    );
  } catch (error) {
    if (isCoded(error)) throw error;
    throw failure(
      "CLOISTER_STATE_UNUSABLE",
      `The credential is not kept: ${(error as Error).message}.`,
      "Run the command as the user that runs the gateway.",
      error,
    );
  }
}
