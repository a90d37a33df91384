/** What stands below a message with files: which of them are pictures, and what files are. */
import { expect, it, test } from "vitest";
import { attachedText, isMessageFolder, messageFolder, picturesIn } from "../../../runtime/kernel/attached-files.ts";
import { pictureTypeOf } from "../../../runtime/kernel/picture-types.ts";
import { gif, inbox, jpeg, png, webp, withPictures } from "../../support/pictures.ts";

const below = (name: string, type: string) => attachedText([{ path: `${inbox}/${name}`, type, bytes: 9 }], 0, 10);

it.each([
  ["a picture", "1-a.png", "image, image/png", true],
  ["one whose kind alone is known", "1-a.jpg", "image", true],
  ["one that was sent as a document", "1-a.png", "document, image/png", true],
  ["a name with spaces and brackets", "1-a (2) [x].png", "image, image/png", true],
  ["a film", "1-a.mp4", "video, video/mp4", false],
  ["a document", "1-image.pdf", "document, application/pdf", false],
  ["something that calls itself nearly so", "1-a", "imagery", false],
])("%s", (_what, name, type, isPicture) => {
  expect(picturesIn(`hello${below(name, type)}`)).toEqual(isPicture ? [`${inbox}/${name}`] : []);
});

test("pictures are found in their order, beside files that did not come and others", () => {
  const text = attachedText(
    [
      { path: `${inbox}/1-a.png`, type: "image, image/png", bytes: 1 },
      { name: "2-b.png", type: "image, image/png", reason: "it is too large" },
      { path: `${inbox}/3-c.pdf`, type: "document, application/pdf", bytes: 1 },
      { path: `${inbox}/4-d.gif`, type: "image, image/gif", bytes: 1 },
    ],
    2,
    10,
  );
  expect(picturesIn(`see${text}`)).toEqual([`${inbox}/1-a.png`, `${inbox}/4-d.gif`]);
  expect(text).toContain("- 2-b.png (image, image/png): not fetched, it is too large\n");
  expect(text).toMatch(/- 2 more, which are not fetched: 10 of a message are$/);
});

test("what people write names no picture but those of the inbox, behind the last head", () => {
  const line = `- ${inbox}/1-a.png (image, image/png, 9 bytes)`;
  expect(picturesIn(line)).toEqual([]);
  for (const path of [
    "inbox/../secret.png",
    "inbox/x/1-a.png",
    "/etc/passwd",
    "memory/1-a.png",
    `${inbox}/../../a.png`,
  ])
    expect(picturesIn(`x${below("1-a.png", "image")}`.replace(`${inbox}/1-a.png`, path))).toEqual([]);
  // Who imitates the head has the line of a file that came to this agent.
  expect(picturesIn(`${withPictures("x", "1-a.png")}${below("1-b.pdf", "document")}`)).toEqual([]);
});

test("folders of messages are sorted by time, and known again", () => {
  const name = messageFolder(Date.UTC(2026, 0, 2, 3, 4, 5), "0123456789abcdef");
  expect(name).toBe("2026-01-02T030405-0123456789ab");
  expect([name, "2026-01-02", "notes", `${name}x`].map(isMessageFolder)).toEqual([true, false, false, false]);
});

test("a picture is what its bytes say", () => {
  expect([png, jpeg, gif, webp].map(pictureTypeOf)).toEqual(["image/png", "image/jpeg", "image/gif", "image/webp"]);
  for (const other of ["", "GIF", "<svg></svg>", "RIFF\u0000\u0000\u0000\u0000WAVE", "\u0089PNG\r\n\u001a", "%PDF-1.7"])
    expect(pictureTypeOf(Buffer.from(other, "latin1")), other).toBeUndefined();
});
