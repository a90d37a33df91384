import { describe, expect, it } from "vitest";
import { findToken, makeSecret } from "../../../runtime/edge/credential.ts";

const names = ["x-cloister-token", "x-openclaw-token"];

describe("the token of a request", () => {
  it.each([
    [{ authorization: "Bearer a" }, "a"],
    [{ authorization: "bearer   a  " }, "a"],
    [{ authorization: "Bearer a", "x-cloister-token": "b" }, "a"],
    [{ authorization: "Basic a", "x-cloister-token": "b" }, "b"],
    [{ "x-cloister-token": "b", "x-openclaw-token": "c" }, "b"],
    [{ "x-cloister-token": "", "x-openclaw-token": "c" }, "c"],
    [{ "x-cloister-token": "" }, undefined],
    [{ authorization: "Bearer " }, undefined],
    [{ authorization: "Bearer a b" }, undefined],
    [{ "x-token": "d" }, undefined],
  ])("in %j is %s", (headers, token) => {
    expect(findToken(headers, names)).toBe(token);
  });

  it("opens with the whole secret alone", () => {
    const secret = makeSecret("open sesame", "hooks.token");
    expect(secret.matches("open sesame")).toBe(true);
    for (const wrong of ["", "open", "open sesame ", "OPEN SESAME"]) expect(secret.matches(wrong)).toBe(false);
  });
});
