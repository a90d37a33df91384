/**
 * Takes secrets out of what is about to be logged: by the name of the key, and by the look of the text.
 *
 * Both are needed. A key says what a value is even when the value looks like nothing; the look catches a secret inside an
 * error message, a URL or a command line, where no key stands beside it. Every pattern runs in time linear in the text,
 * since the text may come from a peer.
 */

export const redacted = "[redacted]";

/** Objects nested deeper, and entries beyond the count, are cut: a log line is no dump. */
const depthMax = 6;
const entriesMax = 100;

/** Names of secrets, compared in lower case without `-` and `_`. `key` only as a whole name: a session key is no secret. */
const secretNames: ReadonlySet<string> = new Set([
  "key",
  "auth",
  "authorization",
  "cookie",
  "setcookie",
  "pwd",
  "credentials",
]);
const secretEnding = /(?:token|password|passwd|passphrase|secret|apikey|privatekey|operatorkey|accesskey)$/;

export function isSecretName(name: string): boolean {
  const plain = name.toLowerCase().replaceAll(/[-_]/g, "");
  return secretNames.has(plain) || secretEnding.test(plain);
}

const patterns: readonly (readonly [pattern: RegExp, replacement: string])[] = [
  // A key that was cut off before its end is still a key. From its head on character by character: a loop that takes all and goes back has too much to
  // remember of a long text, and throws.
  [
    /-----BEGIN [A-Z ]{0,40}PRIVATE KEY(?: BLOCK)?-----[^]*?(?:-----END [A-Z ]{0,40}PRIVATE KEY(?: BLOCK)?-----|(?=-----)|$)/g,
    redacted,
  ],
  [/\b(bearer|basic) +[\w.~+/=-]{8,}/gi, `$1 ${redacted}`],
  [/\b([a-z][a-z0-9+.-]{1,20}:\/\/[^\s:/@"']{0,256}):[^\s@/"']{1,512}@/gi, `$1:${redacted}@`],
  [/([?&#](?:key|token|access_token|api_key|apikey|secret|password|sig|signature)=)[^\s&#"'<>]+/gi, `$1${redacted}`],
  [/\b((?:[A-Z0-9]+_)*(?:TOKEN|KEY|SECRET|PASSWORD|PASSWD)=)(?:"[^"]*"|'[^']*'|[^\s"']+)/g, `$1${redacted}`],
  [/("(?:[\w-]{0,40}(?:token|password|secret|api_?key)|authorization)"\s{0,8}:\s{0,8}")[^"]*/gi, `$1${redacted}`],
  // Headers of cookies with their attributes, and what stands for one: a name and a value, which prose about cookies has not.
  // More of them than anybody sends: a loop without a bound throws where a text has millions.
  [
    /\b((?:set-)?cookie2?["']?\s{0,8}[:=]\s{0,8}["']?)[^\s=;,"']{1,256}=(?:"[^"\r\n]*"|[^;\s"']*)(?:;\s{0,8}[^\s=;,"']{1,256}(?:=(?:"[^"\r\n]*"|[^;\r\n"']*))?){0,10000}/gi,
    `$1${redacted}`,
  ],
  [/(--cookie[ =])(?:"[^"\r\n]*"|'[^'\r\n]*'|[^\s"']+)/g, `$1${redacted}`],
  // Keys that their issuers gave a recognisable head: OpenAI, Anthropic and others, GitHub, GitLab, Slack, Google, AWS, npm, Hugging Face, Groq, callers of this gateway.
  [/\bsk-[\w-]{16,}/g, redacted],
  [/\b(?:gh[pousr]_|github_pat_|glpat-|npm_|hf_|gsk_|clt_|xai-|xapp-|xox[abeprs]-)[\w-]{10,}/g, redacted],
  [/\bAIza[\w-]{30,}/g, redacted],
  [/\b(?:AKIA|ASIA)[A-Z0-9]{16}\b/g, redacted],
  // Telegram bot tokens, Discord bot tokens, JSON web tokens.
  [/\b\d{6,12}:[\w-]{30,50}\b/g, redacted],
  [/\b[MNO][\w-]{23,28}\.[\w-]{6}\.[\w-]{27,45}\b/g, redacted],
  [/\beyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]*/g, redacted],
];

/** The text with everything that looks like a secret replaced by `[redacted]`. */
export function redactText(text: string): string {
  let clean = text;
  for (const [pattern, replacement] of patterns) clean = clean.replaceAll(pattern, replacement);
  return clean;
}

/** Cuts a text and says by how much, so that nobody takes the part for the whole. */
function boundText(text: string, charsMax: number): string {
  return text.length <= charsMax ? text : `${text.slice(0, charsMax)}… (${text.length - charsMax} more characters)`;
}

export interface LogForm {
  /** Characters of one text. */
  readonly charsMax: number;
  /** Search texts for what looks like a secret. Values under secret names are replaced either way. */
  readonly redactSensitive: boolean;
}

/** A text as it may be logged. The search runs before the final cut, which could otherwise leave the head of a secret. */
export function cleanText(text: string, { charsMax, redactSensitive }: LogForm): string {
  if (!redactSensitive) return boundText(text, charsMax);
  const searched = redactText(text.slice(0, charsMax + overlap));
  const rest = text.length - Math.min(text.length, charsMax + overlap);
  if (searched.length + rest <= charsMax) return searched;
  return `${searched.slice(0, charsMax)}… (${Math.max(0, searched.length - charsMax) + rest} more characters)`;
}

/** How far past the cut a secret is looked for. */
const overlap = 1_024;

/** A value as it may be logged: errors as plain objects, texts cleaned, secrets by name replaced, depth and width bounded. */
export function cleanValue(value: unknown, form: LogForm, depth = 0): unknown {
  if (typeof value === "string") return cleanText(value, form);
  if (typeof value === "bigint") return String(value);
  if (typeof value !== "object" || value === null) return value;
  if (depth >= depthMax) return "[deeper]";
  if (value instanceof Error) return cleanError(value, form, depth);
  if (value instanceof Date) return value.toJSON();
  if (ArrayBuffer.isView(value) || value instanceof ArrayBuffer) return `[${value.byteLength} bytes]`;
  if (Array.isArray(value)) {
    const kept = value.slice(0, entriesMax).map((item) => cleanValue(item, form, depth + 1));
    return value.length > entriesMax ? [...kept, `… ${value.length - entriesMax} more`] : kept;
  }
  return cleanFields(value as Readonly<Record<string, unknown>>, form, depth);
}

/** The fields of one record. A yes or no under a secret name (`hasToken`) says nothing and stays. */
export function cleanFields(
  fields: Readonly<Record<string, unknown>>,
  form: LogForm,
  depth = 0,
): Readonly<Record<string, unknown>> {
  const clean: Record<string, unknown> = {};
  const entries = Object.entries(fields);
  for (const [name, value] of entries.slice(0, entriesMax)) {
    const open = value === undefined || value === null || typeof value === "boolean";
    clean[name] = !open && isSecretName(name) ? redacted : cleanValue(value, form, depth + 1);
  }
  if (entries.length > entriesMax) clean["…"] = `${entries.length - entriesMax} more`;
  return clean;
}

function cleanError(error: Error, form: LogForm, depth: number): Readonly<Record<string, unknown>> {
  const { name, message, stack, cause, ...rest } = error as Error & Readonly<Record<string, unknown>>;
  return {
    type: name,
    message: cleanText(message, form),
    ...(stack === undefined ? {} : { stack: cleanText(stack, form) }),
    ...(cause === undefined ? {} : { cause: cleanValue(cause, form, depth + 1) }),
    ...cleanFields(rest, form, depth),
  };
}
