/**
 * What only a cell that is a process has, and what its gateway's side does with a process that keeps to no rule. What both levels
 * share is in `cell.test.ts`, `isolation.test.ts`, `confinement.test.ts` and `forged-frames.test.ts`.
 */
import {
  chmodSync,
  chownSync,
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readlinkSync,
  statSync,
  writeFileSync,
} from "node:fs";
import os from "node:os";
import path from "node:path";
import { pathToFileURL } from "node:url";
import { describe, expect, test } from "vitest";
import { doneBits, down, up } from "../../runtime/kernel/frames.ts";
import { limits } from "../../runtime/kernel/limits.ts";
import { loadCellAssets } from "../../runtime/thread/cell-assets.ts";
import { formatFields, formatFrame, kind, tell } from "../../runtime/thread/cell-socket.ts";
import { actor, actorPath } from "../support/actors.ts";
import { type HandCell, startCell } from "../support/cell.ts";
import { eventually } from "../support/eventually.ts";
import { openGatewayAt } from "../support/gateway.ts";
import { cellProcessesOf, isAlive, parentOf } from "../support/processes.ts";

const openGateway = openGatewayAt("process");
const nobody = { uid: 65_534, gid: 65_533 };

function makeWorkspace(): string {
  const workspace = path.join(mkdtempSync(path.join(os.tmpdir(), "cloister-process-")), "workspace");
  mkdirSync(workspace);
  writeFileSync(path.join(workspace, "file.txt"), "inside");
  // In the workspace, so that a user without rights elsewhere can read it.
  copyFileSync(actorPath("process-user"), path.join(workspace, "actor.ts"));
  return workspace;
}

const start = (workspace: string, changes: Parameters<typeof startCell>[2] = {}): Promise<HandCell> =>
  startCell(
    {
      workspace,
      slots: [{ slot: 4, object: "agent:raul", verbs: ["send"] }],
      module: { kind: "file", url: pathToFileURL(path.join(workspace, "actor.ts")).href },
    },
    [],
    {
      level: "process",
      ...changes,
    },
  );

const processIn = (workspace: string): number | undefined =>
  cellProcessesOf(process.pid).find((child) => isAlive(child) && readlinkSync(`/proc/${child}/cwd`) === workspace);

describe("a cell that is a process", () => {
  test("works in its workspace: a relative path is one of there", async () => {
    const cell = await start(makeWorkspace());
    expect(await cell.turn("relative file.txt")).toMatchObject({ a: "inside", num: doneBits.reply });
  });

  test("says large texts, and texts that no UTF-8 can carry, as they are", async () => {
    const cell = await start(makeWorkspace());
    const sent = (begin: string): Promise<{ readonly c: string }> =>
      cell.until(({ op, c }) => op === up.send && c.startsWith(begin));
    await cell.turn(`send ${limits.bodyCharsMax}`);
    expect((await sent("ä")).c).toBe("ä".repeat(limits.bodyCharsMax));
    expect(await cell.turn("half")).toMatchObject({ a: "half \ud83d of a pair" });
    const heard = `pass ${"ü".repeat(limits.bodyCharsMax)}\ud83d`;
    await cell.turn(heard);
    expect((await sent("pass")).c).toBe(heard);
  });

  test("takes several of the longest messages at once, and is asked for its heartbeat between them", async () => {
    const cell = await start(makeWorkspace());
    expect((await cell.turn("weigh")).a).toBe("5");
    // 25 MB each on the socket, more together than a socket may hold for a process that does not read.
    const body = `weigh ${"語".repeat(limits.bodyCharsMax - 6)}`;
    const ends = await Promise.race([
      Promise.all(Array.from({ length: 6 }, (_, n) => cell.turn(body, { sessionKey: `agent:main:s${n}` }))),
      cell.exited.then((end) => [end]),
    ]);
    expect(ends).toMatchObject(Array.from({ length: 6 }, () => ({ a: String(limits.bodyCharsMax) })));
  });

  test("is ended when a frame is larger than the gateway takes, with the size", async () => {
    const cell = await start(makeWorkspace());
    void cell.turn(`send ${limits.cellFrameBytesMax}`);
    expect(await cell.exited).toMatchObject({ reason: "crash", detail: expect.stringMatching(/a frame of .* bytes/) });
  });

  test("has another user when it is told one, and that user's rights; only root can give it", async () => {
    const workspace = makeWorkspace();
    const isRoot = process.getuid?.() === 0;
    if (!isRoot) {
      const refused = await start(workspace, { user: nobody });
      expect(await refused.exited).toMatchObject({ reason: "crash", detail: expect.stringMatching(/EPERM/) });
      return;
    }
    const closed = await start(workspace, { user: nobody });
    expect(await closed.started).toMatchObject({
      status: "invalid",
      reason: expect.stringMatching(/of user 65534, cannot use the workspace .*let that user own the workspace/),
    });
    for (const folder of [path.dirname(workspace), os.tmpdir()]) chmodSync(folder, 0o711);
    chownSync(workspace, nobody.uid, nobody.gid);
    const cell = await start(workspace, { user: nobody });
    expect((await cell.turn("whoami")).a).toBe(`${nobody.uid}:${nobody.gid}:${nobody.gid}`);
    expect(statSync(path.join(workspace, "made.txt"))).toMatchObject(nobody);
  });

  test("that is stopped from outside while it has work is ended as hung", async () => {
    const workspace = makeWorkspace();
    const cell = await start(workspace);
    await cell.turn("relative file.txt");
    process.kill(processIn(workspace) ?? Number.NaN, "SIGSTOP");
    void cell.turn("relative file.txt");
    expect(await cell.exited).toMatchObject({ reason: "hung", detail: "its loop did not turn for 1000 ms" });
  });

  test("ends with the process that started it, and the reason says so", async () => {
    const workspace = makeWorkspace();
    const cell = await start(workspace);
    await cell.turn("relative file.txt");
    process.kill(parentOf(processIn(workspace) ?? Number.NaN) ?? Number.NaN, "SIGKILL");
    expect(await cell.exited).toMatchObject({
      reason: "crash",
      detail: "its process was ended: the process that starts those of cells ended (SIGKILL)",
    });
  });
});

