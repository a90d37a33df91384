/** The machine's timezone. It is the same as long as the process lives, and to ask for it takes a tenth of a millisecond: for 10,000 agents a second. */

let found: string | undefined;

export function localTimezone(): string {
  found ??= new Intl.DateTimeFormat().resolvedOptions().timeZone;
  return found;
}
