/** A text in pieces that are found as one: whole lines, a heading at the beginning where there is one. */
import { limits } from "../../kernel/limits.ts";

export interface Piece {
  /** Lines from 1, both of them in it. */
  readonly from: number;
  readonly to: number;
  readonly text: string;
}

export function cutIntoPieces(text: string): readonly Piece[] {
  const { memoryPieceChars: most, memoryPieceCharsMin: least } = limits;
  const pieces: Piece[] = [];
  let lines: string[] = [];
  let chars = 0;
  let from = 1;
  const close = (next: number): void => {
    const whole = lines.join("\n");
    if (whole.trim() !== "") pieces.push({ from, to: next - 1, text: whole });
    lines = [];
    chars = 0;
    from = next;
  };
  for (const [index, line] of text.split(/\r?\n/).entries()) {
    const number = index + 1;
    const isHeading = /^#{1,6}\s/.test(line);
    if (lines.length > 0 && (chars + line.length > most || (isHeading && chars >= least))) close(number);
    if (line.length <= most) {
      lines.push(line);
      chars += line.length + 1;
      continue;
    }
    for (let at = 0; at < line.length; at += most)
      pieces.push({ from: number, to: number, text: line.slice(at, at + most) });
    from = number + 1;
  }
  close(from + lines.length);
  return pieces;
}
