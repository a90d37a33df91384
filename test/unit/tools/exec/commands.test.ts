/** Commands of agents as the tools' thread runs them: on the host and in bubblewrap, with real processes. */
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  realpathSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import type { ChildProcess } from "node:child_process";
import { EventEmitter } from "node:events";
import { readdir, readFile } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { afterEach, beforeAll, describe, expect, it } from "vitest";
import { type Commands, type CommandsDeps, makeCommands } from "../../../../runtime/tools/exec/commands.ts";
import { limits } from "../../../../runtime/kernel/limits.ts";
import { execParams } from "../../../../runtime/tools/params.ts";
import { planCommand } from "../../../../runtime/tools/exec/place.ts";
import { makeProbe } from "../../../../runtime/tools/exec/probe.ts";
import type { Box, CommandAsked, CommandOwner, Place } from "../../../../runtime/tools/port.ts";
import { execSettings } from "../../../support/exec-settings.ts";
import { eventually } from "../../../support/eventually.ts";

const probe = makeProbe();
const makeFolder = (): string => realpathSync(mkdtempSync(path.join(os.tmpdir(), "cloister-exec-")));
const open: Commands[] = [];
afterEach(() => Promise.all(open.splice(0).map((commands) => commands.endAll())));

/** Results, as far as these tests look into them. */
interface Told {
  readonly status: string;
  readonly processId: string;
  readonly output: string;
  readonly left?: string;
  readonly processes?: readonly { readonly processId: string }[];
}

const owner: CommandOwner = { agentId: "kim", sessionKey: "agent:kim:main", entry: "kim", turn: 1 };

/** A process that the system does not let go of: no signal ends it. */
const unending: Required<CommandsDeps>["launch"] = async () => ({
  child: Object.assign(new EventEmitter(), { pid: 1, stdin: null, stdout: null, stderr: null }) as ChildProcess,
  end: async () => undefined,
  failed: () => undefined,
});

function setUp(bounds: CommandsDeps["bounds"] = {}, type: Place["type"] = "host") {
  const folder = makeFolder();
  const commands = makeCommands({ name: "cloister-test", facts: probe.facts, gateway: undefined, bounds });
  open.push(commands);
  const box = (more: Partial<Box> = {}): Place =>
    type === "host"
      ? { type, folder }
      : { type, folder, inside: "/workspace", writable: true, hidden: [], settings: execSettings().box, ...more };
  const run = async (
    command: string,
    {
      place = box(),
      by = owner,
      yieldMs = 60_000,
      timeoutMs = 60_000,
      ...more
    }: Partial<CommandAsked & { by: CommandOwner; yieldMs: number; timeoutMs: number }> = {},
  ): Promise<Told> => {
    const plan = await planCommand({ command, workdir: ".", env: {}, pathPrepend: [], plain: false, place, ...more });
    if (!plan.ok) return plan.result as Told;
    return commands.start({
      vector: plan.vector,
      place,
      owner: by,
      tellsEnd: false,
      yieldMs,
      timeoutMs,
    }) as Promise<Told>;
  };
  const ask = (action: object, by = owner): Promise<Told> => commands.process(action as never, by) as Promise<Told>;
  return { folder, commands, run, ask, box };
}

