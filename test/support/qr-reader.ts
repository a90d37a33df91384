/**
 * What a camera reads from a QR code that somebody was shown: a picture, or lines of a terminal. The picture is without faults, so that the words for
 * correction are left aside; codes are of level L and of bytes, as the program draws them. Source: ISO/IEC 18004.
 */
import { inflateSync } from "node:zlib";

/** Rows of what is dark; with anything around the code. */
type Picture = readonly (readonly boolean[])[];

/** Of level L, by version: words for correction in each block, and blocks. */
const correctionWords = [
  7, 10, 15, 20, 26, 18, 20, 24, 30, 18, 20, 24, 26, 30, 22, 24, 28, 30, 28, 28, 28, 28, 30, 30, 26, 28, 30, 30, 30, 30,
  30, 30, 30, 30, 30, 30, 30, 30, 30, 30,
];
const blockCounts = [
  1, 1, 1, 1, 1, 2, 2, 2, 2, 4, 4, 4, 4, 4, 6, 6, 6, 6, 7, 8, 8, 9, 9, 10, 12, 12, 12, 13, 14, 15, 16, 17, 18, 19, 19,
  20, 21, 22, 24, 25,
];

const masks: readonly ((x: number, y: number) => boolean)[] = [
  (x, y) => (x + y) % 2 === 0,
  (_, y) => y % 2 === 0,
  (x) => x % 3 === 0,
  (x, y) => (x + y) % 3 === 0,
  (x, y) => (Math.floor(x / 3) + Math.floor(y / 2)) % 2 === 0,
  (x, y) => ((x * y) % 2) + ((x * y) % 3) === 0,
  (x, y) => (((x * y) % 2) + ((x * y) % 3)) % 2 === 0,
  (x, y) => (((x + y) % 2) + ((x * y) % 3)) % 2 === 0,
];

/** The code of a picture, whatever the size of its modules. */
export const readQrPicture = (png: Buffer): string => readQr(modulesOf(cut(pixelsOf(png))));

/** Lines of half blocks, of which the light ones are drawn. */
export function readQrLines(lines: readonly string[]): string {
  const halves: Readonly<Record<string, readonly [boolean, boolean]>> = {
    "█": [false, false],
    "▀": [false, true],
    "▄": [true, false],
    " ": [true, true],
  };
  const rows = lines.flatMap((line) => {
    const drawn = line.split("").map((sign) => halves[sign] ?? [false, false]);
    return [drawn.map(([upper]) => upper), drawn.map(([, lower]) => lower)];
  });
  // It is as high as it is wide: the lower half of the last line may be no part of it.
  return readQr(cut(rows.slice(0, rows[0]?.length)));
}

/** The smallest part that has all that is dark. */
function cut(picture: Picture): Picture {
  const rows = picture.flatMap((row, y) => (row.includes(true) ? [y] : []));
  const left = Math.min(...picture.map((row) => row.indexOf(true)).filter((x) => x >= 0));
  const right = Math.max(...picture.map((row) => row.lastIndexOf(true)));
  return picture.slice(rows[0], (rows.at(-1) ?? -1) + 1).map((row) => row.slice(left, right + 1));
}

/** One value for each module: the corner that is dark is seven of them wide, and there are 17 and some times four. */
function modulesOf(picture: Picture): Picture {
  const wide = picture[0] ?? [];
  const pixels = wide.indexOf(false) / 7;
  const size = 17 + 4 * Math.round((wide.length / pixels - 17) / 4);
  const at = (n: number): number => Math.floor(((n + 0.5) * wide.length) / size);
  const all = Array.from({ length: size }, (_, n) => n);
  return all.map((y) => all.map((x) => picture[at(y)]?.[at(x)] === true));
}

function readQr(dark: Picture): string {
  const size = dark.length;
  const version = (size - 17) / 4;
  if (!Number.isInteger(version) || version < 1 || version > 40) throw new Error(`no QR code has ${size} modules`);
  const format = readFormat(dark);
  if (format >> 13 !== 1) throw new Error("the QR code is not of level L");
  const isMasked = masks[(format >> 10) & 7] ?? (() => false);
  const isOfPattern = patternOf(size, version);
  let bits = "";
  for (let right = size - 1; right >= 1; right -= 2) {
    if (right === 6) right = 5;
    const goesUp = ((right + 1) & 2) === 0;
    for (let step = 0; step < size; step++) {
      const y = goesUp ? size - 1 - step : step;
      for (const x of [right, right - 1])
        if (!isOfPattern(x, y)) bits += (dark[y]?.[x] === true) === isMasked(x, y) ? "0" : "1";
    }
  }
  const words = (bits.match(/.{8}/g) ?? []).map((word) => Number.parseInt(word, 2));
  return textOf(dataOf(words, version), version);
}

