import { describe, expect, it } from "vitest";
import { keyInFragment, keyInPaste, socketAddress } from "../../../channels/web/page/operator-key.ts";

describe("the operator's key", () => {
  it("is read from the fragment", () => {
    expect(keyInFragment("#key=beef")).toBe("beef");
    expect(keyInFragment("#a=1&key=beef")).toBe("beef");
    expect(keyInFragment("#key=")).toBeUndefined();
    expect(keyInFragment("#other")).toBeUndefined();
    expect(keyInFragment("")).toBeUndefined();
  });

  it("is read from a pasted key or a pasted link", () => {
    expect(keyInPaste("  beef\n")).toBe("beef");
    expect(keyInPaste("http://127.0.0.1:18789/#key=beef")).toBe("beef");
    expect(keyInPaste("pass#word")).toBe("pass#word");
    expect(keyInPaste("  ")).toBeUndefined();
  });
});

describe("the socket's address", () => {
  it.each([
    ["http://127.0.0.1:18789/", "ws://127.0.0.1:18789/"],
    ["https://host.example/ui/", "wss://host.example/ui/"],
    ["https://host.example/ui/index.html", "wss://host.example/ui/"],
    ["http://[::1]:1/?gateway=ws://evil.example/#key=beef", "ws://[::1]:1/"],
  ])("of the page %s is %s", (page, socket) => {
    expect(socketAddress(page)).toBe(socket);
  });
});