describe.each(["host", "bubblewrap"] as const)("a command (%s)", (type) => {
  beforeAll(async () => {
    // As the tests of the page with Chromium: what is missing is said, not skipped.
    const state = await probe.state({ backend: "bubblewrap" });
    expect(state, "bubblewrap is needed: apt-get install bubblewrap").toMatchObject({ works: true });
  });

  it("has its output, its exit code, the workspace as its folder and an environment of its own", async () => {
    const { run, folder } = setUp({}, type);
    writeFileSync(path.join(folder, "a.txt"), "hello\n");
    const ended = await run("cat a.txt; echo wrong >&2; env | sort; exit 3", { env: { ASKED: "yes" } });
    expect(ended).toMatchObject({ status: "exited", exitCode: 3 });
    expect(ended.output).toMatch(/^hello$/m);
    expect(ended.output).toMatch(/^wrong$/m);
    const names = ended.output.match(/^[A-Z_]+(?==)/gm)?.filter((name) => name !== "CLOISTER_COMMAND");
    expect(names?.toSorted()).toEqual(
      ["ASKED", "HOME", "LANG", "OLDPWD", "PATH", "PWD", "TERM"].filter((name) => names?.includes(name)),
    );
    expect(names).toContain("ASKED");
    const place = type === "host" ? folder : "/workspace";
    expect((await run("pwd")).output).toBe(`${place}\n`);
  });

  it("goes on in the background, takes input, tells its news once, and has a log by lines", async () => {
    const { run, ask } = setUp({}, type);
    const { processId } = await run("while read line; do echo got $line; done; echo over", { yieldMs: 0 });
    expect(await ask({ action: "write", processId, data: "one\ntwo\n", eof: false })).toMatchObject({
      status: "running",
    });
    let told = "";
    await eventually(async () => {
      told += (await ask({ action: "poll", processId, timeoutMs: 1_000 })).output;
      expect(told).toBe("got one\ngot two\n");
    });
    expect(await ask({ action: "list" })).toMatchObject({ processes: [{ processId, status: "running" }] });
    await ask({ action: "write", processId, data: "three\n", eof: true });
    await eventually(async () =>
      expect(await ask({ action: "poll", processId, timeoutMs: 1_000 })).toMatchObject({ exitCode: 0 }),
    );
    expect(await ask({ action: "log", processId, offset: 2, limit: 2 })).toMatchObject({
      output: "got two\ngot three",
      totalLines: 4,
    });
    expect(await ask({ action: "log", processId, limit: 1 })).toMatchObject({ output: "over", offset: 4 });
    await expect(ask({ action: "write", processId, data: "x", eof: false })).rejects.toMatchObject({
      message: /has ended/,
    });
  });

  it("tells every call that waits for news when there are some", async () => {
    const { run, ask } = setUp({}, type);
    const { processId } = await run("read line; echo $line", { yieldMs: 0 });
    const polls = [1, 2].map(() => ask({ action: "poll", processId, timeoutMs: 60_000 }));
    await ask({ action: "write", processId, data: "one\n", eof: true });
    const told = await Promise.all(polls);
    expect(told.map(({ output }) => output).join("")).toBe("one\n");
  });

  it("A6.4: ends with all that it started: by kill, by its time, with its turn, with its cell", async () => {
    const { run, ask, commands, folder } = setUp({}, type);
    const file = path.join(folder, "pids");
    const sleepers = "sleep 4711 & setsid sleep 4711 & echo started; wait";
    const alive = async (): Promise<number> => sleepersAlive(file);
    const marked = `echo x >> pids; ${sleepers}`;
    const first = await run(marked, { yieldMs: 0, env: { MARK: folder } });
    await eventually(async () => expect(await alive()).toBe(2));
    expect(await ask({ action: "kill", processId: first.processId })).toMatchObject({ endedBy: "killed" });
    await eventually(async () => expect(await alive()).toBe(0));

    const second = await run(marked, { yieldMs: 60_000, timeoutMs: 300, env: { MARK: folder } });
    expect(second).toMatchObject({ status: "exited", endedBy: "timeout" });
    await eventually(async () => expect(await alive()).toBe(0));

    const third = run(marked, { by: { ...owner, turn: 7 }, env: { MARK: folder } });
    await eventually(async () => expect(await alive()).toBe(2));
    commands.endTurn("kim", 8);
    expect(await alive()).toBe(2);
    commands.endTurn("kim", 7);
    expect(await third).toMatchObject({ endedBy: "stopped" });

    await run(marked, { yieldMs: 0, by: { ...owner, turn: 9 }, env: { MARK: folder } });
    await eventually(async () => expect(await alive()).toBe(2));
    // What is in the background outlives its turn, and not its cell.
    commands.endTurn("kim", 9);
    await commands.endAll("somebody else");
    expect(await alive()).toBe(2);
    await commands.endAll("kim");
    await eventually(async () => expect(await alive()).toBe(0));
  });

  it("leaves nothing behind when it ends by itself", async () => {
    const { run, folder } = setUp({}, type);
    await run("echo x >> pids; sleep 4711 >/dev/null 2>&1 & true", { env: { MARK: folder } });
    await eventually(async () => expect(await sleepersAlive(path.join(folder, "pids"))).toBe(0));
  });

  it("is bounded: output that is kept, output in all, commands at a time, ended ones", async () => {
    const { run, ask } = setUp(
      {
        execOutputCharsMax: 2_000,
        execOutputShownMax: 100,
        execOutputTotalMax: 50_000,
        execPerAgentMax: 2,
        execEndedPerAgentMax: 2,
      },
      type,
    );
    const long = await run("seq 1 1000");
    expect(long.output).toMatch(/999\n1000\n$/);
    expect(long.output).toHaveLength(100);
    expect(long.left).toBe("3793 characters before it are left out");
    expect(await run("yes")).toMatchObject({ endedBy: "output" });
    const [a, b] = [await run("sleep 4711", { yieldMs: 0 }), await run("sleep 4711", { yieldMs: 0 })];
    await expect(run("true")).rejects.toMatchObject({ result: { code: "busy" } });
    // Another agent has places of its own.
    expect(await run("true", { by: { ...owner, agentId: "lee" } })).toMatchObject({ exitCode: 0 });
    for (const { processId } of [a, b]) await ask({ action: "kill", processId });
    const { processes } = await ask({ action: "list" });
    expect(processes?.map(({ processId }) => processId)).toEqual([a.processId, b.processId]);
  });

  it("is seen by its session alone", async () => {
    const { run, ask } = setUp({}, type);
    const { processId } = await run("sleep 4711", { yieldMs: 0 });
    for (const by of [
      { ...owner, sessionKey: "agent:kim:other" },
      { ...owner, agentId: "lee" },
    ]) {
      expect(await ask({ action: "list" }, by)).toEqual({ status: "ok", processes: [] });
      await expect(ask({ action: "kill", processId }, by)).rejects.toMatchObject({ result: { code: "not_found" } });
    }
    expect(await ask({ action: "poll", processId, timeoutMs: 0 })).toMatchObject({ status: "running" });
  });
});

