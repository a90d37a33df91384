/** Sizes as the configuration writes them. */

/** A million gigabytes. */
export const sizeBytesMax = 2 ** 50;

const units: Readonly<Record<string, number>> = { b: 1, kb: 2 ** 10, mb: 2 ** 20, gb: 2 ** 30, tb: 2 ** 40 };

/** Bytes of `"500mb"`, `"10gb"` or a number of bytes; undefined for anything else, for less than one and for more than `sizeBytesMax`. */
export function parseSize(value: string | number): number | undefined {
  const [, count, unit = "b"] =
    /^(\d{1,16}(?:\.\d{1,3})?)\s*([kmgt]?b)?$/.exec(String(value).trim().toLowerCase()) ?? [];
  const bytes = Math.floor(Number(count) * (units[unit] ?? Number.NaN));
  return bytes >= 1 && bytes <= sizeBytesMax ? bytes : undefined;
}

/** `"80%"` as a share of `bytes`, else a size; undefined when it is neither, or more than `bytes`. */
export function parseShare(value: string | number, bytes: number): number | undefined {
  const [, percent] = /^(\d{1,3})\s*%$/.exec(String(value).trim()) ?? [];
  const share = percent === undefined ? parseSize(value) : Math.floor((bytes * Number(percent)) / 100);
  return share !== undefined && share >= 1 && share <= bytes ? share : undefined;
}
