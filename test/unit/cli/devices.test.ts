/** `cloister devices` against a scripted gateway: what is shown, what is asked, and that nothing unseen is approved. */
import { beforeEach, expect, it } from "vitest";
import { useCliHome } from "./cli-home.ts";

const cli = useCliHome();
const request = {
  requestId: "req-1",
  revision: 3,
  deviceId: "d".repeat(64),
  role: "operator",
  kind: "upgrade-scope",
  scopes: ["operator.read", "operator.write"],
  adds: ["operator.write"],
  already: ["operator.read"],
  explanations: { "operator.write": "send messages to agents in your name" },
  clientId: "panel",
  clientMode: "ui",
  platform: "linux",
  remoteIp: "192.0.2.7",
  ts: 1,
};
const keyChange = { ...request, requestId: "req-0", kind: "key-change", looksLike: "e".repeat(64) };
const list = { pending: [request, keyChange], paired: [] };

beforeEach(() =>
  cli.serve((asked, { answer }) => {
    answer(asked, asked.method === "device.pair.list" ? list : { requestId: "req-1", device: {} });
  }),
);

const run = (...args: readonly string[]): Promise<number> => cli.run("devices", ...args);
const asked = (): readonly unknown[] =>
  cli.requests.map(({ method, params }) => (method === "connect" ? params["scopes"] : [method, params]));

it.each([[["approve"]], [["approve", "--latest"]], [["approve", "req-1", "--latest"]]])(
  "AC-11.3: %s only shows the newest, and ends with 1",
  async (args) => {
    expect(await run(...args)).toBe(1);
    expect(asked()).toEqual([["operator.pairing"], ["device.pair.list", {}]]);
    expect(cli.terminal.errText()).toContain("devices approve req-1");
  },
);

it("AC-13.1: an approval says what it gives to whom, and approves the revision that it showed", async () => {
  expect(await run("approve", "req-1")).toBe(0);
  const text = cli.terminal.outText();
  for (const part of [
    "wants more access",
    "client panel (ui), linux, 192.0.2.7",
    "role operator",
    "+ operator.write: send messages to agents in your name",
    "has already: operator.read",
    "until it is revoked",
  ])
    expect(text).toContain(part);
  expect(asked()).toEqual([
    ["operator.pairing"],
    ["device.pair.list", {}],
    ["operator.pairing", "operator.read", "operator.write"],
    ["device.pair.approve", { requestId: "req-1", revision: 3 }],
  ]);
});

it("AC-13.1: as JSON it has adds, already and explanations", async () => {
  expect(await run("approve", "req-1", "--json")).toBe(0);
  expect(JSON.parse(cli.terminal.outText())).toMatchObject({
    requestId: "req-1",
    adds: ["operator.write"],
    already: ["operator.read"],
    explanations: request.explanations,
  });
});

it("AC-16.1: the list says in words why each waits", async () => {
  expect(await run("list")).toBe(0);
  expect(cli.terminal.outText()).toContain("wants more access");
  expect(cli.terminal.outText()).toContain("has a new key for what looks like a known device");
});

it("AC-12.1: each command goes with the operator's key and the least scope that it needs", async () => {
  expect(await run("reject", "req-1")).toBe(0);
  expect(await run("remove", "dev")).toBe(0);
  expect(await run("rename", "--device", "dev", "--name", "desk")).toBe(0);
  expect(await run("revoke", "--device", "dev")).toBe(0);
  expect(await run("rotate", "--device", "dev", "--no-scopes")).toBe(0);
  expect(await run("clear", "--pending")).toBe(1);
  expect(await run("clear", "--pending", "--yes")).toBe(0);
  expect(asked().filter((_, index) => index < 10)).toEqual([
    ["operator.pairing"],
    ["device.pair.reject", { requestId: "req-1" }],
    ["operator.pairing"],
    ["device.pair.remove", { deviceId: "dev" }],
    ["operator.pairing"],
    ["device.pair.rename", { deviceId: "dev", label: "desk" }],
    ["operator.pairing"],
    ["device.token.revoke", { deviceId: "dev", role: "operator" }],
    ["operator.admin", "operator.pairing"],
    ["device.token.rotate", { deviceId: "dev", role: "operator", scopes: [] }],
  ]);
  expect(asked().slice(-2)).toEqual([
    ["device.pair.reject", { requestId: "req-1" }],
    ["device.pair.reject", { requestId: "req-0" }],
  ]);
  for (const { method, params } of cli.requests)
    if (method === "connect") expect(params["auth"]).toEqual({ token: "ab".repeat(32) });
});