/** Of the folder whose name is in their environment. */
async function sleepersAlive(file: string): Promise<number> {
  const folder = path.dirname(file);
  const texts = await Promise.all(
    (await readdir("/proc"))
      .filter((name) => /^\d+$/.test(name))
      .map(async (pid) => {
        const [environ, line] = await Promise.all(
          ["environ", "cmdline"].map((name) => readFile(`/proc/${pid}/${name}`, "latin1").catch(() => "")),
        );
        return environ?.includes(`MARK=${folder}`) === true && line?.startsWith("sleep\0") === true;
      }),
  );
  return texts.filter(Boolean).length;
}

describe("a command that cannot be ended", () => {
  it("holds up neither the call that ends it nor the end of the gateway, and is told of as running", async () => {
    const commands = makeCommands({
      name: "cloister-test",
      facts: probe.facts,
      gateway: undefined,
      launch: unending,
      bounds: { execEndMs: 5 },
    });
    const place = { type: "host", folder: makeFolder() } as const;
    const vector = { argv: ["true"], cwd: place.folder, env: {} };
    const start = { vector, place, owner, tellsEnd: false, yieldMs: 0, timeoutMs: 60_000 };
    const { processId } = (await commands.start(start)) as Told;
    const killed = await commands.process({ action: "kill", processId } as never, owner);
    expect(killed).toMatchObject({ status: "running", processId });
    await commands.endAll();
  });
});

