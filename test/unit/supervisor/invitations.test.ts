import { expect, it } from "vitest";
import { limits } from "../../../runtime/kernel/limits.ts";
import { makeInvitations } from "../../../runtime/supervisor/invitations.ts";

it("bootstrap tokens end after their time, are for one role, work until they are used, and are few", () => {
  let nowMs = 0;
  const invitations = makeInvitations(() => nowMs);
  const { token, expiresAtMs } = invitations.issue({ role: "operator", scopes: ["operator.read", "root"] });
  expect(expiresAtMs).toBe(limits.bootstrapTokenMs);
  expect(invitations.find(token, "operator")).toMatchObject({ role: "operator", scopes: ["operator.read"] });
  expect(invitations.find(token, "node")).toBeUndefined();
  expect(invitations.find("", "operator")).toBeUndefined();
  nowMs = expiresAtMs - 1;
  expect(invitations.find(token, "operator")).toBeDefined();
  nowMs = expiresAtMs;
  expect(invitations.find(token, "operator")).toBeUndefined();

  const open = Array.from({ length: limits.bootstrapTokensMax }, () => invitations.issue({ role: "node", scopes: [] }));
  expect(new Set(open.map((one) => one.token)).size).toBe(limits.bootstrapTokensMax);
  expect(() => invitations.issue({ role: "node", scopes: [] })).toThrow(/which is the most/);
  invitations.use(open[0]?.token ?? "");
  expect(invitations.find(open[0]?.token ?? "", "node")).toBeUndefined();
  expect(invitations.issue({ role: "node", scopes: [] }, 5).expiresAtMs).toBe(nowMs + 5);
});
