/** What a cell does with deliveries: state, workspace, output, frames. One real cell, spoken to by hand. */
import { mkdirSync, mkdtempSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { pathToFileURL } from "node:url";
import { beforeEach, describe, expect, test } from "vitest";
import { doneBits, up } from "../../runtime/kernel/frames.ts";
import { limits } from "../../runtime/kernel/limits.ts";
import { actorPath } from "../support/actors.ts";
import { type HandCell, startCell } from "../support/cell.ts";
import { levels } from "../support/levels.ts";

const module = actorPath("cell-user");
describe.each(levels)("at level %s", (level) => {
  let cell: HandCell;
  let root: string;
  let workspace: string;

  beforeEach(async () => {
    root = mkdtempSync(path.join(os.tmpdir(), "cloister-cell-"));
    workspace = path.join(root, "workspace");
    mkdirSync(path.join(workspace, "folder"), { recursive: true });
    writeFileSync(path.join(workspace, "file.txt"), "inside");
    writeFileSync(path.join(root, "secret.txt"), "outside");
    const slots = [{ slot: 4, object: "agent:raul", verbs: ["send", "request"] }];
    cell = await startCell({ workspace, slots, module: { kind: "file", url: pathToFileURL(module).href } }, [module], {
      level,
    });
    expect(await cell.started).toEqual({ status: "ready" });
  });

  test("can be looked into while it runs", async () => {
    await cell.turn("count");
    await cell.turn("count", { sessionKey: "agent:main:other" });
    expect(await cell.host.inspect("main")).toEqual({
      turns: 0,
      sessions: 2,
      heapUsedBytes: expect.any(Number),
      uptimeMs: expect.any(Number),
    });
  });

  describe("state", () => {
    test("is committed when a turn changed it, and kept between turns", async () => {
      expect(await cell.turn("peek")).toMatchObject({ a: "0", num: doneBits.reply });
      expect(await cell.turn("count")).toMatchObject({
        a: "1",
        b: '{"count":1}',
        num: doneBits.reply | doneBits.state,
      });
      expect(await cell.turn("peek")).toMatchObject({ a: "1", b: "", num: doneBits.reply });
    });

    test("that is delivered goes before what the cell has", async () => {
      await cell.turn("count");
      expect(await cell.turn("count", { state: '{"count":41}' })).toMatchObject({ a: "42" });
    });

    test("is each session's own", async () => {
      await cell.turn("count");
      expect(await cell.turn("count", { sessionKey: "agent:main:other" })).toMatchObject({ a: "1" });
    });

    test("of a failed turn is dropped", async () => {
      await cell.turn("count");
      expect(await cell.turn("spoil")).toMatchObject({ num: doneBits.error, a: "spoiled" });
      // The kernel delivers it again after a failure; without it the session begins anew.
      expect(await cell.turn("peek")).toMatchObject({ a: "0" });
    });

    test("is forgotten when the kernel says so", async () => {
      await cell.turn("count");
      cell.forget("agent:main:main");
      expect(await cell.turn("peek")).toMatchObject({ a: "0" });
    });

    test("is not touched by a turn in memory, which has none", async () => {
      await cell.turn("count");
      expect(await cell.turn("count", { attempt: 0 })).toMatchObject({ a: "1", num: doneBits.reply });
      expect(await cell.turn("spoil", { attempt: 0 })).toMatchObject({ num: doneBits.error });
      expect(await cell.turn("count")).toMatchObject({ a: "2" });
    });
  });

  describe("the workspace", () => {
    test("resolves relative paths and makes folders", async () => {
      expect(await cell.turn("read file.txt")).toMatchObject({ a: "inside" });
      await cell.turn("write folder/deeper/new.txt");
      expect(readFileSync(path.join(workspace, "folder/deeper/new.txt"), "utf8")).toBe("written");
      expect(JSON.parse((await cell.turn("list")).a)).toEqual([
        { name: "file.txt", type: "file" },
        { name: "folder", type: "directory" },
      ]);
    });

    test.each([
      ["a path upwards", () => "../secret.txt"],
      ["a path upwards in disguise", () => "folder/../../secret.txt"],
      ["an absolute path", () => path.join(root, "secret.txt")],
      [
        "a link to a file outside",
        () => (symlinkSync(path.join(root, "secret.txt"), path.join(workspace, "link")), "link"),
      ],
      [
        "a file below a link to a folder outside",
        () => (symlinkSync(root, path.join(workspace, "up")), "up/secret.txt"),
      ],
      [
        "a new file below a link to a folder outside",
        () => (symlinkSync(root, path.join(workspace, "up")), "up/new.txt"),
      ],
      [
        "a link to what does not exist outside",
        () => (symlinkSync(path.join(root, "none"), path.join(workspace, "dangling")), "dangling"),
      ],
      ["a name with a zero byte", () => "file.txt\0.md"],
      ["a folder whose name begins like the workspace", () => "../workspace-of-another/file.txt"],
    ])("refuses %s", async (_name, make) => {
      const given = make();
      for (const act of ["read", "write", "resolve"]) {
        const end = await cell.turn(`${act} ${given}`);
        expect(end).toMatchObject({ num: doneBits.error });
        expect(end.a).toMatch(/leaves the workspace/);
      }
      expect(readFileSync(path.join(root, "secret.txt"), "utf8")).toBe("outside");
    });
  });

  describe("what a cell says", () => {
    test("is bounded: records a second, and characters a record", async () => {
      await cell.turn("print 1000");
      const logs = cell.said.filter(({ op }) => op === up.log);
      expect(logs.length).toBeLessThanOrEqual(2 * limits.logRecordsPerSecond + 2);
      expect(logs[0]).toMatchObject({ a: "line 0", num: 30 });
      for (const { a } of logs) expect(a.length).toBeLessThanOrEqual(limits.logCharsMax + 10);
    });

    test("is bounded in characters a second, too", async () => {
      await cell.turn("shout 150");
      const shouted = cell.said.filter(({ op, a }) => op === up.log && a.startsWith("y"));
      expect(shouted.length).toBeGreaterThan(0);
      expect(shouted.reduce((sum, { a }) => sum + a.length, 0)).toBeLessThan(2 * limits.logCharsPerSecond);
    });

    test("travels in frames of at most 64 records, numbered from 1", async () => {
      const burst = cell.turn("burst 150");
      await cell.until(({ op, c }) => op === up.send && c === "m149");
      const sends = cell.said.filter(({ op }) => op === up.send);
      expect(sends.map(({ c }) => c)).toEqual(Array.from({ length: 150 }, (_, n) => `m${n}`));
      for (const one of sends) expect(one).toMatchObject({ slot: 4, a: "agent:raul:main", num: 0 });
      // The same turn names the same calls the same way, which is how a repeated one is recognised.
      expect(sends.map(({ b }) => b)).toEqual(Array.from({ length: 150 }, (_, n) => String(n)));
      const frames = cell.frames as (readonly unknown[])[];
      expect(frames.map((frame) => frame[1])).toEqual(frames.map((_, at) => at + 1));
      for (const frame of frames) expect((frame.length - 2) / 8).toBeLessThanOrEqual(limits.frameRecordsMax);
      for (const { ref } of sends) cell.answer(ref, "ok", "");
      await burst;
    });

    test("beyond its credits waits, and goes on as they come back", async () => {
      const burst = cell.turn(`burst ${limits.sendCreditsPerCell + 5}`);
      const sends = () => cell.said.filter(({ op }) => op === up.send);
      await cell.until(({ c }) => c === `m${limits.sendCreditsPerCell - 1}`);
      expect(sends()).toHaveLength(limits.sendCreditsPerCell);
      for (const { ref } of sends()) cell.answer(ref, "ok", "");
      await cell.until(({ c }) => c === `m${limits.sendCreditsPerCell + 4}`);
      for (const { ref } of sends().slice(-5)) cell.answer(ref, "ok", "");
      await burst;
    });

    test("says how long it is worth waiting, in whole milliseconds; what is no such time fails with the bounds", async () => {
      const sent = cell.turn("ttl 1500.2");
      const { ref, b } = await cell.until(({ op, c }) => op === up.send && c === "worth little");
      expect(b).toBe("0 1501");
      cell.answer(ref, "ok", "");
      await sent;
      for (const wrong of ["0", "NaN", "604800001", "text text"]) {
        const { a, num } = await cell.turn(`ttl ${wrong}`);
        expect([num & doneBits.error, a]).toEqual([
          doneBits.error,
          expect.stringContaining(`ttlMs wanted 1 to 604800000 milliseconds, found ${wrong.split(" ")[0]}`),
        ]);
      }
    });

    test("no answer, and the answer NO_REPLY, are silence", async () => {
      expect(await cell.turn("silent")).toMatchObject({ a: "", num: 0 });
      expect(await cell.turn("no_reply")).toMatchObject({ a: "", num: 0 });
    });

    test("streams before it answers", async () => {
      await cell.turn("stream");
      expect(cell.said.filter(({ op }) => op === up.stream).map(({ a }) => a)).toEqual(["one ", "two"]);
    });

    test("streams no more than the kernel passes on", async () => {
      await cell.turn("pour");
      const streamed = cell.said.filter(({ op }) => op === up.stream).map(({ a }) => a.length);
      expect(streamed.reduce((sum, length) => sum + length, 0)).toBe(limits.streamCharsMax);
      await cell.turn("stream");
      expect(cell.said.findLast(({ op }) => op === up.stream)?.a).toBe("two");
    });

    test("keeps back an answer and a state that the kernel would refuse", async () => {
      expect(await cell.turn("say_much")).toMatchObject({
        num: doneBits.reply | doneBits.tooLong,
        a: String(100 * 65_536 + 99 * 2),
        b: "",
      });
      expect(await cell.turn("keep_much")).toMatchObject({
        num: doneBits.tooLong,
        a: String(3_000_000 + '{"count":""}'.length),
        b: "",
      });
    });

    test("goes out although the actor bent the prototypes", async () => {
      expect((await cell.turn("tamper")).a).toMatch(/TypeError/);
      expect(await cell.turn("peek")).toMatchObject({ a: "0" });
    });
  });
});
