/**
 * Skills that agents share: folders beside the workspaces, which the operator fills. Each is looked at when a cell starts; what has not changed is not read
 * again. A skill whose needs are not met, or that is switched off, is nobody's. Source: behaviour §6.3.
 */
import { access, constants, readdir, readFile, realpath, stat } from "node:fs/promises";
import path from "node:path";
import type { ResolvedConfig } from "../config/resolved.ts";
import { type FoundSkill, type LeftOutSkill, makeSkillFinder, skillFile, type SkillFolder } from "../kernel/skills.ts";
import type { BesideSkills } from "../thread/agent-settings.ts";

export interface SharedSkill extends Pick<FoundSkill, "name" | "description"> {
  /** Absolute, without links: the folder of the skill. */
  readonly folder: string;
  /** It came with the program. */
  readonly isBundled: boolean;
  /** What is missing of its needs, and whether it is switched off; empty: it may be used. */
  readonly missing: readonly string[];
}

export interface SkillShelf {
  /** All there are, in the order of their names. */
  all(): Promise<readonly SharedSkill[]>;
  /** Those that an agent with this list of names may use; absent: all whose needs are met. */
  of(allowed: readonly string[] | undefined): Promise<BesideSkills>;
  /** Files that are no skill, as the last look found them. */
  leftOut(): readonly LeftOutSkill[];
  /** What is missing of the needs of any skill. */
  missingOf(skill: FoundSkill): Promise<readonly string[]>;
  /** Folders of those, as the last look found them: for the tools that read. */
  foldersOf(allowed: readonly string[] | undefined): readonly string[];
}

export interface SkillShelfDeps {
  readonly settings: () => ResolvedConfig["skills"];
  /** Absolute: where the skills are that came with the program; absent: there are none. */
  readonly bundled?: string | undefined;
  readonly nowMs: () => number;
}

export function makeSkillShelf({ settings, bundled, nowMs }: SkillShelfDeps): SkillShelf {
  const find = makeSkillFinder();
  let last: readonly SharedSkill[] = [];
  let lastLeftOut: readonly LeftOutSkill[] = [];
  let looking: Promise<readonly SharedSkill[]> | undefined;

  const missingOf = async (
    { name, gates }: FoundSkill,
    isThere: (program: string) => Promise<boolean>,
  ): Promise<readonly string[]> => {
    const { off, env, config, platform } = settings();
    const bins = await Promise.all(gates.bins.map(async (bin) => ((await isThere(bin)) ? [] : [`the program ${bin}`])));
    const any = await Promise.all(gates.anyBins.map(isThere));
    return [
      ...(off.includes(name) ? [`skills.entries.${name}.enabled is false`] : []),
      ...(gates.os.length === 0 || gates.os.includes(platform) ? [] : [`a system of ${gates.os.join(", ")}`]),
      ...bins.flat(),
      ...(any.length === 0 || any.includes(true) ? [] : [`one of the programs ${gates.anyBins.join(", ")}`]),
      ...gates.env.flatMap((one) => (env.includes(one) ? [] : [`the variable ${one}`])),
      ...gates.config.flatMap((key) => (config.includes(key) ? [] : [`the config key ${key}`])),
    ];
  };
  const programs = () => onceEach((program) => hasProgram(program, settings().path));

  const look = async (): Promise<readonly SharedSkill[]> => {
    const { roots, extraRoots, allowBundled } = settings();
    const wrong: LeftOutSkill[] = [];
    const places = [...roots, ...(bundled === undefined ? [] : [bundled]), ...extraRoots];
    const found = await find(disk, places, nowMs(), (file) => wrong.push(file));
    const isThere = programs();
    const skills = await Promise.all(
      found.map(async (skill) => {
        const folder = await realpath(path.dirname(skill.location)).catch(() => undefined);
        if (folder === undefined) return [];
        const { name, description, location } = skill;
        const isBundled = bundled !== undefined && location.startsWith(`${bundled}${path.sep}`);
        const isBarred = isBundled && allowBundled?.includes(name) === false;
        const missing = [
          ...(isBarred ? ["skills.allowBundled does not name it"] : []),
          ...(await missingOf(skill, isThere)),
        ];
        return [{ name, description, folder, isBundled, missing }];
      }),
    );
    lastLeftOut = wrong;
    last = skills.flat().toSorted((a, b) => (a.name < b.name ? -1 : 1));
    return last;
  };

  /** Cells that start together look once. */
  const all = (): Promise<readonly SharedSkill[]> => {
    const mine = (looking ??= look().finally(() => {
      if (looking === mine) looking = undefined;
    }));
    return mine;
  };

  const usable = (skills: readonly SharedSkill[], allowed: readonly string[] | undefined): readonly SharedSkill[] =>
    skills.filter(({ name, missing }) => missing.length === 0 && (allowed?.includes(name) ?? true));

  return {
    all,
    async of(allowed) {
      const found = usable(await all(), allowed).map(({ name, description, folder }) => ({
        name,
        description,
        location: path.join(folder, skillFile),
      }));
      const { platform, off } = settings();
      return { platform, off, found };
    },
    leftOut: () => lastLeftOut,
    missingOf: (skill) => missingOf(skill, programs()),
    foldersOf: (allowed) => usable(last, allowed).map(({ folder }) => folder),
  };
}

/** Folders of the operator's: links in them are followed. */
const disk: SkillFolder = {
  list: async (folder) =>
    Promise.all(
      (await readdir(folder, { withFileTypes: true })).map(async (entry) => {
        const target = entry.isSymbolicLink() ? await stat(path.join(folder, entry.name)).catch(() => entry) : entry;
        const type = target.isFile() ? "file" : target.isDirectory() ? "directory" : "other";
        return { name: entry.name, type } as const;
      }),
    ),
  read: (file) => readFile(file, "utf8"),
  stamp: async (place) => {
    const { ino, size, mtimeMs, ctimeMs } = await stat(place);
    return { value: [ino, size, mtimeMs, ctimeMs].join(":"), changedMs: Math.max(mtimeMs, ctimeMs), bytes: size };
  },
};

async function hasProgram(name: string, folders: readonly string[]): Promise<boolean> {
  const places = await Promise.all(
    folders.map((folder) =>
      access(path.join(folder, name), constants.X_OK).then(
        () => true,
        () => false,
      ),
    ),
  );
  return places.includes(true);
}

function onceEach(ask: (name: string) => Promise<boolean>): (name: string) => Promise<boolean> {
  const asked = new Map<string, Promise<boolean>>();
  return (name) => {
    const answer = asked.get(name) ?? ask(name);
    asked.set(name, answer);
    return answer;
  };
}