describe("a command that is still being started", () => {
  it.each([
    ["its turn", async (commands: Commands) => commands.endTurn(owner.entry, owner.turn), [true, false]],
    ["the cell of its agent", (commands: Commands) => commands.endAll(owner.entry), [true, false]],
    ["the gateway", (commands: Commands) => commands.endAll(), [true, true]],
  ])("ends as soon as it is there, when %s has ended meanwhile", async (_what, end, wanted) => {
    const started = Promise.withResolvers<void>();
    const ended = new Map<string, boolean>();
    const commands = makeCommands({
      name: "cloister-test",
      facts: probe.facts,
      gateway: undefined,
      bounds: { execEndMs: 5 },
      launch: async (asked) => {
        await started.promise;
        ended.set(asked.id, false);
        return { ...(await unending(asked, undefined as never)), end: async () => void ended.set(asked.id, true) };
      },
    });
    const place = { type: "host", folder: makeFolder() } as const;
    const vector = { argv: ["true"], cwd: place.folder, env: {} };
    const start = (by: CommandOwner) =>
      commands.start({ vector, place, owner: by, tellsEnd: false, yieldMs: 0, timeoutMs: 60_000 }) as Promise<Told>;
    const told = [start(owner), start({ ...owner, entry: "lee", turn: 2 })];
    await end(commands);
    started.resolve();
    const ids = (await Promise.all(told)).map(({ processId }) => processId);
    expect(ids.map((id) => ended.get(id))).toEqual(wanted);
    await commands.endAll();
  });
});

describe("a command on the host", () => {
  it("cannot be given what makes a program another one, and says which file or folder is missing", async () => {
    const { run } = setUp();
    for (const name of ["LD_PRELOAD", "PATH", "NODE_OPTIONS", "CLOISTER_CELL_OF"])
      await expect(run("true", { env: { [name]: "x" } })).rejects.toMatchObject({ result: { code: "forbidden" } });
    await expect(run("true", { workdir: "none" })).rejects.toMatchObject({ message: /no folder "none"/ });
    await expect(run("./none", { plain: true, workdir: "." })).resolves.toMatchObject({ exitCode: 127 });
  });

  it("is a vector without a shell when its words are plain and name a program", async () => {
    const { folder } = setUp();
    mkdirSync(path.join(folder, "bin"));
    writeFileSync(path.join(folder, "bin", "git"), "#!/bin/sh\necho other\n");
    chmodSync(path.join(folder, "bin", "git"), 0o755);
    const place: Place = { type: "host", folder };
    const plan = async (command: string, plain = true) => {
      const planned = await planCommand({ command, workdir: ".", env: {}, pathPrepend: [], plain, place });
      return planned.ok ? [planned.vector.argv, planned.program] : undefined;
    };
    expect(await plan("ls -l 'a b' \"c d\"")).toEqual([["ls", "-l", "a b", "c d"], "/usr/bin/ls"]);
    const git = path.join(folder, "bin/git");
    expect(await plan("bin/git status")).toEqual([[git, "status"], git]);
    // A link is judged as what it is, since it may lead elsewhere a moment later; so is what leads over one.
    symlinkSync("/usr/bin/ls", path.join(folder, "link"));
    expect(await plan("./link")).toEqual([[path.join(folder, "link")], path.join(folder, "link")]);
    symlinkSync("/", path.join(folder, "top"));
    expect(await plan("top/../bin/git")).toEqual([[git], git]);
    for (const command of ["ls; id", "ls $HOME", "ls `id`", "ls > a", "X=1 ls", "cd /", "ls *", "ls ~", "if true"])
      expect(await plan(command)).toEqual([["/bin/sh", "-c", command], "/bin/sh"]);
    expect(await plan("ls", false)).toEqual([["/bin/sh", "-c", "ls"], "/bin/sh"]);
    // A folder of that name is no program, although one may enter it.
    mkdirSync(path.join(folder, "tools", "ls"), { recursive: true });
    const pathPrepend = [path.join(folder, "tools")];
    expect(await planCommand({ command: "ls", workdir: ".", env: {}, pathPrepend, plain: true, place })).toMatchObject({
      ok: true,
      program: "/usr/bin/ls",
    });
  });
});

