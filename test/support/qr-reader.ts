/** What a camera reads from a QR code that somebody was shown: a picture, or lines of a terminal. */
import jsQr from "jsqr";
import { PNG } from "pngjs";

/** The code of a picture, whatever the size of its modules. */
export function readQrPicture(png: Buffer): string {
  const { data, width, height } = PNG.sync.read(png);
  return read(new Uint8ClampedArray(data), width, height);
}

/** Lines of half blocks, of which the light ones are drawn. Around them there is light. */
export function readQrLines(lines: readonly string[]): string {
  const dark: Readonly<Record<string, readonly [boolean, boolean]>> = {
    "█": [false, false],
    "▀": [false, true],
    "▄": [true, false],
    " ": [true, true],
  };
  const halves = lines.map((line) => Array.from(line, (sign) => dark[sign] ?? [false, false]));
  const modules = halves.flatMap((line) => [line.map(([upper]) => upper), line.map(([, lower]) => lower)]);
  // It is as high as it is wide: the lower half of the last line may be no part of it.
  const size = modules[0]?.length ?? 0;
  const side = (size + 2 * border) * pixels;
  const data = new Uint8ClampedArray(4 * side * side).fill(255);
  for (let at = 0; at < side * side; at++) {
    const [x, y] = [at % side, Math.floor(at / side)].map((n) => Math.floor(n / pixels) - border) as [number, number];
    if (y < size && modules[y]?.[x] === true) data.fill(0, 4 * at, 4 * at + 3);
  }
  return read(data, side, side);
}

/** Of a module, and modules of light around all of them. */
const pixels = 4;
const border = 4;

function read(data: Uint8ClampedArray, width: number, height: number): string {
  const code = jsQr.default(data, width, height);
  if (code === null) throw new Error(`no QR code is in this picture of ${width} by ${height} pixels`);
  return code.data;
}
