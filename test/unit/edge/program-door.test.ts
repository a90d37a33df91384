/** The door of programs: a token that was taken back opens nothing, however far its request has come. */
import { createHash } from "node:crypto";
import type { IncomingMessage } from "node:http";
import { expect, it } from "vitest";
import { makeAttempts } from "../../../runtime/edge/attempts.ts";
import { makeBounds } from "../../../runtime/edge/bounds.ts";
import { makeSecret } from "../../../runtime/edge/credential.ts";
import type { CallerKey } from "../../../runtime/edge/port.ts";
import { makeProgramDoor } from "../../../runtime/edge/programs/door.ts";

const keyOf = (id: string, token: string): CallerKey => ({
  id,
  name: id,
  tokenHash: createHash("sha256").update(token).digest("hex"),
});

function open() {
  const [shop, desk] = [keyOf("shop", "of-shop"), keyOf("desk", "of-desk")];
  const door = makeProgramDoor({
    callers: [shop, desk],
    door: () => ({ operatorKey: makeSecret("of-operator", "key"), shared: makeSecret("of-all", "token") }),
    attempts: makeAttempts({
      rule: () => ({ failuresMax: 10, windowMs: 60_000, lockoutMs: 1_000 }),
      addressesMax: 10,
      now: () => 0,
    }),
    bounds: makeBounds({}),
    now: () => 0,
  });
  const ended: string[] = [];
  /** A request that the guard has let in; `enter` is what follows when its body is there. */
  const request = (token: string) => {
    const made = {
      headers: { authorization: `Bearer ${token}` },
      socket: { remoteAddress: "127.0.0.1" },
    } as unknown as IncomingMessage;
    const refusal = door.guard({ request: made, query: new URLSearchParams(), addressKey: "here" } as never);
    expect(refusal).toBeUndefined();
    return { enter: () => door.enter(made, ({ code }) => ended.push(`${token} ${code}`)) };
  };
  return { door, shop, desk, request, ended };
}

const revoked = expect.objectContaining({ code: "CLOISTER_CAPABILITY_REVOKED" });

it.each([
  ["revoked", []],
  ["replaced", [keyOf("shop", "another")]],
])("a caller's token that is %s ends its open calls, and those whose body is still read", (_how, left) => {
  const { door, desk, request, ended } = open();
  const reading = request("of-shop");
  const other = request("of-desk");
  request("of-shop").enter();
  door.setCallers([...left, desk]);
  expect(ended).toEqual(["of-shop CLOISTER_CAPABILITY_REVOKED"]);
  expect(reading.enter).toThrow(revoked);
  other.enter();
  expect(ended).toHaveLength(1);
});

it("another token of the gateway does the same to those that came with the old one, and to nobody else", () => {
  const { door, request, ended } = open();
  const reading = request("of-all");
  const others = ["of-operator", "of-shop"].map(request);
  request("of-all").enter();
  door.closeShared();
  expect(ended).toEqual(["of-all CLOISTER_CAPABILITY_REVOKED"]);
  expect(reading.enter).toThrow(revoked);
  for (const other of others) other.enter();
  request("of-all").enter();
  expect(ended).toHaveLength(1);
});
