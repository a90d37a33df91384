import { chmod, mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { GlobalOptions } from "../../../runtime/cli/context.ts";
import { findGateway, type FoundGateway } from "../../../runtime/cli/find-gateway.ts";
import { makeContext, makeFakeTerminal } from "./fake-terminal.ts";

const key = "ab".repeat(32);
let home: string;
let stateDir: string;
beforeEach(async () => {
  home = await mkdtemp(path.join(tmpdir(), "cloister-cli-"));
  stateDir = path.join(home, ".cloister");
  await mkdir(path.join(stateDir, "run"), { recursive: true });
});
afterEach(async () => {
  await rm(home, { recursive: true, force: true });
});

const writeKey = (text = `${key}\n`, mode = 0o600): Promise<void> =>
  writeFile(path.join(stateDir, "operator.key"), text, { mode });
const writeRun = (text: string): Promise<void> => writeFile(path.join(stateDir, "run", "gateway.json"), text);
const find = (options: GlobalOptions = {}, env: Record<string, string> = {}): Promise<FoundGateway> =>
  findGateway({ ...makeContext(home, makeFakeTerminal(), options), env });

describe("the gateway of the state directory", () => {
  it("is where it says that it listens, with the operator key", async () => {
    await writeKey();
    await writeRun(JSON.stringify({ pid: 1, port: 4321, host: "127.0.0.1" }));
    expect(await find()).toMatchObject({ url: "ws://127.0.0.1:4321/", token: key, source: "running" });
  });

  it.each([
    ["0.0.0.0", "ws://127.0.0.1:1/"],
    ["::", "ws://[::1]:1/"],
    ["::1", "ws://[::1]:1/"],
    ["192.0.2.7", "ws://192.0.2.7:1/"],
  ])("listening on %s is called at %s", async (host, url) => {
    await writeKey();
    await writeRun(JSON.stringify({ pid: 1, port: 1, host }));
    expect((await find()).url).toBe(url);
  });

  it("that does not run is looked for where the config would have it", async () => {
    await writeFile(path.join(stateDir, "cloister.json"), '{ gateway: { port: 5555, auth: { token: "cfg" } } }');
    expect(await find()).toMatchObject({ url: "ws://127.0.0.1:5555/", token: "cfg", source: "config" });
  });

  it("is of the profile and of the state directory that are named", async () => {
    await writeFile(path.join(stateDir, "cloister.json"), "{ gateway: { port: 5555 } }");
    expect((await find({ profile: "dev" })).url).toBe("ws://127.0.0.1:18789/");
    expect((await find({ stateDir })).url).toBe("ws://127.0.0.1:5555/");
  });

  it("says how to start it, with the options that choose the same one", async () => {
    expect((await find({ profile: "dev" })).remedy).toContain("`cloister --profile dev gateway`");
  });

  it("a given token goes before the key, the key before the environment", async () => {
    await writeKey();
    await writeRun(JSON.stringify({ pid: 1, port: 1, host: "127.0.0.1" }));
    expect((await find({ token: "given" }, { CLOISTER_GATEWAY_TOKEN: "env" })).token).toBe("given");
    expect((await find({}, { CLOISTER_GATEWAY_TOKEN: "env" })).token).toBe(key);
  });

  it.each(["", "{", "[]", '{"port":"1","host":"x"}'])("with the wrong file %j is not guessed", async (text) => {
    await writeRun(text);
    await expect(find()).rejects.toMatchObject({
      code: "CLOISTER_STATE_UNUSABLE",
      message: expect.stringContaining("gateway.json does not hold"),
    });
  });
});

describe("the operator key", () => {
  it.each([0o640, 0o604, 0o660])("that others may read (%o) is refused", async (mode) => {
    await writeKey();
    await chmod(path.join(stateDir, "operator.key"), mode);
    await expect(find()).rejects.toMatchObject({
      code: "CLOISTER_STATE_UNUSABLE",
      message: expect.stringContaining(`its mode is ${mode.toString(8)}`),
      remedy: expect.stringContaining("chmod 600"),
    });
  });

  it.each(["", "secret", "ab"])("that is none (%j) is refused without showing it", async (text) => {
    await writeKey(text);
    const error = await find().catch((caught: unknown) => caught);
    expect(error).toMatchObject({ code: "CLOISTER_STATE_UNUSABLE" });
    if (text.length > 2) expect((error as Error).message).not.toContain(text);
  });
});

describe("a named gateway", () => {
  it.each([
    ["http://127.0.0.1:1", "ws://127.0.0.1:1/", key],
    ["ws://localhost:1/ui#key=x", "ws://localhost:1/ui", key],
    ["ws://[::1]:1", "ws://[::1]:1/", key],
    ["wss://gateway.example:1", "wss://gateway.example:1/", undefined],
    ["https://127.0.0.1.example", "wss://127.0.0.1.example/", undefined],
  ])("%s is %s; the key stays on this machine", async (url, wanted, token) => {
    await writeKey();
    const found = await find({ url });
    expect([found.url, found.token, found.source]).toEqual([wanted, token, "option"]);
  });

  it("gets the given token, or that of the environment", async () => {
    expect((await find({ url: "wss://x.example", token: "t" })).token).toBe("t");
    expect((await find({ url: "wss://x.example" }, { OPENCLAW_GATEWAY_TOKEN: "e" })).token).toBe("e");
  });

  it.each(["ws://gateway.example/", "http://192.0.2.7:1/", "ws://127.0.0.1.example/"])(
    "%s is refused unless its network is trusted: a token would go there unencrypted",
    async (url) => {
      const refused = { code: "CLOISTER_REQUEST_INVALID", remedy: expect.stringContaining("wss://") };
      await expect(find({ url, token: "t" })).rejects.toMatchObject(refused);
      await expect(find({ url }, { CLOISTER_ALLOW_PLAIN_WS: "0" })).rejects.toMatchObject(refused);
      expect((await find({ url, token: "t" }, { CLOISTER_ALLOW_PLAIN_WS: "1" })).token).toBe("t");
    },
  );

  it.each(["", "x", "ftp://x", "localhost:1"])("%j is refused", async (url) => {
    await expect(find({ url })).rejects.toMatchObject({ code: "CLOISTER_REQUEST_INVALID" });
  });
});
