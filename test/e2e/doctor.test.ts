/** `cloister doctor` on a real installation: running, stopped, hanging, shut, damaged, on a taken port, with open modes. */
import { chmodSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from "node:fs";
import { type AddressInfo, createServer } from "node:net";
import path from "node:path";
import { afterEach, expect, test } from "vitest";
import { runLine } from "../support/command-lines.ts";
import { endPrograms, type Finished, makeStateDir, type Program, startProgram } from "../support/program.ts";
import { siblings } from "../support/siblings.ts";

afterEach(endPrograms);

interface Diagnosis {
  readonly ok: boolean;
  readonly findings: readonly { readonly id: string; readonly severity: string; readonly what: string }[];
}

async function doctor(stateDir: string, ...more: string[]): Promise<Finished & Diagnosis> {
  const finished = await runLine(stateDir, ["doctor", "--json", ...more]);
  return { ...finished, ...(JSON.parse(finished.stdout) as Diagnosis) };
}

const errors = ({ findings }: Diagnosis): readonly string[] =>
  findings.filter(({ severity }) => severity === "error").map(({ id }) => id);

const idsOf = ({ findings }: Diagnosis): readonly string[] => findings.map(({ id }) => id);

async function startSiblings(): Promise<Program> {
  const stateDir = makeStateDir(siblings());
  chmodSync(path.join(stateDir, "cloister.json"), 0o600);
  return startProgram(stateDir);
}

/** After it the store has something of an agent. */
const talk = async ({ stateDir }: Program): Promise<void> =>
  expect((await runLine(stateDir, ["send", "--agent", "raul", "remember that it is late"])).code).toBe(0);

test("a healthy gateway, running and stopped: exit 0, nothing on stderr when piped", async () => {
  const program = await startSiblings();
  await talk(program);
  const running = await doctor(program.stateDir, "--deep");
  expect([running.code, errors(running), running.stderr]).toEqual([0, [], ""]);
  expect(idsOf(running)).toEqual(expect.arrayContaining(["gateway", "gateway.access", "agents", "store", "key"]));
  expect(await program.stop()).toBe(0);
  const stopped = await doctor(program.stateDir);
  expect([stopped.code, errors(stopped)]).toEqual([0, []]);
  expect(idsOf(stopped)).toEqual(expect.arrayContaining(["gateway.stopped", "store"]));
  // Reading the store has left nothing behind that would be in the way of the next start.
  expect(await (await startProgram(program.stateDir)).stop()).toBe(0);
});

test("a gateway that hangs is told from one that is stopped, and one that was killed leaves what --fix removes", async () => {
  const program = await startSiblings();
  program.process.kill("SIGSTOP");
  const hanging = await doctor(program.stateDir);
  expect([hanging.code, errors(hanging)]).toEqual([1, ["gateway.hangs"]]);
  expect(hanging.findings.find(({ id }) => id === "gateway.hangs")?.what).toContain(`pid ${program.process.pid}`);
  await program.stop("SIGKILL");
  expect(idsOf(await doctor(program.stateDir))).toContain("gateway.stale-file");
  const fixed = await doctor(program.stateDir, "--fix");
  expect([fixed.code, idsOf(fixed).includes("gateway.stale-file")]).toEqual([0, false]);
  expect(await (await startProgram(program.stateDir)).stop()).toBe(0);
});

test("beside a gateway that runs: a broken config, a key that others may read, and a command line that is shut out", async () => {
  const program = await startSiblings();
  const config = path.join(program.stateDir, "cloister.json");
  const written = readFileSync(config);
  writeFileSync(config, '{ "gateway": { "prot": 1 } }');
  const broken = await doctor(program.stateDir);
  expect([broken.code, errors(broken)]).toEqual([1, ["config.invalid"]]);
  expect(broken.findings.find(({ id }) => id === "config.invalid")?.what).toContain("gateway.prot");
  expect(idsOf(broken)).toContain("gateway");
  writeFileSync(config, written);
  const key = path.join(program.stateDir, "operator.key");
  chmodSync(key, 0o644);
  const open = await doctor(program.stateDir);
  expect([open.code, errors(open)]).toEqual([1, ["state.key-open"]]);
  expect((await doctor(program.stateDir, "--fix")).code).toBe(0);
  expect(statSync(key).mode & 0o777).toBe(0o600);
  writeFileSync(key, "00".repeat(32));
  // By its own socket the operator of the machine needs no key.
  expect((await doctor(program.stateDir)).code).toBe(0);
  rmSync(path.join(program.stateDir, "run", "operator.sock"));
  const shut = await doctor(program.stateDir);
  expect([shut.code, errors(shut)]).toEqual([1, ["gateway.shut"]]);
});

test("a damaged store is named with its directory, whatever reading it does to the process", async () => {
  const program = await startSiblings();
  await talk(program);
  expect(await program.stop()).toBe(0);
  const journal = path.join(program.stateDir, "store", "journal");
  const file = path.join(journal, "data.mdb");
  const whole = readFileSync(file);
  // Everything behind the two pages that tell where the rest is.
  writeFileSync(file, Buffer.concat([whole.subarray(0, 8_192), Buffer.alloc(whole.length - 8_192, 0xa5)]));
  const garbled = await doctor(program.stateDir);
  expect([garbled.code, errors(garbled)]).toEqual([1, ["store.damaged"]]);
  expect(garbled.findings.find(({ id }) => id === "store.damaged")?.what).toContain(journal);
  writeFileSync(file, whole);
  truncateSync(file, 8_192);
  expect(errors(await doctor(program.stateDir))).toEqual(["store.damaged"]);
  writeFileSync(file, whole);
  expect(errors(await doctor(program.stateDir))).toEqual([]);
});

test("a taken port", async () => {
  const server = createServer((socket) => {
    // The other end may be gone before it is answered.
    socket.on("error", () => undefined);
    socket.end("no");
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  try {
    const { port } = server.address() as AddressInfo;
    const taken = await doctor(makeStateDir({ gateway: { port } }));
    expect([taken.code, errors(taken)]).toEqual([1, ["gateway.port-taken"]]);
    expect(taken.findings.find(({ id }) => id === "gateway.port-taken")?.what).toContain("another program");
  } finally {
    server.close();
  }
});
