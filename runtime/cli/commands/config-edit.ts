/** `cloister config get|set|unset|patch|schema|diff|restore`. */
import {
  applyEdits,
  findLastGood,
  findPaths,
  isEmpty,
  lookUpKey,
  mergePatch,
  parsePath,
  parseText,
  planConfig,
  readAuthored,
  summarizePlan,
  valueAt,
  writeAuthored,
} from "../../config/index.ts";
import { failure, isCoded } from "../../kernel/errors.ts";
import { changeConfig, describeChange, readShown } from "../change-config.ts";
import type { CliContext, ExitCode } from "../context.ts";
import { readConfigFiles, surroundings } from "../read-config.ts";
import { formatJson } from "../views/table.ts";

export interface JsonOption {
  readonly json?: boolean;
}

export interface ChangeOptions extends JsonOption {
  /** Also when much of the file would be lost. */
  readonly force?: boolean;
  /** The value is a text, whatever it looks like. */
  readonly string?: boolean;
}

/** Secrets are marks. Exit code 1 when nothing stands there. */
export async function runConfigGet(
  context: CliContext,
  key: string | undefined,
  { json }: JsonOption,
): Promise<ExitCode> {
  const value = await readShown(context);
  const found = key === undefined ? value : valueAt(parsePath(key, value), value);
  if (found === undefined) {
    context.terminal.err(`${key ?? ""} is not in the file`);
    return 1;
  }
  context.terminal.out(typeof found === "string" && json !== true ? found : formatJson(found));
  return 0;
}

export async function runConfigSet(
  context: CliContext,
  key: string,
  text: string,
  { string, ...options }: ChangeOptions,
): Promise<ExitCode> {
  const value = string === true ? text : readValue(text);
  const set = (before: unknown): unknown => applyEdits(before, { set: [{ path: parsePath(key, before), value }] });
  return change(context, set, options);
}

export async function runConfigUnset(context: CliContext, key: string, options: ChangeOptions): Promise<ExitCode> {
  const unset = (before: unknown): unknown => applyEdits(before, { unset: [parsePath(key, before)] });
  return change(context, unset, options);
}

export async function runConfigPatch(
  context: CliContext,
  text: string,
  { replace = [], ...options }: ChangeOptions & { readonly replace?: readonly string[] },
): Promise<ExitCode> {
  const patch = parseText("the patch", text);
  return change(context, (before) => mergePatch(before, patch, replace), options);
}

async function change(
  context: CliContext,
  edit: (value: unknown) => unknown,
  { json, force }: ChangeOptions,
): Promise<ExitCode> {
  const changed = await changeConfig(context, edit, force);
  if (json === true) context.terminal.out(formatJson({ ok: true, ...changed }));
  else for (const line of describeChange(changed)) context.terminal.out(line);
  return 0;
}

/** JSON5 where it is some, else the text itself: `true`, `3`, `["a"]`, hello. */
function readValue(text: string): unknown {
  try {
    return parseText("the value", text);
  } catch (error) {
    if (isCoded(error)) return text;
    throw error;
  }
}

export async function runConfigSchema(
  context: CliContext,
  key: string | undefined,
  { json }: JsonOption,
): Promise<ExitCode> {
  const facts = lookUpKey(key ?? "");
  if (json === true) {
    context.terminal.out(formatJson(facts));
    return 0;
  }
  const { text, type, choices, children, later } = facts;
  const lines = [
    ...(text === "" ? [] : [text]),
    `type: ${type}${choices === undefined ? "" : ` (${choices.join(", ")})`}`,
    ...("default" in facts ? [`default: ${JSON.stringify(facts.default)}`] : []),
    ...(later === undefined ? [] : [`not active in this version: ${later}`]),
    ...(children.length === 0 ? [] : [`keys: ${children.join(", ")}`]),
  ];
  for (const line of lines) context.terminal.out(line);
  return 0;
}

/** What the file would change of what worked last: nothing, live, or with a restart. */
export async function runConfigDiff(context: CliContext, { json }: JsonOption): Promise<ExitCode> {
  const { stateDir, configPath } = await findPaths(surroundings(context));
  const good = await findLastGood(stateDir);
  if (good === undefined) throw noLastGood(stateDir);
  const from = await readConfigFiles(context, {}, good.files);
  const { config } = await readConfigFiles(context);
  const plan = planConfig(from.config, config);
  const found = summarizePlan(plan);
  if (json === true) {
    context.terminal.out(formatJson({ file: configPath, since: new Date(good.atMs).toISOString(), ...found }));
    return 0;
  }
  const say = (what: string, list: readonly string[]): void => {
    if (list.length > 0) context.terminal.out(`${what}: ${list.join(", ")}`);
  };
  if (isEmpty(plan))
    context.terminal.out(`${configPath} says what was in force at ${new Date(good.atMs).toISOString()}`);
  say("agents added", found.agents.added);
  say("agents removed", found.agents.removed);
  say("agents changed", found.agents.changed);
  say("sections changed", plan.sections);
  for (const { key, why } of plan.restart) context.terminal.out(`needs a restart: ${key} (${why})`);
  return 0;
}

/** The files as they were when they worked last; what is there now is kept as `<file>.bak`. */
export async function runConfigRestore(context: CliContext, { json }: JsonOption): Promise<ExitCode> {
  const { stateDir } = await findPaths(surroundings(context));
  const good = await findLastGood(stateDir);
  if (good === undefined) throw noLastGood(stateDir);
  const restored: string[] = [];
  for (const [file, text] of good.files) {
    const authored = await readAuthored(file);
    if (text === undefined || authored.text === text) continue;
    await writeAuthored(authored, text);
    restored.push(file);
  }
  if (json === true) context.terminal.out(formatJson({ ok: true, since: new Date(good.atMs).toISOString(), restored }));
  else
    context.terminal.out(
      restored.length === 0 ? "nothing differs from what worked last" : `restored: ${restored.join(", ")}`,
    );
  return 0;
}

function noLastGood(stateDir: string): Error {
  return failure(
    "CLOISTER_CONFIG_UNREADABLE",
    `no configuration has worked in ${stateDir} yet`,
    "it is kept when a gateway is ready for the first time",
  );
}
