/** The local operator's own socket: who opens the file is the operator, whatever else stands in the way. */
import { chmod, mkdir, mkdtemp, rename, stat, symlink, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { expect, describe, it } from "vitest";
import type { EdgeSettings } from "../../runtime/edge/settings.ts";
import { limits } from "../../runtime/kernel/limits.ts";
import { findLocalSocket } from "../../runtime/cli/local-socket.ts";
import { type EdgeChanges, gatewayToken, openClient, openEdge, type Running } from "./edge-kit.ts";

async function makeFolder(): Promise<string> {
  const stateDir = await mkdtemp(path.join(tmpdir(), "s-"));
  await mkdir(path.join(stateDir, "run"));
  return stateDir;
}

async function open(
  stateDir: string,
  settings: Partial<EdgeSettings> = {},
  bounds: EdgeChanges["bounds"] = {},
): Promise<Running & { readonly file: string }> {
  const file = path.join(stateDir, "run", "operator.sock");
  return { ...(await openEdge({ settings: { localSocket: file, ...settings }, bounds })), file };
}

const warnings = ({ logs }: Running): readonly unknown[] =>
  logs.filter(({ message }) => message.startsWith("the local operator's socket")).map(({ fields }) => fields);

describe("the local operator's socket", () => {
  it.each<EdgeSettings["auth"]>([
    { mode: "none" },
    { mode: "token" },
    { mode: "token", secret: gatewayToken },
    { mode: "password", secret: gatewayToken },
  ])("admits without a credential under %o", async (auth) => {
    const { file, logs } = await open(await makeFolder(), { auth });
    const answer = await openClient(file).connect({ auth: {}, scopes: ["operator.pairing"] });
    expect(answer).toMatchObject({ ok: true, payload: { auth: { role: "operator", scopes: ["operator.pairing"] } } });
    expect(logs).toContainEqual(
      expect.objectContaining({ message: "client connected", fields: expect.objectContaining({ by: "local-socket" }) }),
    );
  });

  it("is open to the gateway's user alone, whatever its folder was", async () => {
    const stateDir = await makeFolder();
    await chmod(path.join(stateDir, "run"), 0o777);
    const { file, edge } = await open(stateDir);
    expect((await stat(file)).mode & 0o777).toBe(0o600);
    expect((await stat(path.dirname(file))).mode & 0o777).toBe(0o700);
    expect(await findLocalSocket(stateDir)).toBe(file);
    const { uid } = await stat(file);
    expect(await findLocalSocket(stateDir, uid + 1)).toBeUndefined();
    await chmod(file, 0o666);
    expect(await findLocalSocket(stateDir)).toBeUndefined();
    await edge.close("over");
    await expect(stat(file)).rejects.toThrow("ENOENT");
  });

  it("takes no browser and no proxy", async () => {
    const { file } = await open(await makeFolder());
    for (const options of [
      { origin: "http://localhost" },
      { headers: { "x-forwarded-for": "192.0.2.7" } },
      { headers: { host: "evil.example.org" } },
    ]) {
      const client = openClient(file, "/", options);
      expect((await client.closed).code).toBe(1006);
      expect(client.frames).toEqual([]);
    }
  });

  it("has a place when all others are taken", async () => {
    const { file, port } = await open(await makeFolder(), {}, { connectionsMax: 1, preauthSocketsPerAddressMax: 1 });
    expect((await openClient(port).connect()).ok).toBe(true);
    expect((await openClient(port).closed).code).toBe(1006);
    for (let client = 0; client < 3; client += 1) expect((await openClient(file).connect({ auth: {} })).ok).toBe(true);
  });

  it("takes the place of one that a killed gateway left", async () => {
    const stateDir = await makeFolder();
    const file = path.join(stateDir, "run", "operator.sock");
    // A second name keeps the file when its server ends, as a killed process leaves it.
    const dead = createServer();
    await new Promise<void>((resolve) => dead.listen(`${file}.bound`, resolve));
    await rename(`${file}.bound`, file);
    await new Promise((resolve) => dead.close(resolve));
    expect((await stat(file)).isSocket()).toBe(true);
    const running = await open(stateDir);
    expect(warnings(running)).toEqual([]);
    expect((await openClient(running.file).connect({ auth: {} })).ok).toBe(true);
  });

  it.each([
    ["a file of somebody", (file: string) => writeFile(file, "mine"), "is no socket"],
    ["a link", (file: string) => symlink("/dev/null", file), "is no socket"],
    [
      "the socket of a process that runs",
      (file: string) => new Promise<void>((resolve) => void createServer().listen(file, resolve).unref()),
      "is the socket of a process that runs",
    ],
  ])("leaves %s alone, and the gateway opens without it", async (_name, put, reason) => {
    const stateDir = await makeFolder();
    const file = path.join(stateDir, "run", "operator.sock");
    await put(file);
    const { ino } = await stat(file);
    const running = await open(stateDir);
    expect(warnings(running)).toEqual([{ reason: expect.stringContaining(reason) }]);
    expect((await stat(file)).ino).toBe(ino);
    expect((await openClient(running.port).connect()).ok).toBe(true);
  });

  it("is left out where its path is too long for a socket", async () => {
    const stateDir = path.join(await makeFolder(), "x".repeat(120));
    await mkdir(path.join(stateDir, "run"), { recursive: true });
    const running = await open(stateDir);
    expect(warnings(running)).toEqual([
      { reason: expect.stringContaining("holds 103; use a shorter state directory") },
    ]);
    expect((await openClient(running.port).connect()).ok).toBe(true);
  });

  it.each([
    [0, true],
    [1, false],
  ])("is open at a path of as many bytes as fit and %i more: %s", async (more, isOpen) => {
    const top = await makeFolder();
    const bytes = limits.socketPathBytesMax - path.join(top, "", "run", "operator.sock").length - 1 + more;
    const stateDir = path.join(top, "x".repeat(bytes));
    await mkdir(path.join(stateDir, "run"), { recursive: true });
    const running = await open(stateDir);
    expect(running.file).toHaveLength(limits.socketPathBytesMax + more);
    expect(warnings(running)).toHaveLength(isOpen ? 0 : 1);
    if (isOpen) expect((await openClient(running.file).connect({ auth: {} })).ok).toBe(true);
  });
});
