/**
 * Where commands run: what a command of a place is spawned as, with which folder, environment and user. The host has no containment; its
 * commands have the rights of the gateway's user, or of the folder's owner where the gateway is root.
 */
import { access, constants, mkdir, stat } from "node:fs/promises";
import path from "node:path";
import { refused } from "../results.ts";
import type { CommandAsked, CommandPlan, Place } from "../port.ts";
import type { BoxUser } from "./bubblewrap.ts";
import { plainWords } from "./words.ts";

const usualPath = ["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"];

/** What the loader, shells and interpreters take as code: with one of them a program is another one. Approvals bind the rest. */
const codeVariables =
  /^(?:LD_.*|DYLD_.*|BASH_ENV|ENV|BASH_FUNC_.*|SHELLOPTS|PS4|IFS|PATH|NODE_OPTIONS|NODE_PATH|PYTHON(?:PATH|STARTUP|HOME)|PERL5?(?:LIB|OPT|DB)|RUBY(?:LIB|OPT)|GIT_.*|CLOISTER_.*)$/;

/** In bubblewrap they would act on the program that bounds the command as well. A command may set them for what it runs. */
const loaderVariables = /^(?:LD_.*|GCONV_PATH|GLIBC_TUNABLES|LOCPATH)$/;

/** @throws a refusal. */
export async function planCommand(asked: CommandAsked): Promise<CommandPlan> {
  const { place, command, env } = asked;
  const isHost = place.type === "host";
  await mkdir(place.folder, { recursive: true, mode: 0o700 });
  const cwd = await placeOfWork(place, asked.workdir);
  const barred = isHost ? codeVariables : place.type === "bubblewrap" ? loaderVariables : undefined;
  for (const name of Object.keys(env))
    if (name.startsWith("CLOISTER_") || barred?.test(name) === true)
      throw refused("forbidden", `exec: env: ${name} cannot be set: it changes what programs are run`, "leave it out");
  const home = place.type === "host" ? place.folder : place.writable ? place.inside : "/tmp";
  const folders = [...asked.pathPrepend, ...usualPath];
  const whole = {
    PATH: folders.join(":"),
    HOME: home,
    LANG: "C.UTF-8",
    TERM: "dumb",
    ...(isHost ? {} : place.settings.env),
    ...env,
  };
  const words = asked.plain ? plainWords(command) : undefined;
  const program = words === undefined ? undefined : await findProgram(words[0] ?? "", place, cwd, folders);
  // What only a shell knows (`cd`, `export`) is no program: then it is one for the shell.
  const isPlain = words !== undefined && (program !== undefined || place.type === "docker");
  return {
    ok: true,
    vector: { argv: isPlain ? asPath(words, program) : ["/bin/sh", "-c", command], cwd, env: whole },
    program: isPlain ? program : "/bin/sh",
  };
}

/** A path is run as it was judged: made whole by its words, and not once more by the links on its way, which an agent may change. */
function asPath([first = "", ...rest]: readonly string[], program: string | undefined): readonly string[] {
  return [first.includes("/") ? (program ?? first) : first, ...rest];
}

/** A box is left by no path; the host may be worked on anywhere. */
async function placeOfWork(place: Place, given: string): Promise<string> {
  if (place.type === "host") {
    const cwd = path.resolve(place.folder, given);
    const found = await stat(cwd).catch(() => undefined);
    if (found?.isDirectory() !== true)
      throw refused(
        "not_found",
        `exec: workdir: there is no folder ${JSON.stringify(given)}`,
        "ls shows what is there",
      );
    return cwd;
  }
  return path.posix.resolve(place.inside, given);
}

/** The file that the word means to a shell; undefined: none that can be told. */
async function findProgram(
  word: string,
  place: Place,
  cwd: string,
  folders: readonly string[],
): Promise<string | undefined> {
  if (place.type === "docker") return undefined;
  // In a box its own files stand elsewhere than here.
  if (word.includes("/") && place.type !== "host") return path.posix.resolve(cwd, word);
  const candidates = word.includes("/") ? [path.resolve(cwd, word)] : folders.map((folder) => path.join(folder, word));
  for (const candidate of candidates) {
    const isThere = await access(candidate, constants.X_OK).then(
      () => stat(candidate).then((found) => found.isFile()),
      () => false,
    );
    if (isThere) return candidate;
  }
  return undefined;
}

/** Whose rights commands have in the folder; undefined: the gateway's own, who is no root or whose folder it is. */
export async function ownerOf(folder: string): Promise<BoxUser> {
  const { uid, gid } = await stat(folder);
  return process.getuid?.() === 0 ? { uid, gid } : { uid: process.getuid?.() ?? uid, gid: process.getgid?.() ?? gid };
}
