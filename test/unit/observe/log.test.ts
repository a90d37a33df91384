import { execFile } from "node:child_process";
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Writable } from "node:stream";
import { finished } from "node:stream/promises";
import { promisify } from "node:util";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { limits } from "../../../runtime/kernel/limits.ts";
import { type LogSettings, openLog } from "../../../runtime/observe/log.ts";
import openLogFile from "../../../runtime/observe/log-file.ts";

let dir: string;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), "cloister-log-"));
});
afterEach(async () => {
  await rm(dir, { recursive: true, force: true });
});

function makeConsole(): { stream: Writable; text: () => string } {
  const chunks: string[] = [];
  const stream = new Writable({
    write: (chunk, _encoding, done) => {
      chunks.push(String(chunk));
      done();
    },
  });
  return { stream, text: () => chunks.join("") };
}

const parse = (text: string): Record<string, unknown>[] =>
  text
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line) as Record<string, unknown>);

async function logOf(
  settings: Partial<LogSettings>,
  write: (log: Awaited<ReturnType<typeof openLog>>) => void,
): Promise<string> {
  const { stream, text } = makeConsole();
  const base = { level: "silent", consoleLevel: "info", redactSensitive: true, json: true, stream };
  const log = await openLog({ ...base, ...settings });
  write(log);
  await log.close();
  return text();
}

describe("the console", () => {
  it("gets JSON lines with time, level and subsystem, from its level up", async () => {
    const text = await logOf({ consoleLevel: "warn" }, (log) => {
      const edge = log.child({ subsystem: "edge" });
      edge.info("not shown");
      edge.warn({ port: 1 }, "bound");
    });
    const [record, ...others] = parse(text);
    expect(others).toEqual([]);
    expect(record).toMatchObject({ level: 40, subsystem: "edge", port: 1, msg: "bound" });
    expect(record?.["time"]).toMatch(/^\d{4}-\d\d-\d\dT/);
  });

  it("gets lines for people when asked", async () => {
    const text = await logOf({ json: false }, (log) => log.child({ subsystem: "edge" }).warn({ port: 1 }, "bound"));
    expect(text).toMatch(/^\[\d\d:\d\d:\d\d\.\d{3}\] WARN: edge: bound\n +port: 1\n$/);
  });

  it.each<[string, (log: Awaited<ReturnType<typeof openLog>>) => void]>([
    ["text", (log) => log.info("TOKEN=abcdef")],
    ["text beside fields", (log) => log.info({}, "TOKEN=abcdef")],
    ["inserted text", (log) => log.info("it is %s", "TOKEN=abcdef")],
    ["inserted object", (log) => log.info("it is %o", { token: "abcdef" })],
    ["field", (log) => log.info({ deep: { secret: "abcdef" } }, "x")],
    ["error", (log) => log.info(new Error("TOKEN=abcdef"))],
    ["error as a field", (log) => log.info({ err: new Error("TOKEN=abcdef") })],
    ["bound field", (log) => log.child({ token: "abcdef" }).info("x")],
  ])("never gets a secret: %s", async (_name, write) => {
    const text = await logOf({}, write);
    expect(text).toContain("[redacted]");
    expect(text).not.toContain("abcdef");
  });

  it("gets long texts cut", async () => {
    const text = await logOf({}, (log) => log.info("x".repeat(limits.logCharsMax + 7)));
    expect(parse(text)[0]?.["msg"]).toMatch(/x… \(7 more characters\)$/);
  });

  it("a level that does not exist is refused with the key and the wanted ones", async () => {
    await expect(logOf({ level: "loud" }, () => undefined)).rejects.toThrowErrorMatchingInlineSnapshot(
      `[RangeError: logging.level is "loud"; wanted one of trace, debug, info, warn, error, fatal, silent. Set logging.level to one of them.]`,
    );
  });
});

describe("the file", () => {
  it("holds its own level when closed, in a folder that only the owner reads", async () => {
    const file = join(dir, "logs", "cloister.log");
    const text = await logOf({ file, level: "debug", consoleLevel: "error" }, (log) => {
      log.debug("one");
      log.error("two");
    });
    expect(parse(text).map(({ msg }) => msg)).toEqual(["two"]);
    expect(parse(await readFile(file, "utf8")).map(({ msg }) => msg)).toEqual(["one", "two"]);
    expect((await stat(file)).mode & 0o077).toBe(0);
  });

  it("is complete although the process has nothing else to do while it closes", async () => {
    const file = join(dir, "x.log");
    const module = JSON.stringify(new URL("../../../runtime/observe/log.ts", import.meta.url).href);
    const settings = JSON.stringify({ level: "info", consoleLevel: "silent", file, redactSensitive: true, json: true });
    const script = `const log = await (await import(${module})).openLog(${settings}); log.info("one"); await log.close();`;
    await promisify(execFile)(process.execPath, ["--input-type=module", "--eval", script]);
    expect(parse(await readFile(file, "utf8")).map(({ msg }) => msg)).toEqual(["one"]);
  });

  it("that cannot be written does not stop the logger", async () => {
    await writeFile(join(dir, "logs"), "a file where the folder should be");
    const text = await logOf({ file: join(dir, "logs", "x.log"), level: "info" }, (log) => log.info("one"));
    expect(parse(text).map(({ msg }) => msg)).toContain("one");
  });

  it("begins a new part above its size, at a line's end, and keeps so many parts", async () => {
    await writeParts(["aaaa\nbb", "bb\ncccc\n", "dddd\n", "eeee\n", "ffff\ngg"], 10);
    expect((await readdir(dir)).toSorted()).toEqual(["x.log", "x.log.1", "x.log.2"]);
    const parts = await Promise.all(["x.log.2", "x.log.1", "x.log"].map((name) => readFile(join(dir, name), "utf8")));
    expect(parts).toEqual(["aaaa\nbbbb\ncccc\n", "dddd\neeee\n", "ffff\ngg"]);
  });

  it("is continued, and its size counts", async () => {
    await writeParts(["aaaa\n"], 10);
    await writeParts(["bbbb\n", "cccc\n"], 10);
    expect(await readFile(join(dir, "x.log.1"), "utf8")).toBe("aaaa\nbbbb\n");
  });

  it("says what a failed write lost, as soon as it can, and starts at a whole line", async () => {
    const folder = join(dir, "logs");
    await writeFile(folder, "");
    const stream = openLogFile({ file: join(folder, "x.log"), bytesMax: 1_000, filesMax: 2 });
    const send = (chunk: string): Promise<void> => new Promise((done) => stream.write(chunk, () => done()));
    await send('{"n":1}\n{"n"');
    await rm(folder);
    await send(':2}\n{"n":3}\n');
    stream.end();
    await finished(stream);
    const [loss, third] = parse(await readFile(join(folder, "x.log"), "utf8"));
    expect(loss?.["msg"]).toMatch(/^16 bytes of log were lost: /);
    expect(third).toEqual({ n: 3 });
  });
});

async function writeParts(chunks: readonly string[], bytesMax: number): Promise<void> {
  const stream = openLogFile({ file: join(dir, "x.log"), bytesMax, filesMax: 3 });
  for (const chunk of chunks) await new Promise<void>((done) => stream.write(chunk, () => done()));
  stream.end();
  await finished(stream);
}
