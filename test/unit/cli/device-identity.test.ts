/** The command line's own device: made once, kept for its owner alone, and shown to gateways on other machines only. */
import { chmod, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import path from "node:path";
import { describe, expect, it } from "vitest";
import { openDevice } from "../../../runtime/cli/device-identity.ts";
import { findGateway } from "../../../runtime/cli/find-gateway.ts";
import { findDeviceFault } from "../../../runtime/edge/device-proof.ts";
import { useCliHome } from "./cli-home.ts";

const cli = useCliHome();
const file = (): string => path.join(cli.stateDir, "identity", "device.json");
const said: string[] = [];
const open = () => openDevice(cli.stateDir, (line) => said.push(line));
const params = {
  minProtocol: 4,
  maxProtocol: 4,
  client: { id: "cli", version: "1", platform: "linux", mode: "cli" },
  role: "operator",
  scopes: ["operator.read"],
  auth: { token: "t" },
};

describe("the key", () => {
  it("is made once, for its owner alone, and its proof holds for this challenge", async () => {
    const [first, second] = await Promise.all([open(), open()]);
    const later = await open();
    expect([second.deviceId, later.deviceId]).toEqual([first.deviceId, first.deviceId]);
    expect((await stat(file())).mode & 0o777).toBe(0o600);
    expect(await readdir(path.dirname(file()))).toEqual(["device.json"]);
    const block = later.prove(params, { nonce: "n-1", ts: 5 });
    expect(findDeviceFault(block, params, { nonce: "n-1", nowMs: 5, skewMs: 0 })).toBeUndefined();
    expect(findDeviceFault(block, { ...params, auth: { token: "other" } }, { nonce: "n-1", nowMs: 5, skewMs: 0 })).toBe(
      "DEVICE_AUTH_SIGNATURE_INVALID",
    );
  });

  it("keeps the token of each gateway, also for the next command", async () => {
    const device = await open();
    await device.keepToken("ws://a/", "token-a");
    await device.keepToken("ws://b/", "token-b");
    const later = await open();
    expect(["ws://a/", "ws://b/", "ws://c/"].map((url) => later.tokenFor(url))).toEqual([
      "token-a",
      "token-b",
      undefined,
    ]);
  });

  it("two commands at once keep each its token, and leave one whole file and no draft, whoever is last", async () => {
    const [first, second] = await Promise.all([open(), open()]);
    await first.keepToken("ws://a/", "token-a");
    await second.keepToken("ws://b/", "token-b");
    const later = await open();
    expect([later.tokenFor("ws://a/"), later.tokenFor("ws://b/")]).toEqual(["token-a", "token-b"]);
    const many = await Promise.all(Array.from({ length: 20 }, () => open()));
    said.length = 0;
    await Promise.all(many.map((device, n) => device.keepToken(`ws://${n}/`, "x".repeat(100 * n))));
    expect(said).toEqual([]);
    expect((await open()).deviceId).toBe(first.deviceId);
    expect(await readdir(path.dirname(file()))).toEqual(["device.json"]);
  });

  it("a token that cannot be kept is told, and the command goes on", async () => {
    const device = await open();
    await rm(path.dirname(file()), { recursive: true });
    said.length = 0;
    await device.keepToken("ws://a/", "token-a");
    expect(said).toEqual([expect.stringContaining(`could not be kept in ${file()}`)]);
    expect(said.join()).not.toContain("token-a");
  });

  it.each([
    ["no JSON", "{"],
    ["of another version", '{"version":2,"privateKey":"","tokens":{}}'],
    ["without a key", '{"version":1,"privateKey":"none","tokens":{}}'],
  ])("that is %s is refused, with the file and what to do", async (_what, text) => {
    await open();
    await writeFile(file(), text);
    await expect(open()).rejects.toMatchObject({
      code: "CLOISTER_STATE_UNUSABLE",
      message: expect.stringContaining(file()),
      remedy: expect.stringContaining("has to be approved"),
    });
  });

  it("that others may read is refused", async () => {
    await open();
    await chmod(file(), 0o640);
    await expect(open()).rejects.toMatchObject({
      code: "CLOISTER_STATE_UNUSABLE",
      message: expect.stringContaining("640"),
    });
  });

  it("that cannot be made says where", async () => {
    await writeFile(path.join(cli.stateDir, "identity"), "a file");
    await expect(open()).rejects.toMatchObject({
      code: "CLOISTER_STATE_UNUSABLE",
      message: expect.stringContaining(file()),
    });
  });
});

describe("what it is for", () => {
  it("a gateway on another machine gets a device, with its token when no secret is given; one on this machine gets none", async () => {
    const away = await findGateway(cli.context({ url: "wss://gateway.example/" }));
    await away.device?.keepToken(away.url, "kept");
    const again = await findGateway(cli.context({ url: "wss://gateway.example/" }));
    expect([again.device?.deviceId, again.device?.tokenFor(again.url)]).toEqual([away.device?.deviceId, "kept"]);
    const before = await readFile(file(), "utf8");
    for (const url of ["ws://127.0.0.1:1/", "ws://[::1]:1/", "ws://localhost:1/"])
      expect(await findGateway(cli.context({ url }))).not.toHaveProperty("device");
    expect(await readFile(file(), "utf8")).toBe(before);
  });
});
