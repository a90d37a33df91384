/**
 * What an operator decides about, for eyes: marks of direction and of no width, controls, and blanks that are no space are written out, since they
 * could make one command or value look like another. Line ends stay. JSON, which shows where a text ends, stays JSON to the eye.
 */
export const writtenOut = (text: string): string =>
  text.replaceAll(
    /(?!\n)[\p{C}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}\u2800]|(?! )\p{Zs}/gu,
    (mark) => `\\u{${(mark.codePointAt(0) ?? 0).toString(16)}}`,
  );