/** Level, mask, and the rest by which both are known to be read well. */
function readFormat(dark: Picture): number {
  const upwards = [0, 1, 2, 3, 4, 5, 7, 8].map((y) => [8, y] as const);
  const places = [...upwards, ...[7, 5, 4, 3, 2, 1, 0].map((x) => [x, 8] as const)];
  const read = places.reduce((sum, [x, y], at) => sum | (dark[y]?.[x] === true ? 1 << at : 0), 0);
  const format = read ^ 0x5412;
  let rest = format >> 10;
  for (let step = 0; step < 10; step++) rest = (rest << 1) ^ ((rest >> 9) * 0x537);
  if ((format & 0x3ff) !== (rest & 0x3ff)) throw new Error("the format of the QR code cannot be read");
  return format;
}

/** What carries nothing of the text. */
function patternOf(size: number, version: number): (x: number, y: number) => boolean {
  const count = version === 1 ? 0 : Math.floor(version / 7) + 2;
  const step = version === 32 ? 26 : Math.ceil((version * 4 + 4) / (count * 2 - 2)) * 2;
  const centres = Array.from({ length: count }, (_, n) => (n === count - 1 ? 6 : size - 7 - n * step));
  const isCorner = (x: number, y: number): boolean =>
    (x === 6 && y === 6) || (x === 6 && y === size - 7) || (x === size - 7 && y === 6);
  const aligned = centres.flatMap((x) => centres.filter((y) => !isCorner(x, y)).map((y) => [x, y] as const));
  return (x, y) =>
    x === 6 ||
    y === 6 ||
    (x < 9 && y < 9) ||
    (x < 9 && y >= size - 8) ||
    (x >= size - 8 && y < 9) ||
    (version >= 7 && ((x < 6 && y >= size - 11) || (y < 6 && x >= size - 11))) ||
    aligned.some(([cx, cy]) => Math.abs(x - cx) <= 2 && Math.abs(y - cy) <= 2);
}

/** Blocks take their words by turns; the last ones may have one more. */
function dataOf(words: readonly number[], version: number): readonly number[] {
  const count = blockCounts[version - 1] ?? 1;
  const short = Math.floor(words.length / count) - (correctionWords[version - 1] ?? 0);
  const longFrom = count - (words.length % count);
  const blocks: number[][] = Array.from({ length: count }, () => []);
  let next = 0;
  for (let at = 0; at <= short; at++)
    for (const [number, block] of blocks.entries())
      if (at < short || number >= longFrom) block.push(words[next++] ?? 0);
  return blocks.flat();
}

function textOf(words: readonly number[], version: number): string {
  const bits = words.map((word) => word.toString(2).padStart(8, "0")).join("");
  if (!bits.startsWith("0100")) throw new Error("the QR code is not one of bytes");
  const from = 4 + (version < 10 ? 8 : 16);
  const length = Number.parseInt(bits.slice(4, from), 2);
  const bytes = Array.from({ length }, (_, n) => Number.parseInt(bits.slice(from + n * 8, from + n * 8 + 8), 2));
  return Buffer.from(bytes).toString();
}

/** Of a PNG of a browser: eight bits a colour, not interlaced. */
function pixelsOf(png: Buffer): Picture {
  const parts: Buffer[] = [];
  let [width, height, channels] = [0, 0, 0];
  for (let at = 8; at < png.length; at += 12 + png.readUInt32BE(at)) {
    const content = png.subarray(at + 8, at + 8 + png.readUInt32BE(at));
    const type = png.toString("latin1", at + 4, at + 8);
    if (type === "IHDR") {
      [width, height] = [content.readUInt32BE(0), content.readUInt32BE(4)];
      channels = content[9] === 6 ? 4 : 3;
    }
    if (type === "IDAT") parts.push(content);
  }
  const packed = inflateSync(Buffer.concat(parts));
  const stride = width * channels;
  let above = Buffer.alloc(stride);
  return Array.from({ length: height }, (_, y) => {
    const filter = packed[y * (stride + 1)] ?? 0;
    const row = Buffer.from(packed.subarray(y * (stride + 1) + 1, (y + 1) * (stride + 1)));
    for (let x = 0; x < stride; x++) {
      const [left, up, corner] = [row[x - channels] ?? 0, above[x] ?? 0, above[x - channels] ?? 0];
      row[x] = (row[x] ?? 0) + predict(filter, left, up, corner);
    }
    above = row;
    return Array.from({ length: width }, (_pixel, x) => (row[x * channels] ?? 0) < 128);
  });
}

function predict(filter: number, left: number, up: number, corner: number): number {
  if (filter < 4) return [0, left, up, Math.floor((left + up) / 2)][filter] ?? 0;
  const [a, b, c] = [up - corner, left - corner, left + up - 2 * corner].map(Math.abs) as [number, number, number];
  if (a <= b && a <= c) return left;
  return b <= c ? up : corner;
}
