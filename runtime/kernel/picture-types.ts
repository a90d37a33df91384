/** What a picture is, by how its file begins: its name and what its sender says of it prove nothing. */

/** Media type of what models are shown; undefined: it is none of these. */
export function pictureTypeOf(bytes: Uint8Array): string | undefined {
  const begins = (at: number, ...wanted: readonly number[]): boolean =>
    wanted.every((byte, index) => bytes[at + index] === byte);
  const says = (at: number, text: string): boolean =>
    begins(at, ...Array.from(text, (letter) => letter.codePointAt(0) ?? 0));
  if (begins(0, 0x89) && says(1, "PNG\r\n\u001a\n")) return "image/png";
  if (begins(0, 0xff, 0xd8, 0xff)) return "image/jpeg";
  if (says(0, "GIF87a") || says(0, "GIF89a")) return "image/gif";
  return says(0, "RIFF") && says(8, "WEBP") ? "image/webp" : undefined;
}
