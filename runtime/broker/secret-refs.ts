/**
 * Secrets by reference, read in this thread and nowhere else, when a call needs them: a file and what `cloister secrets` keeps each time,
 * so that what was changed counts at once; what a program said again after some minutes, after a reload, and when its key was refused; one that failed
 * after a few seconds. Of programs a few run at once: a configuration may name many, and each may ask another machine.
 */
import { realpath, stat } from "node:fs/promises";
import path from "node:path";
import { isInside } from "../config/paths.ts";
import { limits } from "../kernel/limits.ts";
import { own } from "./own.ts";
import { makePlaces } from "./places.ts";
import type { ModelSettings, SecretRef, SecretValue } from "./port.ts";
import { readPrivate } from "./private-file.ts";
import { findSecret } from "./secret-file.ts";
import { runSecretProgram } from "./secret-program.ts";

export interface SecretReader {
  /** Never rejects; what is `missing` is for the operator: it may name files. */
  read(value: SecretValue): Promise<Exclude<SecretValue, { ref: SecretRef }>>;
  /** What programs said counts no more, or what they said so long ago. */
  forget(olderMs?: number): void;
}

interface Said {
  readonly text: Promise<string>;
  readonly atMs: number;
  failedAtMs?: number;
}

export function makeSecretReader(
  settings: () => Pick<ModelSettings, "stateDir" | "variables">,
  nowMs: () => number,
): SecretReader {
  const said = new Map<string, Said>();
  const places = makePlaces(limits.secretProgramsMax, limits.secretProgramsOfOneMax);

  const run = async (stateDir: string, program: string, argument: string): Promise<string> => {
    const leave = await places.enter(program, never);
    try {
      return await runSecretProgram(stateDir, program, argument);
    } finally {
      leave();
    }
  };

  const counts = ({ atMs, failedAtMs }: Said): boolean =>
    failedAtMs === undefined
      ? nowMs() - atMs < limits.secretProgramKeepMs
      : nowMs() - failedAtMs < limits.secretProgramRetryMs;

  const fromProgram = (stateDir: string, { provider = "", id }: SecretRef): Promise<string> => {
    const key = JSON.stringify([provider, id]);
    const known = said.get(key);
    if (known !== undefined && counts(known)) return known.text;
    // Calls of the same moment share one run.
    const text = run(stateDir, provider, id);
    const mine: Said = { text, atMs: nowMs() };
    said.set(key, mine);
    text.catch(() => void (mine.failedAtMs = nowMs()));
    return text;
  };

  const sources: Readonly<Record<SecretRef["source"], (ref: SecretRef) => Promise<string | undefined>>> = {
    env: ({ id }) => Promise.resolve(own(settings().variables, id)),
    file: ({ id }) => fromFile(settings().stateDir, id),
    store: ({ id }) => findSecret(settings().stateDir, id),
    exec: (ref) => fromProgram(settings().stateDir, ref),
  };

  return {
    async read(value) {
      if (!("ref" in value)) return value;
      const { ref } = value;
      const what = `${ref.source}: ${ref.source === "exec" ? `${ref.provider ?? ""} ` : ""}${ref.id}`;
      try {
        const text = (await own(sources, ref.source)?.(ref))?.trim();
        return text === undefined || text === "" ? { missing: `${what}: there is none` } : { value: text };
      } catch (error) {
        return { missing: `${what}: ${(error as Error).message}` };
      }
    },
    forget(olderMs = 0) {
      for (const [key, { atMs }] of said) if (nowMs() - atMs >= olderMs) said.delete(key);
    },
  };
}

const never = new AbortController().signal;

/** Whoever may write the configuration gets by this no file that is the gateway's own, such as the operator's key. */
async function fromFile(stateDir: string, file: string): Promise<string | undefined> {
  if (!path.isAbsolute(file)) throw new Error("the path is not absolute");
  const real = await realpath(file).catch(() => file);
  if (isInside(real, await realpath(stateDir)))
    throw new Error("it is in the state directory; keep it elsewhere, or with `cloister secrets set`");
  const { uid } = await stat(stateDir);
  return readPrivate(real, uid, limits.secretBytesMax);
}
