/** What came of reading secrets anew, as threads tell the main thread, which reads none. Keys of the config; no secret is in it. */

export interface SecretsRead {
  /** Another secret is behind them, and in use from now on. */
  readonly renewed: readonly string[];
  /** What has one from before goes on with it. */
  readonly unread: readonly UnreadSecret[];
}

/** A key that refers to a secret, and why that cannot be read: for operators, since it may name files. */
export interface UnreadSecret {
  readonly path: string;
  readonly message: string;
  readonly remedy: string;
}

export const nothingRead: SecretsRead = { renewed: [], unread: [] };

/** Each key once, in order: several threads may use the same one. */
export function joinSecretsRead(all: readonly SecretsRead[]): SecretsRead {
  const unread = new Map(all.flatMap((one) => one.unread.map((each) => [each.path, each] as const)));
  return {
    renewed: [...new Set(all.flatMap(({ renewed }) => renewed))].toSorted(),
    unread: [...unread.values()].toSorted((a, b) => (a.path < b.path ? -1 : 1)),
  };
}
