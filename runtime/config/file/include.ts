/**
 * `$include`: any value may be `{ $include: "./file.json5" }`, or name a list of files. A file is found relative to the one
 * that names it. Several files are merged in their order, and keys beside `$include` go before what the files say; maps
 * are merged key by key, everything else is replaced. Source: behaviour §1.1.
 */
import path from "node:path";
import { isCoded } from "../../kernel/errors.ts";
import { limits } from "../../kernel/limits.ts";
import { isMap } from "../is-map.ts";
import { mergeMaps } from "../merge-maps.ts";
import { type ConfigIssue, formatPath, type Path } from "../issue.ts";
import { pathKey } from "./lines.ts";
import { resolvePath } from "../paths.ts";
import { readSource, type Source, type Texts } from "./source.ts";

export interface Place {
  readonly file: string;
  readonly line: number;
}

export interface Composed {
  readonly value: unknown;
  /** Where the key at a path stands, by `pathKey`. */
  readonly places: ReadonlyMap<string, Place>;
  readonly issues: readonly ConfigIssue[];
  /** Every file that was read or looked for, the outermost first; undefined: it is not there. */
  readonly files: ReadonlyMap<string, string | undefined>;
}

interface Job {
  readonly homeDir: string;
  readonly texts: Texts | undefined;
  readonly files: Map<string, string | undefined>;
  readonly places: Map<string, Place>;
  readonly issues: ConfigIssue[];
  filesRead: number;
}

/** Where the walk is: in which file, at which path of it, and at which path of the whole. */
interface Spot {
  readonly source: Source;
  readonly local: Path;
  readonly path: Path;
  /** Files that lead here, the outermost first. */
  readonly chain: readonly string[];
}

/** The value with every `$include` in place. Nothing is thrown for an included file: what is wrong is an issue. */
export async function composeSource(source: Source, homeDir: string, texts?: Texts): Promise<Composed> {
  const files = new Map<string, string | undefined>([[source.file, source.text]]);
  const job: Job = { homeDir, texts, files, places: new Map(), issues: [], filesRead: 1 };
  const value = await compose(source.value, { source, local: [], path: [], chain: [source.file] }, job);
  return { value, places: job.places, issues: job.issues, files };
}

async function compose(value: unknown, spot: Spot, job: Job): Promise<unknown> {
  const line = spot.source.lines.at.get(pathKey(spot.local));
  if (line !== undefined) job.places.set(pathKey(spot.path), { file: spot.source.file, line });
  if (Array.isArray(value)) {
    const items: unknown[] = [];
    for (const [index, item] of value.entries()) items.push(await compose(item, below(spot, index), job));
    return items;
  }
  if (!isMap(value)) return value;
  const own = await composeEntries(value, spot, job);
  return Object.hasOwn(value, "$include") ? includeFiles(value["$include"], own, spot, job) : own;
}

async function composeEntries(value: Record<string, unknown>, spot: Spot, job: Job): Promise<Record<string, unknown>> {
  const entries: [string, unknown][] = [];
  for (const [name, child] of Object.entries(value)) {
    if (name === "$include") continue;
    if (name === "__proto__") report(spot, job, "`__proto__` cannot be a key", "Remove it.", name);
    else entries.push([name, await compose(child, below(spot, name), job)]);
  }
  return Object.fromEntries(entries);
}

async function includeFiles(named: unknown, own: Record<string, unknown>, spot: Spot, job: Job): Promise<unknown> {
  const files = readFileNames(named);
  if (files === undefined) {
    report(spot, job, "`$include` must be a file name or a list of file names", 'Write { $include: "./file.json5" }.');
    return own;
  }
  const placesOfOwn = new Map(job.places);
  const parts: unknown[] = [];
  for (const file of files) parts.push(await includeFile(file, spot, job));
  const found = parts.filter((part) => part !== undefined);
  if (found.length === 1 && Object.keys(own).length === 0) return found[0];
  for (const [key, place] of placesOfOwn) job.places.set(key, place);
  const maps = found.filter(isMap);
  if (maps.length < found.length) {
    report(
      spot,
      job,
      "included files can only be merged when each holds a map",
      "Include a list or a plain value alone, without keys beside it.",
    );
  }
  return [...maps, own].reduce(mergeMaps);
}

function readFileNames(named: unknown): readonly string[] | undefined {
  const names: readonly unknown[] = Array.isArray(named) ? named : [named];
  const texts = names.filter((name) => typeof name === "string" && name !== "");
  return texts.length === names.length && texts.length > 0 ? texts.map(String) : undefined;
}

async function includeFile(named: string, spot: Spot, job: Job): Promise<unknown> {
  const file = resolvePath(named, { homeDir: job.homeDir, baseDir: path.dirname(spot.source.file) });
  const chain = [...spot.chain, file];
  const stop = (message: string, remedy: string): undefined => report(spot, job, message, remedy);
  if (spot.chain.includes(file))
    return stop(`files include each other: ${chain.join(" → ")}`, "Take one of them out of the circle.");
  if (chain.length - 1 > limits.configIncludeDepthMax) {
    return stop(
      `${file} would be included at depth ${chain.length - 1}; at most ${limits.configIncludeDepthMax}`,
      "Include it from a file further out.",
    );
  }
  if (job.filesRead >= limits.configFilesMax) {
    return stop(`more than ${limits.configFilesMax} files are included`, "Join some of them.");
  }
  job.filesRead += 1;
  try {
    job.files.set(file, undefined);
    const source = await readSource(file, job.texts);
    job.files.set(file, source?.text);
    if (source === undefined)
      return stop(
        `the included file ${file} does not exist`,
        "Create it, or correct the name; names are relative to the including file.",
      );
    return await compose(source.value, { source, local: [], path: spot.path, chain }, job);
  } catch (error) {
    if (!isCoded(error)) throw error;
    return stop(error.message, error.remedy ?? "Correct the file.");
  }
}

function below(spot: Spot, part: string | number): Spot {
  return { ...spot, local: [...spot.local, part], path: [...spot.path, part] };
}

/** At the line of the key that is to blame, since the value around it may be the whole file, which has none. */
function report(spot: Spot, job: Job, message: string, remedy: string, key = "$include"): undefined {
  const { at } = spot.source.lines;
  const line = at.get(pathKey([...spot.local, key])) ?? at.get(pathKey(spot.local));
  const place = { file: spot.source.file, ...(line === undefined ? {} : { line }) };
  job.issues.push({ path: formatPath(spot.path), message, remedy, ...place });
}
