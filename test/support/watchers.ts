/** Who waits in a test until something is so, which is looked at again whenever something has changed. */
export interface Watchers {
  /** Resolves at once when it is so already. */
  readonly until: (match: () => boolean) => Promise<void>;
  readonly changed: () => void;
}

export function makeWatchers(): Watchers {
  const watchers = new Set<() => void>();
  return {
    changed: () => {
      for (const watcher of watchers) watcher();
    },
    until: (match) =>
      new Promise((resolve) => {
        const check = (): void => {
          if (!match()) return;
          watchers.delete(check);
          resolve();
        };
        watchers.add(check);
        check();
      }),
  };
}