describe("a command in bubblewrap", () => {
  it("has a session of its own, so that it types nothing into the gateway's terminal", async () => {
    const { run } = setUp({}, "bubblewrap");
    // Of a session from outside the number is not known in there: 0.
    expect((await run("cut -d ' ' -f 6 /proc/self/stat")).output.trim()).not.toBe("0");
  });

  it("sees its folder and the system's programs, and can change nothing else", async () => {
    const { run, folder } = setUp({}, "bubblewrap");
    const outside = makeFolder();
    writeFileSync(path.join(outside, "canary"), "canary");
    const tried = await run(
      [
        `cat ${outside}/canary /etc/shadow /etc/hostname ~root/.bashrc`,
        "ls / /home /root /srv /opt /var/lib",
        "touch /usr/x /etc/x /x /dev/x",
        "echo 1 > /proc/sys/kernel/printk_ratelimit",
        "echo 1 > /proc/sysrq-trigger",
        "ls /proc | grep -c '^[0-9]'",
        "unshare -U true",
        "mount -t tmpfs none /workspace",
        "echo mine > file",
        "touch /tmp/x /run/x",
        "true",
      ].join("\n"),
    );
    const before = readFileSync("/proc/sys/kernel/printk_ratelimit", "utf8");
    expect(tried.output).not.toContain("canary\n");
    for (const refused of ["/usr/x", "/etc/x", "'/x'", "/dev/x", "printk_ratelimit", "sysrq-trigger"])
      expect(tried.output, refused).toMatch(
        new RegExp(`${refused}.*(Read-only file system|Permission denied|Directory nonexistent|No such file)`),
      );
    expect(tried.output).toMatch(/unshare failed|Operation not permitted|No space/);
    expect(readFileSync("/proc/sys/kernel/printk_ratelimit", "utf8")).toBe(before);
    expect(readFileSync(path.join(folder, "file"), "utf8")).toBe("mine\n");
    expect(existsSync("/usr/x")).toBe(false);
  });

  it("takes no argument for bwrap out of a folder, a word or a variable of the call", async () => {
    const { run } = setUp({}, "bubblewrap");
    const outside = makeFolder();
    writeFileSync(path.join(outside, "canary"), "canary");
    const command = `cat /host${outside}/canary`;
    const smuggled = "a\0--bind\0/\0/host";
    await expect(run(command, { workdir: smuggled })).rejects.toMatchObject({ result: { code: "worker_unavailable" } });
    await expect(run(command, { env: { A: smuggled } })).rejects.toMatchObject({
      result: { code: "worker_unavailable" },
    });
    expect(execParams.safeParse({ command, workdir: smuggled }).success).toBe(false);
    expect(execParams.safeParse({ command, env: { A: smuggled } }).success).toBe(false);
  });

  it("has no network, no other processes, and no descriptor or word of the gateway", async () => {
    process.env["EXEC_CANARY"] = "canary-in-the-environment";
    try {
      const { run, folder } = setUp({}, "bubblewrap");
      const seen = await run(
        "cat /proc/net/dev; for p in /proc/[0-9]*; do tr '\\0' ' ' < $p/environ; tr '\\0' ' ' < $p/cmdline; ls -l $p/fd; done",
        { env: { VALUE_OF_ITS_OWN: "shown-to-itself" } },
      );
      const interfaces = seen.output.match(/^\s*\w+:/gm)?.map((line) => line.trim());
      expect(interfaces).toEqual(["lo:"]);
      expect(seen.output).not.toContain("canary-in-the-environment");
      expect(seen.output).not.toContain(folder);
      // Its own three are sockets; a further one would be the gateway's.
      expect(seen.output).not.toMatch(/ [3-9]\d* -> (?:socket|\/)/);
    } finally {
      delete process.env["EXEC_CANARY"];
    }
  });

  it("may only read where its workspace is read only, and sees nothing that is hidden in what is mounted", async () => {
    const { run, folder, box } = setUp({}, "bubblewrap");
    const hidden = ["hidden", "..hidden"].map((name) => path.join(folder, name));
    for (const name of hidden) {
      mkdirSync(name);
      writeFileSync(path.join(name, "canary"), "canary");
    }
    const place = box({ inside: "/agent", writable: false, hidden });
    const tried = await run(
      "exec 2>&1; pwd; touch x; cat *hidden/canary ..hidden/canary; ls -a *hidden ..hidden; echo $HOME",
      { place },
    );
    expect(tried.output).toMatch(/^\/agent\n/);
    expect(tried.output).toMatch(/Read-only file system/);
    expect(tried.output).not.toMatch(/^canary/m);
    expect(tried.output).toMatch(/\/tmp\n$/);
  });

  it("finds what is hidden behind no link of `binds`, and not by renaming a folder that it lies in", async () => {
    const { run, folder, box } = setUp({}, "bubblewrap");
    const outside = makeFolder();
    for (const place of [path.join(folder, "a", "b", "hidden"), path.join(outside, "hidden")]) {
      mkdirSync(place, { recursive: true });
      writeFileSync(path.join(place, "canary"), "canary");
    }
    const links = makeFolder();
    symlinkSync(outside, path.join(links, "to-outside"));
    symlinkSync(path.join(outside, "hidden"), path.join(links, "to-hidden"));
    const placeWith = (from: string): Place =>
      box({
        hidden: [path.join(folder, "a", "b", "hidden"), path.join(outside, "hidden")],
        settings: { ...execSettings().box, binds: [{ from: path.join(links, from), to: "/shown", writable: false }] },
      });
    const tried = "cat /shown/hidden/canary; mv a c; mv a/b d; cat a/b/hidden/canary; true";
    const first = await run(tried, { place: placeWith("to-outside") });
    expect(first).toMatchObject({ status: "exited", exitCode: 0 });
    expect(existsSync(path.join(folder, "a", "b", "hidden", "canary"))).toBe(true);
    expect(first.output).not.toMatch(/^canary/m);
    await expect(run(tried, { place: placeWith("to-hidden") })).rejects.toMatchObject({
      result: { code: "worker_unavailable" },
    });
  });

  it("cannot make the program that bounds it another one", async () => {
    const { run, folder } = setUp({}, "bubblewrap");
    writeFileSync(path.join(folder, "prlimit"), "#!/bin/sh\necho unbounded\n");
    chmodSync(path.join(folder, "prlimit"), 0o755);
    expect((await run("ulimit -c", { env: { PATH: "/workspace:/usr/bin:/bin" } })).output).toBe("0\n");
    await expect(run("true", { env: { LD_PRELOAD: "/workspace/x.so" } })).rejects.toMatchObject({
      result: { code: "forbidden" },
    });
  });

  it("is not run on the host when the sandbox cannot be set up", async () => {
    const { run, box, folder } = setUp({}, "bubblewrap");
    const bad = box({
      settings: { ...execSettings().box, binds: [{ from: `${folder}/none`, to: "/none", writable: false }] },
    });
    await expect(run("echo ran > ran", { place: bad })).rejects.toMatchObject({
      result: { code: "worker_unavailable", error: expect.stringMatching(/the command was not run: \/none/) as string },
    });
    expect(existsSync(path.join(folder, "ran"))).toBe(false);
    // What a command does wrong itself is no fault of the sandbox.
    expect(await run("none-such")).toMatchObject({ status: "exited", exitCode: 127 });
  });

  it("has no capability, no variable but its own, and no core file", async () => {
    const { run } = setUp({}, "bubblewrap");
    const tried = await run("grep Cap /proc/self/status; ulimit -Hc; ulimit -f; env", { env: { ASKED: "yes" } });
    expect(tried.output.match(/^Cap(?:Inh|Prm|Eff|Bnd|Amb):\s*0+$/gm)).toHaveLength(5);
    // A shell counts in blocks.
    expect(tried.output).toContain(`\n0\n${limits.execBoxFileBytes / 512}\n`);
    const names = tried.output.match(/^[A-Z_]+(?==)/gm);
    expect(
      names?.filter((name) => !["HOME", "LANG", "OLDPWD", "PATH", "PWD", "TERM"].includes(name)).toSorted(),
    ).toEqual(["ASKED"]);
  });

  it("bounds data, files and processes", async () => {
    const { run, box } = setUp({}, "bubblewrap");
    const settings = { ...execSettings().box, memoryBytes: 40_000_000, processesMax: 20 };
    const tried = await run("ulimit -d; ulimit -c; head -c 300000000 /dev/zero > /tmp/big", {
      place: box({ settings }),
    });
    expect(tried.output).toMatch(/^39062\n0\n/);
    expect(tried.output).toContain("No space left on device");
  });
});
