/** `skills`: where skills are beside the workspaces, and which are switched off. Source: behaviour §6.3. */
import * as z from "zod";
import { limits } from "../../kernel/limits.ts";
import { anyMap, anyValue, filledText, texts } from "./values.ts";
import { key, later } from "./note.ts";

const bound = (text: string) => later("other bounds of skills", text, anyValue());

export const skills = z
  .looseObject({
    load: key(
      "Where they are.",
      z
        .looseObject({
          extraDirs: key(
            "Folders with skills, after `~/.agents/skills` and `skills` of the state directory. Paths start at the directory of this file.",
            z.array(filledText()).max(limits.skillRootsMax).default([]),
          ),
        })
        .prefault({}),
    ),
    entries: key(
      "Single skills, by their names.",
      z
        .record(
          z.string(),
          z.looseObject({
            enabled: key("Off: nobody has it.", z.boolean().default(true)),
            env: later("variables of skills", "Variables of its programs.", anyMap().optional()),
            apiKey: later("variables of skills", "Its key.", anyValue()),
          }),
        )
        .default({}),
    ),
    allowBundled: key(
      "Which of the skills that come with the program agents may have, by name; `[]` is none. Default: all.",
      texts().optional(),
    ),
    install: later("installation of skills", "How skills are installed.", anyValue()),
    limits: key(
      "Bounds.",
      z
        .looseObject({
          maxSkillsPromptChars: key(
            `Characters of the list of skills that a model is shown. Default: ${limits.skillsPromptCharsMax}.`,
            z.int().min(limits.skillsPromptCharsMin).max(limits.skillsPromptCharsAllowed).optional(),
          ),
          maxSkillsInPrompt: bound("Skills in that list."),
          maxCandidatesPerRoot: bound("Folders that are looked through."),
          maxSkillsLoadedPerSource: bound("Skills of one folder."),
          maxSkillFileBytes: bound("Size of a SKILL.md."),
        })
        .optional(),
    ),
  })
  .prefault({});
