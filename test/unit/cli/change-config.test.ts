/** Who changes the configuration when the gateway comes and goes. */
import { mkdir, mkdtemp, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { runProgram } from "../../../runtime/cli/program.ts";
import { type FakeTerminal, makeContext, makeFakeTerminal } from "./fake-terminal.ts";
import { type ScriptedGateway, startGatewayIn } from "./scripted-gateway.ts";

const authored = `{ agents: { list: [{ id: "main" }] } }`;
let home: string;
let file: string;
let terminal: FakeTerminal;
let gateway: ScriptedGateway | undefined;
beforeEach(async () => {
  home = await mkdtemp(path.join(tmpdir(), "cloister-change-"));
  await mkdir(path.join(home, ".cloister"));
  file = path.join(home, ".cloister", "cloister.json");
  await writeFile(file, authored);
  terminal = makeFakeTerminal();
});
afterEach(async () => {
  await gateway?.close();
  gateway = undefined;
  await rm(home, { recursive: true, force: true });
});

const set = (): Promise<number> =>
  runProgram(makeContext(home, terminal), ["config", "set", "session.mainKey", '"work"']);

it("without a gateway the file is changed", async () => {
  expect(await set()).toBe(0);
  expect(await readFile(file, "utf8")).toContain("work");
});

it("on a new machine the first change makes the file, and the state directory for nobody else", async () => {
  await rm(path.dirname(file), { recursive: true });
  expect(await set()).toBe(0);
  expect(await readFile(file, "utf8")).toContain("work");
  expect((await stat(path.dirname(file))).mode & 0o777).toBe(0o700);
  expect((await stat(file)).mode & 0o777).toBe(0o600);
});

it("a gateway that goes away in the middle of the change has perhaps made it: the file is left as it is", async () => {
  gateway = await startGatewayIn(path.dirname(file), (request, caller) => {
    if (request.method === "config.get") caller.answer(request, { path: file, parsed: { agents: {} }, hash: "h" });
    else caller.socket.terminate();
  });
  await expect(set()).rejects.toMatchObject({ code: "CLOISTER_GATEWAY_UNREACHABLE" });
  expect(gateway.requests.map(({ method }) => method)).toEqual(["connect", "config.get", "config.patch"]);
  expect(await readFile(file, "utf8")).toBe(authored);
});
