/** `models.*` and `auth.*`: where models are, what they cost, and with what credential they are asked. Keys as the peer has them. */
import * as z from "zod";
import { modelApis } from "../../broker/port.ts";
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
    input: later("media tools", "What it reads.", texts().optional()),
    contextWindow: key("Tokens of a whole conversation.", tokens().exactOptional()),
    maxTokens: key("Tokens of one answer.", tokens().exactOptional()),
    cost: key("USD for a million tokens. Without it calls have no cost.", cost().exactOptional()),
    script: key("Of api `scripted`: its answers; the first that fits.", z.array(script()).exactOptional()),
    headers: later("headers of one model", "Headers of calls.", anyMap().optional()),
    compat: later("quirks of providers", "Where the provider differs from the standard.", anyMap().optional()),
    params: later("model parameters", "Parameters of calls.", anyMap().optional()),
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
