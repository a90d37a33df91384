/** `models.*` and `auth.*`: where models are, what they cost, and with what credential they are asked. Keys as the peer has them. */
import * as z from "zod";
import { modelApis } from "../../broker/port.ts";
import { isSafeUrl } from "../listen.ts";
import { limits } from "../../kernel/limits.ts";
import { inert, key, later } from "./note.ts";
import { anyMap, filledText, secret, texts } from "./values.ts";

const dollars = () => z.number().min(0).max(limits.modelPriceMax);

const cost = () =>
  z.strictObject({
    input: key("For what it reads.", dollars().default(0)),
    output: key("For what it writes.", dollars().default(0)),
    cacheRead: key("For what it reads from a cache of the provider.", dollars().default(0)),
    cacheWrite: key("For what the provider puts into its cache.", dollars().default(0)),
  });

const tokens = () => z.int().min(1).max(limits.usageTokensMax);

/** One answer of the provider `scripted`. */
const script = () =>
  z.strictObject({
    when: key(
      "Which message it answers: the last one. Without it: any.",
      z
        .strictObject({
          text: key("It holds this text; case does not matter.", filledText().exactOptional()),
          tool: key("It is the result of this tool.", filledText().exactOptional()),
        })
        .exactOptional(),
    ),
    say: key("The answer; `{{text}}` stands for the last message.", z.string().exactOptional()),
    call: key(
      "Tools that it calls.",
      z.array(z.strictObject({ name: filledText(), input: anyMap().default({}) })).exactOptional(),
    ),
    pieceChars: key("Characters of one piece of a streamed answer. Default: all at once.", tokens().exactOptional()),
    fail: key(
      "Instead of an answer it fails as a provider would, with this HTTP status.",
      z
        .strictObject({
          status: z.int().min(400).max(599),
          message: z.string().default("scripted failure"),
          retryAfterMs: z.int().min(0).exactOptional(),
        })
        .exactOptional(),
    ),
  });

const entry = () =>
  z.strictObject({
    id: key("The model's name at the provider.", filledText()),
    name: key("For people.", z.string().optional()),
    api: key("How it is spoken to, where that differs from its provider.", z.enum(modelApis).exactOptional()),
    reasoning: key("`false`: it cannot think before it answers, and is never asked to.", z.boolean().exactOptional()),
    input: key(
      "What it reads: `text`, `image`. Without it the model is shown pictures, and asked again without them when it refuses.",
      texts().exactOptional(),
    ),
    contextWindow: key(
      "Tokens of a whole conversation, prompt and answer among them: what comes near is summed up. Ollama is asked for so many.",
      tokens().exactOptional(),
    ),
    maxTokens: key("Tokens of one answer.", tokens().exactOptional()),
    cost: key("USD for a million tokens. Without it calls have no cost.", cost().exactOptional()),
    script: key("Of api `scripted`: its answers; the first that fits.", z.array(script()).exactOptional()),
    headers: later("headers of one model", "Headers of calls.", anyMap().optional()),
    compat: later("quirks of providers", "Where the provider differs from the standard.", anyMap().optional()),
    params: later("model parameters", "Parameters of calls.", anyMap().optional()),
  });

const address = (text: string) =>
  key(
    text,
    z
      .url({ protocol: /^https?$/, error: "must be an https URL" })
      .refine(isSafeUrl, "must be an https URL: what is sent there counts as a password")
      .exactOptional(),
  );

/** What the browser's address has from the program itself. */
const ownParams: ReadonlySet<string> = new Set([
  "response_type",
  "client_id",
  "redirect_uri",
  "scope",
  "state",
  "code_challenge",
  "code_challenge_method",
]);

const oauth = () =>
  z.strictObject({
    clientId: key(
      "What the provider calls this program. It is given when the program is registered there.",
      filledText(),
    ),
    clientSecret: key(
      "Its secret, where the provider gives one: a text with `${NAME}`, or a reference.",
      secret().exactOptional(),
    ),
    issuer: address(
      "The provider's server of tokens. What it says of itself fills in the addresses that are not written here.",
    ),
    authorizationUrl: address("Where a person signs in with a browser."),
    tokenUrl: address("Where tokens are given and renewed."),
    deviceUrl: address("Where a code is given that a person types elsewhere."),
    revocationUrl: address("Where a token is given back."),
    redirectUrl: key(
      "Where the browser comes back to: `http://127.0.0.1` or `http://localhost`, with the port and the path that the provider knows. Default: `http://127.0.0.1/callback` at a free port.",
      z
        .url({
          protocol: /^http$/,
          hostname: /^(?:127\.0\.0\.1|localhost|\[::1\])$/,
          error: "must be an http URL of this machine, such as http://127.0.0.1:1455/callback",
        })
        .exactOptional(),
    ),
    scopes: key(
      "What is asked for.",
      z.array(z.string().regex(/^[\x21\x23-\x5b\x5d-\x7e]+$/, "must have no space and no quotation mark")).default([]),
    ),
    params: key(
      "Further parameters of the address that the browser opens.",
      z
        .record(
          z.string().refine((name) => !ownParams.has(name), "is set by the program itself"),
          z.string(),
        )
        .default({}),
    ),
  });

const provider = () =>
  z.strictObject({
    api: key(
      "How it is spoken to. Needed, but for the providers that are known by name.",
      z.enum(modelApis).exactOptional(),
    ),
    baseUrl: key(
      "Address of its API. Default: the provider's own.",
      z.url({ protocol: /^https?$/, error: "must be an http or https URL" }).exactOptional(),
    ),
    apiKey: key("Its key: a text with `${NAME}`, or a reference. Never given to an agent.", secret().optional()),
    headers: key("Further headers of each call.", z.record(z.string(), secret()).default({})),
    oauth: key(
      "How a person signs in to it with `cloister models auth login`, instead of a key.",
      oauth().exactOptional(),
    ),
    auth: inert("Kind of the credential.", "The credential that is there says what it is.", z.string().optional()),
    authHeader: later("quirks of providers", "Send the key as a header.", z.boolean().optional()),
    models: key("What is known of its models; others may be named too.", z.array(entry()).default([])),
  });

export const models = z
  .strictObject({
    mode: key(
      "`merge`: beside the providers that are known by name (`anthropic`, `openai`, `google`, `openrouter`, `ollama`). `replace`: without those.",
      z.enum(["merge", "replace"]).default("merge"),
    ),
    providers: key(
      "Providers by id, the part of a model's name before the first `/`.",
      z.record(filledText(), provider()).default({}),
    ),
  })
  .prefault({});

export const auth = z
  .strictObject({
    order: key(
      "Provider → ids of credentials of `auth-profiles.json`, in the order in which they are tried. One that is not listed is not used.",
      z.record(z.string(), texts()).default({}),
    ),
    profiles: inert(
      "Descriptions of credentials.",
      "They are in auth-profiles.json, beside the credentials.",
      anyMap().optional(),
    ),
    cooldowns: later("auth cooldowns", "How long a credential rests after a failure.", anyMap().optional()),
  })
  .prefault({});
