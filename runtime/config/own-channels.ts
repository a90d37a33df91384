/**
 * Channels of the operator's own (`channels.modules`): what the `channel.json` beside their module says, read before any of its code runs. One that
 * cannot be used is told of and left out; the gateway and every other channel go on. Source: needs A15.1, A15.2.
 */
import path from "node:path";
import * as z from "zod";
import { channelApi, type OwnChannel } from "../../channels/own.ts";
import type { ChannelManifest } from "../../channels/port.ts";
import { limits } from "../kernel/limits.ts";
import { isMap } from "./is-map.ts";
import type { Path } from "./issue.ts";
import { isSecretName } from "./secrets.ts";

/** Beside the module. */
const manifestName = "channel.json";

export type Settings = Readonly<Record<string, unknown>>;

/** @throws with what is wrong with the schema. What it gives says of settings what they are with their defaults, or what is wrong at which key. */
export type CompileSettings = (
  schema: Settings,
) => (given: Settings) => { readonly settings: Settings } | { readonly path: Path; readonly message: string };

const can = () => z.boolean().default(false);

const manifestSchema = z.strictObject({
  api: z.literal(channelApi),
  id: z.string(),
  capabilities: z
    .strictObject({
      threads: can(),
      edit: can(),
      reactions: can(),
      deletes: can(),
      buttons: can(),
      typing: can(),
      nativeCommands: can(),
      mentions: can(),
      media: can(),
    })
    .prefault({}),
  text: z.strictObject({ max: z.int().min(100).max(limits.textChunkMax), unit: z.enum(["utf16", "utf8"]) }),
  dedupesSendsMs: z.int().nonnegative().default(0),
  typingMs: z.int().nonnegative().default(0),
  offersOnce: z.literal(true).optional(),
  sendersAreNames: z.literal(true).optional(),
  settings: z
    .looseObject({
      type: z.literal("object").default("object"),
      properties: z.record(z.string(), z.record(z.string(), z.unknown())).default({}),
      required: z.array(z.string()).default([]),
    })
    .prefault({}),
});

export interface ChannelFile extends OwnChannel {
  /** Keys of an account that are its own, beside those that all channels have. */
  readonly check: ReturnType<CompileSettings>;
  readonly keys: ReadonlySet<string>;
  /** Those of them that hold a credential: a text, or a reference to one. */
  readonly secrets: ReadonlySet<string>;
  readonly required: ReadonlySet<string>;
}

export type ReadChannel = ChannelFile | { readonly problem: string; readonly remedy: string };

export const manifestFileOf = (module: string): string => path.join(path.dirname(module), manifestName);

/** `module`: where it is, absolute. `text`: of the `channel.json` beside it. */
export function parseChannelFile(module: string, text: string, compile: CompileSettings): ReadChannel {
  const file = manifestFileOf(module);
  let written: unknown;
  try {
    written = JSON.parse(text);
  } catch (error) {
    return { problem: `${file} is not JSON: ${(error as Error).message}`, remedy: `Correct ${file}.` };
  }
  const api = isMap(written) ? written["api"] : undefined;
  // Before all else: what the rest means is the version's to say.
  if (api !== channelApi)
    return {
      problem: `${file} is for version ${JSON.stringify(api) ?? "(none)"} of the API of channels; this Cloister has version ${channelApi}`,
      remedy: `Take a release of the channel for version ${channelApi} ("api": ${channelApi}), or another version of Cloister.`,
    };
  const read = manifestSchema.safeParse(written);
  if (!read.success) return wrong(file, read.error);
  const { api: _api, settings, offersOnce, sendersAreNames, ...said } = read.data;
  const manifest: ChannelManifest = {
    ...said,
    ...(offersOnce === undefined ? {} : { offersOnce }),
    ...(sendersAreNames === undefined ? {} : { sendersAreNames }),
  };
  return { module, manifest, ...readSettings(settings, file, compile) };
}

type WrittenSettings = z.output<typeof manifestSchema>["settings"];

function readSettings(
  { properties, required, ...rest }: WrittenSettings,
  file: string,
  compile: CompileSettings,
): Pick<ChannelFile, "check" | "keys" | "secrets" | "required"> | { problem: string; remedy: string } {
  const keys = new Set(Object.keys(properties));
  const secrets = new Set([...keys].filter((key) => properties[key]?.["writeOnly"] === true));
  const unseen = [...secrets].find((key) => !isSecretName(key));
  if (unseen !== undefined)
    return {
      problem: `${file} has the secret settings.properties.${unseen}, whose name does not say that it is one`,
      remedy: `Let it end with "token", "password" or "secret": by that it is hidden wherever the configuration is shown.`,
    };
  const shown = Object.fromEntries(Object.entries(properties).filter(([key]) => !secrets.has(key)));
  const schema = {
    ...rest,
    properties: shown,
    required: required.filter((key) => !secrets.has(key)),
    additionalProperties: false,
  };
  try {
    return { check: compile(schema), keys, secrets, required: new Set(required) };
  } catch (error) {
    return {
      problem: `${file} has settings that are no JSON Schema: ${(error as Error).message}`,
      remedy: `Correct "settings" in ${file}.`,
    };
  }
}

function wrong(file: string, { issues }: z.ZodError): { readonly problem: string; readonly remedy: string } {
  const told = issues.slice(0, 3).map(({ path: at, message }) => `${at.join(".") || "(root)"}: ${message}`);
  return { problem: `${file} is not valid: ${told.join("; ")}`, remedy: `Correct ${file}.` };
}
