/**
 * The version row of an environment and the one migrator.
 *
 * Layout (every environment): `["format"]` → `{ name, format }`, written when the environment is first opened. A crash before
 * that commit leaves an empty environment, which the next start treats as new.
 */
import { failure } from "../kernel/errors.ts";
import type { Environment } from "./environment.ts";

/** Layout versions that this program writes. Raise one together with a step in `migrations`. */
export const formats = { registry: 3, journal: 11, agent: 3 } as const;

export type EnvironmentName = keyof typeof formats;

/** What brings an environment from version `n` to `n + 1`; runs inside the transaction that also writes the version row. */
export type Migration = (environment: Environment) => void;

interface FormatRow {
  readonly name: string;
  readonly format: number;
}

/**
 * Brings an environment to the wanted version; nothing else ever reads an old shape.
 * Rejects with `CLOISTER_STATE_VERSION` when it was written by a newer program or no step leads on from its version.
 */
export async function openFormat(
  environment: Environment,
  name: EnvironmentName,
  place: string,
  wanted: number = formats[name],
  migrations: Readonly<Record<number, Migration>> = {},
): Promise<void> {
  if (checkFormat(environment, name, place, wanted) === wanted) return;
  await environment.write(() => {
    let format = checkFormat(environment, name, place, wanted) ?? wanted;
    for (; format < wanted; format += 1) {
      const migrate = migrations[format];
      if (migrate === undefined) throw wrongVersion(place, `${name} format ${format}`, `${name} format ${wanted}`);
      migrate(environment);
    }
    environment.put(["format"], { name, format } satisfies FormatRow);
  });
}

/** The version found, undefined in a new environment. Writes nothing; throws when this program must not touch what is there. */
export function checkFormat(
  environment: Pick<Environment, "get">,
  name: EnvironmentName,
  place: string,
  wanted: number = formats[name],
): number | undefined {
  const found = environment.get<FormatRow>(["format"]);
  if (found === undefined) return undefined;
  if (found.name === name && found.format <= wanted) return found.format;
  throw wrongVersion(place, `${found.name} format ${found.format}`, `${name} format ${wanted}`);
}

function wrongVersion(place: string, found: string, wanted: string): Error {
  return failure(
    "CLOISTER_STATE_VERSION",
    `cannot open the store in ${place}: it holds ${found}, and this version of Cloister reads ${wanted}`,
    "run the version of Cloister that wrote it, or set CLOISTER_STATE_DIR to another directory",
  );
}
