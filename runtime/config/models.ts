/** Models as the broker is told of them: providers with their credentials, and what each agent uses. Source: behaviour §1.3, §6.4. */
import type {
  ModelApi,
  ModelEntry,
  ModelSettings,
  ProviderSettings,
  SecretValue,
  SignInSettings,
} from "../broker/port.ts";
import type { Draft } from "./draft.ts";
import type { Path } from "./issue.ts";
import type { ResolvedConfig } from "./resolved.ts";
import { limits } from "../kernel/limits.ts";
import { refOf } from "./credentials.ts";
import { aliasesOf } from "./model-aliases.ts";
import { secretOf } from "./secret-of.ts";
import { isSecretName } from "./secrets.ts";

const mebibyte = 1_048_576;

/** Known by name: how each is spoken to, and the variable that holds its key. */
const known: Readonly<
  Record<string, { readonly api: ModelApi; readonly baseUrl?: string; readonly keys: readonly string[] }>
> = {
  anthropic: { api: "anthropic-messages", keys: ["ANTHROPIC_API_KEY"] },
  openai: { api: "openai-responses", keys: ["OPENAI_API_KEY"] },
  google: { api: "google-generative-ai", keys: ["GEMINI_API_KEY", "GOOGLE_API_KEY"] },
  openrouter: { api: "openai-completions", baseUrl: "https://openrouter.ai/api/v1", keys: ["OPENROUTER_API_KEY"] },
  ollama: { api: "ollama", keys: [] },
};

export const isKnown = (id: string): boolean => Object.hasOwn(known, id);

/** How the provider is spoken to; undefined: nobody said so. */
export function apiOf(id: string, written: { readonly api?: ModelApi }): ModelApi | undefined {
  return written.api ?? (Object.hasOwn(known, id) ? known[id]?.api : undefined);
}

export function resolveModels(draft: Draft): ResolvedConfig["models"] {
  const { models, auth, agents } = draft.config;
  const clients = new Set(
    Object.values(models.providers).flatMap(({ oauth }) => {
      const secret = oauth?.clientSecret;
      return typeof secret === "object" && secret.source === "env" ? [secret.id] : [];
    }),
  );
  return {
    providers: Object.fromEntries(providerNames(draft.config).map((id) => [id, resolveProvider(id, draft)])),
    catalogue: Object.keys(agents.defaults.models ?? {}),
    aliases: aliasesOf(draft.config),
    authOrder: auth.order,
    ...imagesOf(draft),
    variables: Object.fromEntries(
      Object.entries(draft.env).filter(([name]) => isSecretName(name) || clients.has(name)),
    ) as Record<string, string>,
  };
}

export const providerNames = ({ models }: Draft["config"]): readonly string[] => [
  ...new Set([...(models.mode === "merge" ? Object.keys(known) : []), ...Object.keys(models.providers)]),
];

/** Undefined: nothing describes pictures for models that read none. */
export function imageModelOf({ imageModel }: Draft["config"]["agents"]["defaults"]): ModelSettings["imageModel"] {
  const written = typeof imageModel === "string" ? { primary: imageModel } : imageModel;
  if (written?.primary === undefined) return undefined;
  return { primary: written.primary, fallbacks: ("fallbacks" in written ? written.fallbacks : undefined) ?? [] };
}

function imagesOf({ config }: Draft): Pick<ModelSettings, "imageModel" | "pictureBytesMax"> {
  const { defaults } = config.agents;
  const imageModel = imageModelOf(defaults);
  return {
    ...(imageModel === undefined ? {} : { imageModel }),
    ...(defaults.mediaMaxMb === undefined
      ? {}
      : { pictureBytesMax: Math.min(Math.floor(defaults.mediaMaxMb * mebibyte), limits.modelPicturesBytesMax) }),
  };
}

/** Models that are said to read no pictures, as `provider/model`. */
export function blindModels({ models }: Draft["config"]): readonly string[] {
  return Object.entries(models.providers).flatMap(([provider, { models: written }]) =>
    written.flatMap(({ id, input }) => (input === undefined || input.includes("image") ? [] : [`${provider}/${id}`])),
  );
}

function resolveProvider(id: string, draft: Draft): ProviderSettings {
  const written = draft.config.models.providers[id];
  const usual = Object.hasOwn(known, id) ? known[id] : undefined;
  const at: Path = ["models", "providers", id];
  const baseUrl = written?.baseUrl ?? usual?.baseUrl;
  const apiKey = secretOf([...at, "apiKey"], written?.apiKey, draft) ?? fromVariables(usual?.keys ?? [], draft);
  const headers = Object.entries(written?.headers ?? {}).flatMap(([name, secret]): [string, SecretValue][] => {
    const value = secretOf([...at, "headers", name], secret, draft);
    return value === undefined ? [] : [[name, value]];
  });
  return {
    id,
    api: apiOf(id, written ?? {}) ?? "openai-completions",
    ...(baseUrl === undefined ? {} : { baseUrl }),
    ...(apiKey === undefined ? {} : { apiKey }),
    headers: Object.fromEntries(headers),
    ...(written?.oauth === undefined ? {} : { oauth: signInOf([...at, "oauth"], written.oauth, draft) }),
    models: Object.fromEntries(
      (written?.models ?? []).map((model): [string, ModelEntry] => [model.id, entryOf(model)]),
    ),
  };
}

type Written = Draft["config"]["models"]["providers"][string];

function signInOf(at: Path, { clientSecret, ...rest }: NonNullable<Written["oauth"]>, draft: Draft): SignInSettings {
  // What a sign-in leaves behind names the place, also of a variable.
  const secret =
    typeof clientSecret === "object"
      ? { ref: refOf(clientSecret, draft) }
      : secretOf([...at, "clientSecret"], clientSecret, draft);
  return { ...rest, ...(secret === undefined ? {} : { clientSecret: secret }) };
}

type WrittenModel = Written["models"][number];

function entryOf({
  id,
  name,
  api,
  contextWindow,
  maxTokens,
  reasoning,
  input,
  cost,
  script,
}: WrittenModel): ModelEntry {
  return {
    id,
    ...(name === undefined ? {} : { name }),
    ...(api === undefined ? {} : { api }),
    ...(contextWindow === undefined ? {} : { contextWindow }),
    ...(maxTokens === undefined ? {} : { maxTokens }),
    ...(reasoning === undefined ? {} : { reasoning }),
    ...(input === undefined ? {} : { input }),
    ...(cost === undefined ? {} : { cost }),
    ...(script === undefined ? {} : { script }),
  };
}

function fromVariables(names: readonly string[], { env }: Draft): SecretValue | undefined {
  const value = names.map((name) => env[name]).find((text) => text !== undefined && text !== "");
  if (value !== undefined) return { value };
  return names.length === 0 ? undefined : { missing: `${names.join(" or ")} is not set` };
}