describe("of a gateway with cells that are processes", () => {
  const flooder = actor("flooder");
  const ended = (gateway: Awaited<ReturnType<typeof openGateway>>): unknown =>
    gateway.logged.find(({ message }) => message === "a cell ended")?.fields;

  // Each of these aborts the whole process at level `thread`.
  test.each(["Array.fill of 134 million at once", "split of 500 MB at once"])(
    "%s ends its own process and no other",
    async (shape) => {
      const gateway = await openGateway([
        { id: "flood", ...flooder },
        { id: "calm", module: "echo" },
      ]);
      expect(await gateway.reply("calm", "awake")).toBe("awake");
      void gateway.say("flood", shape);
      await gateway.until(() => gateway.agents()[0]?.restarts === 1);
      expect(ended(gateway)).toMatchObject({ reason: expect.stringMatching(/^(out_of_memory|hung)$/) });
      expect(await gateway.reply("calm", "after")).toBe("after");
    },
  );

  test("buffers outside of the heap are bounded as well", async () => {
    const gateway = await openGateway([{ id: "flood", ...flooder }]);
    void gateway.say("flood", "Buffer flood from a timer, the loop turning");
    await gateway.until(() => gateway.agents()[0]?.restarts === 1);
    expect(ended(gateway)).toMatchObject({
      reason: "out_of_memory",
      detail: expect.stringMatching(/its process holds \d+ MB, more than the 768 MB/),
    });
  });

  test("a native call that never returns is ended, and the message handled by the next process", async () => {
    const gateway = await openGateway([{ id: "main", ...actor("crasher") }]);
    expect(await gateway.reply("main", "endless once")).toBe("recovered at attempt 2");
    expect(ended(gateway)).toMatchObject({
      reason: "hung",
      noProfile: expect.stringMatching(/did not answer the profiler/),
    });
  });
});

