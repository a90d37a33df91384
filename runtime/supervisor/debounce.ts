/** Many notices as one call: when it was quiet for a while, or after the longest wait, for what is never quiet. */
export interface Debounce {
  readonly notice: () => void;
  /** Nothing is called that was noticed before. */
  readonly cancel: () => void;
}

export function makeDebounce(call: () => void, quietMs: () => number, longestMs: number): Debounce {
  let quiet: NodeJS.Timeout | undefined;
  let longest: NodeJS.Timeout | undefined;

  const cancel = (): void => {
    clearTimeout(quiet);
    clearTimeout(longest);
    longest = undefined;
  };
  const end = (): void => {
    cancel();
    call();
  };
  return {
    notice() {
      clearTimeout(quiet);
      quiet = setTimeout(end, quietMs()).unref();
      // A while that was set longer stays one.
      longest ??= setTimeout(end, Math.max(quietMs(), longestMs)).unref();
    },
    cancel,
  };
}
