/** Several messages of one turn, as one text. */
import { describe, expect, it } from "vitest";
import { joinParts, partOf } from "../../../runtime/thread/cell/parts.ts";

const part = (body: string, isShortened = false, senderName?: string) =>
  partOf({
    header: JSON.stringify({
      id: `id of ${body}`,
      acceptedAtMs: 7,
      provenance: {
        kind: "external_user",
        sourceChannel: "webhook",
        ...(senderName === undefined ? {} : { senderName }),
      },
    }),
    body,
    isShortened,
  });

describe("a part", () => {
  it("is the message with who said it and when", () => {
    const told = part("hello", false, "Ana");
    expect(told.framed).toBe("hello");
    expect({ ...told }).toEqual({
      id: "id of hello",
      text: "hello",
      provenance: { kind: "external_user", sourceChannel: "webhook", senderName: "Ana" },
      receivedAtMs: 7,
      isShortened: false,
    });
  });
});

describe("parts as one text", () => {
  it("one alone is as it was said, unless it is shortened", () => {
    expect(joinParts([part("hello")])).toBe("hello");
    expect(joinParts([part("hello", true)])).toBe("[1 of 1, shortened]\nhello…");
  });

  it("of more, each is under its number and the name of its sender", () => {
    expect(joinParts([part("a", true), part("b", false, "Ana"), part("c")])).toBe(
      "[1 of 3, shortened]\na…\n\n[2 of 3, Ana]\nb\n\n[3 of 3]\nc",
    );
  });
});