describe("a process that was taken over", () => {
  // What it says before the gateway has its end of the pair may be read by their parent, and is lost: it waits for the first word.
  const wire = `const { Socket } = require("node:net"); const socket = new Socket({ fd: 3 }); setInterval(() => {}, 1_000);
    const launched = (then) => socket.once("data", () => { socket.pause(); then(); });`;
  const write = (bytes: Buffer): string =>
    `launched(() => socket.write(Buffer.from("${bytes.toString("base64")}", "base64")));`;
  const rogue = async (script: string): Promise<HandCell> =>
    start(makeWorkspace(), { assets: { ...(await loadCellAssets()), cellProcess: `${wire}${script}` } });
  const ready = formatFields(kind.control, [tell.started, 1, ""]);
  const length = (bytes: number): Buffer => {
    const head = Buffer.alloc(5);
    head.writeUInt32LE(bytes);
    return head;
  };

  test.each([
    [
      "writes garbage",
      Buffer.from("GET / HTTP/1.1\r\n\r\n"),
      /announced a frame of \d+ bytes; 1 to 33554432 are allowed/,
    ],
    ["announces more than a frame may have", length(limits.cellFrameBytesMax + 1), /33554433 bytes/],
    ["announces nothing", length(0), /a frame of 0 bytes/],
    ["sends a frame of no kind", formatFields(77, [1]), /a frame of kind 77/],
    ["sends an object, as V8 writes it", formatFrame(kind.launch, Buffer.from([255, 15, 111, 123, 0])), /no fields/],
    ["sends a text longer than its frame", formatFrame(kind.mail, Buffer.from([1, 255, 255, 0, 0, 65])), /no fields/],
    ["sends half a number", formatFrame(kind.mail, Buffer.from([0, 1, 2, 3])), /no fields/],
    [
      "sends more fields than a frame has",
      formatFields(
        kind.mail,
        Array.from({ length: 5_000 }, () => 1),
      ),
      /no fields/,
    ],
    ["says what means nothing", formatFields(kind.control, [99]), /it said 99/],
  ])("and %s is ended, and nothing is passed on", async (_what, bytes, detail) => {
    const cell = await rogue(write(bytes));
    expect(await cell.exited).toEqual({ reason: "crash", detail: expect.stringMatching(detail) });
    expect(cell.frames).toEqual([]);
  });

  test("A6.2: and says that it holds what nothing can hold is told with figures, and what it really holds is not from it", async () => {
    const claim = formatFields(kind.control, [tell.memory, Number.POSITIVE_INFINITY, -7]);
    const cell = await rogue(write(Buffer.concat([ready, claim])));
    const figures = () => cell.host.figures()[0]?.memory;
    await eventually(() =>
      expect(figures()).toEqual({
        heapUsed: Number.MAX_SAFE_INTEGER,
        external: 0,
        resident: expect.any(Number),
      }),
    );
    expect(figures()?.resident).toBeLessThan(limits.cellProcessMbMax * 1_048_576);
    expect(cell.host.size).toBe(1);
  });

  test("and sends its frames torn into single bytes is understood", async () => {
    const said = Buffer.concat([ready, formatFields(kind.mail, [1, 1, 6, 0, 0, 0, 30, "tören", "", ""])]);
    const cell = await rogue(
      `const all = Buffer.from("${said.toString("base64")}", "base64"); let at = 0; socket.setNoDelay?.(true);
       const next = () => { if (at < all.length) socket.write(all.subarray(at, ++at), () => setImmediate(next)); }; launched(next);`,
    );
    expect(await cell.started).toEqual({ status: "ready" });
    expect(await cell.until(({ op }) => op === 6)).toMatchObject({ a: "tören", num: 30 });
  });

  test.each([
    ["says it never turned", Buffer.concat([ready, formatFields(kind.control, [tell.looked, 0, 0])])],
    ["works before it says that it started", formatFields(kind.mail, [1, 1, 6, 0, 0, 0, 30, "early", "", ""])],
  ])("and %s, and then nothing more, is ended as hung", async (_what, bytes) => {
    const cell = await rogue(write(bytes));
    void cell.turn("anything");
    expect(await cell.exited).toMatchObject({ reason: "hung" });
  });

  test("and reads nothing is ended when too much mail waits for it", async () => {
    const cell = await rogue(write(ready));
    await cell.started;
    const body = "x".repeat(limits.bodyCharsMax);
    while (cell.host.size > 0) {
      cell.host.post("main", 1, [down.deliver, 0, 1, 1, "{}", body, ""]);
      await new Promise(setImmediate);
    }
    const { reason, detail } = await cell.exited;
    expect(reason).toBe("hung");
    const [, left] = /^it left (\d+) characters of its mail unread$/.exec(detail) ?? [];
    expect(Number(left) - limits.cellMailWaitingCharsMax).toBeLessThan(2 * body.length);
  });

  test.each([
    ["ends with a code", "process.exit(7)", { reason: "crash", detail: "its process ended with code 7" }],
    ["ends by a fault", 'process.kill(process.pid, "SIGSEGV")', { reason: "crash", detail: /ended by SIGSEGV/ }],
    [
      "is killed",
      'process.kill(process.pid, "SIGKILL")',
      { reason: "killed", detail: /SIGKILL, which the gateway did/ },
    ],
    [
      "is aborted by V8 for want of memory",
      'require("node:fs").writeSync(2, "\\nFATAL ERROR: Reached heap limit Allocation failed - JavaScript heap out of memory\\n"); process.abort()',
      { reason: "out_of_memory", detail: /^V8 ended its process: FATAL ERROR: Reached heap limit/ },
    ],
    ["is aborted for another reason", "process.abort()", { reason: "crash", detail: /^its process ended by SIGABRT/ }],
    ["does not run", "}{", { reason: "crash", detail: /ended with code 1/ }],
  ])("and %s: the reason says so", async (_what, script, { reason, detail }) => {
    const cell = await rogue(script);
    const end = await cell.exited;
    expect(end.reason).toBe(reason);
    expect(end.detail).toMatch(detail);
  });
});
