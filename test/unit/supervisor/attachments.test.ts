/** Files handed to a sub-agent, as they are judged before anything is started. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { attachmentsParam, makeHeldFiles, readAttachments } from "../../../runtime/supervisor/attachments.ts";

const rules = { isEnabled: true, totalBytesMax: 100, filesMax: 3, fileBytesMax: 60, isKept: false };

interface Given {
  readonly name: string;
  readonly content: string;
  readonly encoding?: "utf8" | "base64";
}

/** As a cell sends them: the contents behind the task. */
function read(files: readonly Given[], changes: Partial<typeof rules> = {}, task = "do it") {
  const listed = files.map(({ content, ...file }) => ({ ...file, chars: content.length }));
  return readAttachments(task + files.map(({ content }) => content).join(""), attachmentsParam.parse(listed), {
    ...rules,
    ...changes,
  });
}

describe("attachments of sessions_spawn", () => {
  test("are taken from behind the task, as text and as base64", () => {
    const read2 = read([
      { name: "a.txt", content: "grüße" },
      { name: "b.bin", content: Buffer.from([0, 255, 10]).toString("base64"), encoding: "base64" },
    ]);
    expect(read2).toEqual({
      task: "do it",
      files: [
        { name: "a.txt", content: Buffer.from("grüße") },
        { name: "b.bin", content: Buffer.from([0, 255, 10]) },
      ],
    });
    expect(read([])).toEqual({ task: "do it", files: [] });
  });

  test.each([
    ["..", "wanted the name of a file"],
    [".", "wanted the name of a file"],
    ["", "wanted the name of a file"],
    ["../x", "without a folder"],
    ["/etc/passwd", "without a folder"],
    ["a/b", "without a folder"],
    ["a\\b", "without a folder"],
    ["..\\x", "without a folder"],
    ["a\0.txt", "without control characters"],
    ["a\nb", "without control characters"],
    ["\u202Etxt.exe", "without control characters"],
    ["a\u200B", "without control characters"],
    ["a\u2028b", "without control characters"],
    ["\uD800", "without control characters"],
    [" a", "without spaces around it"],
    ["a ", "without spaces around it"],
    ["a".repeat(129), "at most 128 characters"],
    ["漢".repeat(100), "at most 255 bytes"],
  ])("refuses the name %j", (name, text) => {
    expect(read([{ name, content: "x" }])).toMatchObject({
      code: "CLOISTER_REQUEST_INVALID",
      message: expect.stringMatching(new RegExp(String.raw`attachments\[0\]\.name: [^]*${text}`, "u")),
    });
  });

  test("gives no name that is more than one component of a path, whatever is given", () => {
    const piece = fc.oneof(
      fc.constantFrom("..", ".", "/", "\\", "\0", "a", "%2e", "…", "．", "／", "\u0301"),
      fc.string(),
    );
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 6 }), (pieces) => {
        const result = read([{ name: pieces.join(""), content: "x" }]);
        if ("code" in result) return;
        for (const { name } of result.files) {
          expect(name).not.toMatch(/[/\\\p{Cc}]/u);
          expect([".", "..", ""]).not.toContain(name);
          expect(name).toBe(name.normalize("NFC"));
        }
      }),
    );
  });

  test("refuses two names that are the same on some disk", () => {
    for (const [one, other] of [
      ["a.txt", "A.TXT"],
      ["\u00E9", "e\u0301"],
    ] as const)
      expect(
        read([
          { name: one, content: "x" },
          { name: other, content: "y" },
        ]),
      ).toMatchObject({ message: expect.stringContaining("is there twice") });
  });

  test.each([
    [
      "when they are off",
      [{ name: "a", content: "x" }],
      { isEnabled: false },
      "CLOISTER_CAPABILITY_DENIED",
      "enabled: true",
    ],
    [
      "too many",
      ["a", "b", "c", "d"].map((name) => ({ name, content: "x" })),
      {},
      "CLOISTER_REQUEST_INVALID",
      "maxFiles",
    ],
    ["one too large", [{ name: "a", content: "x".repeat(61) }], {}, "CLOISTER_REQUEST_INVALID", "maxFileBytes"],
    ["one far too large", [{ name: "a", content: "x".repeat(121) }], {}, "CLOISTER_REQUEST_INVALID", "maxFileBytes"],
    [
      "one too large in bytes",
      [{ name: "a", content: "ü".repeat(31) }],
      {},
      "CLOISTER_REQUEST_INVALID",
      "maxFileBytes",
    ],
    [
      "too much in all",
      ["a", "b"].map((name) => ({ name, content: "x".repeat(51) })),
      {},
      "CLOISTER_REQUEST_INVALID",
      "maxTotalBytes",
    ],
  ])("refuses them %s, and names the key", (_what, files, changes, code, key) => {
    expect(read(files, changes)).toMatchObject({
      code,
      remedy: expect.stringContaining(`tools.sessions_spawn.attachments.${key}`),
    });
  });

  test.each(["x", "AA=A", "AAA", "AA==AA==", "AB==", "A A=", "AAA\n"])("refuses %j, which is no base64", (content) => {
    expect(read([{ name: "a", content, encoding: "base64" }])).toMatchObject({
      message: "sessions_spawn: attachments[0].content is not base64",
    });
  });

  test("refuses sizes that are not those of the body", () => {
    expect(readAttachments("short", attachmentsParam.parse([{ name: "a", chars: 6 }]), rules)).toMatchObject({
      message: expect.stringContaining("6 characters were announced, 5 came"),
    });
    expect(attachmentsParam.safeParse([{ name: "a", chars: -1 }]).success).toBe(false);
    expect(attachmentsParam.safeParse([{ name: "a" }]).success).toBe(false);
  });
});

describe("files that wait for their runs' cells", () => {
  test("are bounded over all runs, and given once", () => {
    const held = makeHeldFiles(10);
    const files = [{ name: "a", content: Buffer.alloc(6) }];
    expect(held.hold("r-1", files)).toBeUndefined();
    expect(held.hold("r-2", files)).toMatchObject({ code: "CLOISTER_BUSY", retryAfterMs: expect.any(Number) });
    expect(held.take("r-2")).toBeUndefined();
    expect(held.take("r-1")).toEqual({ folder: ".cloister/attachments/r-1", files });
    expect(held.take("r-1")).toBeUndefined();
    expect(held.hold("r-2", files)).toBeUndefined();
    held.forget("r-2");
    held.forget("r-2");
    expect(held.hold("r-3", files)).toBeUndefined();
    expect(held.hold("r-4", files)).toMatchObject({ code: "CLOISTER_BUSY" });
  });
});
