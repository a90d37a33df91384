/** Small files that are pictures, and how they are told of below a message. */
import { photo } from "../fixtures/mcp/tools.ts";
import { attachedText, messageFolder } from "../../runtime/kernel/attached-files.ts";

/** One black pixel. */
export const png = Buffer.from(photo, "base64");
export const jpeg = Buffer.from([0xff, 0xd8, 0xff, 0xe0, 0, 16, 0x4a, 0x46, 0x49, 0x46]);
export const gif = Buffer.from("GIF89a\u0001\u0000\u0001\u0000", "latin1");
export const webp = Buffer.from("RIFF\u0010\u0000\u0000\u0000WEBPVP8 ", "latin1");

export const inbox = `inbox/${messageFolder(Date.UTC(2026, 10, 21, 12), "0123456789abcdef")}`;

/** As a message with these pictures comes. */
export const withPictures = (text: string, ...names: readonly string[]): string =>
  text +
  attachedText(
    names.map((name) => ({ path: `${inbox}/${name}`, type: "image, image/png", bytes: png.length })),
    0,
    10,
  );
