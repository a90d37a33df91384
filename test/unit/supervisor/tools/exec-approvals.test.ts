/** Commands that wait for an operator: what is bound, who waits, what is bounded. */
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { limits } from "../../../../runtime/kernel/limits.ts";
import type { TimerRow } from "../../../../runtime/store/port.ts";
import {
  type Asking,
  type CommandForApproval,
  makeApprovals,
} from "../../../../runtime/supervisor/tools/exec-approvals.ts";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

const command: CommandForApproval = {
  agentId: "kim",
  sessionKey: "agent:kim:main",
  runId: "run-1",
  vector: { argv: ["git", "push"], cwd: "/ws", env: { PATH: "/usr/bin", HOME: "/ws" } },
  place: "host",
  hasInput: false,
};
const client = { connId: "c", clientId: "cli", mode: "cli", scopes: ["operator.approvals"] };
/** Of a turn that nobody follows; its session hears of the decision. */
const asking: Asking = {
  waits: false,
  isOver: () => false,
  tasks: [],
  told: { replyRoute: { type: "none" }, asked: '{"command":"git push"}' },
};
const followed: Asking = { ...asking, waits: true };
const quiet = { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined };

/** What outlives a process. */
interface Disk {
  readonly rows: Map<string, object>;
  readonly tasks: Map<string, TimerRow>;
  /** What sessions were told. */
  readonly told: string[];
  /** One that is thrown is thrown once, after so many writes. */
  failsAfter?: number;
  /** No session can be told of anything. */
  isDeaf?: boolean;
}

function open(disk: Disk = { rows: new Map(), tasks: new Map(), told: [] }) {
  const totals: number[] = [];
  const noted: object[] = [];
  const approvals = makeApprovals({
    kept: [...disk.rows.values()],
    store: {
      async keepCommandRequests({ put, remove }) {
        if (disk.failsAfter !== undefined && disk.failsAfter-- === 0) throw new Error("the process died");
        for (const { id, row } of put) disk.rows.set(id, structuredClone(row));
        for (const { id } of remove) disk.rows.delete(id);
      },
      unschedule: async (id) => {
        const task = disk.tasks.get(id);
        disk.tasks.delete(id);
        return task;
      },
    },
    signals: () => ({
      async setTask(task) {
        disk.tasks.set(task.id, task);
        return task.id;
      },
      async endTask(task, status, body) {
        if (disk.isDeaf === true) throw new Error("the gateway ends");
        disk.told.push(`${task.id} ${task.sessionKey} ${status}: ${body}`);
        return disk.tasks.delete(task.id);
      },
      async timers({ id }) {
        const rows = [...disk.tasks.values()].filter((task) => task.id === id);
        return { rows, total: rows.length };
      },
    }),
    newRequestId: () => `x-${++ids}`,
    newId: () => String(++ids),
    nowMs: () => Date.now(),
    publish: ({ payload }) => void totals.push((payload as { total: number }).total),
    note: (row) => void noted.push(row),
    log: quiet,
  });
  const resolve = async (id: string, decision: "allow-once" | "deny") =>
    approvals.methods["exec.approval.resolve"]({ id, decision }, client);
  const list = () => (approvals.methods["exec.approval.list"]({}, client) as { requests: { id: string }[] }).requests;
  const ask = (changes: Partial<CommandForApproval> = {}, who: Asking = asking) =>
    approvals.ask({ ...command, ...changes }, who);
  /** Asks, and gives the id of the request. */
  const raise = async (changes: Partial<CommandForApproval> = {}): Promise<string> => {
    const told = await ask(changes);
    if (told.type !== "waits") throw new Error(JSON.stringify(told));
    return told.id;
  };
  return { approvals, resolve, list, ask, raise, totals, noted, disk };
}
let ids = 0;

describe("a command that an operator has to allow", () => {
  it("A15.5: of a run that nobody follows is answered at once, waits, and runs once when it was allowed", async () => {
    const { resolve, list, ask, raise, totals } = open();
    const id = await raise();
    // Asked again it is the same request.
    expect(await ask()).toEqual({ type: "waits", id, waited: false, isTold: true });
    expect(list()).toMatchObject([{ id, argv: ["git", "push"], cwd: "/ws", place: "host", allowed: false }]);
    expect(await resolve(id, "allow-once")).toMatchObject({ ran: false, told: true });
    expect(list()).toMatchObject([{ id, allowed: true }]);
    expect(await ask()).toEqual({ type: "allowed" });
    expect(list()).toEqual([]);
    expect(await raise()).not.toBe(id);
    expect(totals).toEqual([1, 0, 0, 1]);
  });

  it("is shown word for word, with what no eye would see written out", async () => {
    const { ask, list } = open();
    const vector = {
      argv: ["sh", "-c", "echo \u202egnp.exe\n\u007f", "", "a\u00a0b\u3164"],
      cwd: "/srv/wor\u200bk",
      env: { NAME: "a\u2028b", PLAIN: "a b" },
    };
    await ask({ vector });
    expect(list()).toMatchObject([
      {
        argv: vector.argv,
        shown: {
          words: String.raw`["sh","-c","echo \u{202e}gnp.exe\n\u{7f}","","a\u{a0}b\u{3164}"]`,
          folder: String.raw`"/srv/wor\u{200b}k"`,
          variables: [String.raw`NAME="a\u{2028}b"`, 'PLAIN="a b"'],
        },
      },
    ]);
  });

  it("is bound with its words, folder, environment, agent, session, run and place: another one asks for itself", async () => {
    const { vector } = command;
    const others: Partial<CommandForApproval>[] = [
      { agentId: "lee" },
      { sessionKey: "agent:kim:other" },
      { runId: "run-2" },
      { place: "bubblewrap" },
      { hasInput: true },
      { vector: { ...vector, argv: ["git push"] } },
      { vector: { ...vector, argv: ["git", "push", "--force"] } },
      { vector: { ...vector, cwd: "/ws/other" } },
      { vector: { ...vector, env: { ...vector.env, GIT_SSH: "/ws/x" } } },
      { vector: { ...vector, env: { PATH: "/ws/bin", HOME: "/ws" } } },
    ];
    for (const other of others) {
      const { resolve, ask, raise } = open();
      const id = await raise();
      await resolve(id, "allow-once");
      expect(await raise(other), JSON.stringify(other)).not.toBe(id);
      // The order of variables is no difference.
      const env = { HOME: "/ws", PATH: "/usr/bin" };
      expect(await ask({ vector: { ...vector, env } })).toEqual({ type: "allowed" });
    }
  });

  it("goes to the turn that was told that it is allowed, and to no other run of the session", async () => {
    const { resolve, ask, raise, disk } = open();
    const id = await raise();
    const [task] = disk.tasks.keys();
    await resolve(id, "allow-once");
    expect(disk.told).toEqual([
      expect.stringMatching(new RegExp(`^${task} agent:kim:main done: the operator allowed .* as ${id}[^]*"git push"`)),
    ]);
    const tasks = [String(task)];
    expect(await ask({ runId: "run-2" })).toMatchObject({ type: "waits" });
    expect(await ask({ runId: "run-3", sessionKey: "agent:kim:other" }, { ...asking, tasks })).toMatchObject({
      type: "waits",
    });
    expect(await ask({ runId: "run-3" }, { ...asking, tasks })).toEqual({ type: "allowed" });
    expect(await ask({ runId: "run-3" }, { ...asking, tasks })).toMatchObject({ type: "waits" });
  });

  it("is one request, however many runs of the session ask before it is decided, and the last of them has it", async () => {
    const { resolve, list, ask, raise, disk } = open();
    const id = await raise();
    expect(await raise({ runId: "run-2" })).toBe(id);
    expect(list()).toMatchObject([{ id, runId: "run-2" }]);
    expect(disk.tasks.size).toBe(1);
    await resolve(id, "allow-once");
    expect(await ask({ runId: "run-2" })).toEqual({ type: "allowed" });
    expect(await ask()).toMatchObject({ type: "waits" });
  });

  it("survives the process in each state, is decided by the next one, and its session is told once", async () => {
    const first = open();
    const id = await first.raise();
    const denied = await first.raise({ runId: "run-2", sessionKey: "agent:kim:other" });
    const second = open(first.disk);
    await second.approvals.start();
    expect(second.list().map((one) => one.id)).toEqual([id, denied]);
    // The next write comes to nothing: what was decided is on the disk, and what follows from it is not.
    first.disk.failsAfter = 1;
    await second.resolve(id, "allow-once");
    await expect(second.resolve(denied, "deny")).rejects.toThrow("the process died");
    expect(first.disk.told).toHaveLength(1);
    delete first.disk.failsAfter;
    await second.resolve(denied, "deny");
    expect(first.disk.told).toEqual([
      expect.stringMatching(/agent:kim:main done: the operator allowed/),
      expect.stringMatching(/agent:kim:other failed: the operator denied[^]*"git push"/),
    ]);
    const third = open(first.disk);
    await third.approvals.start();
    expect(third.list()).toMatchObject([{ id, allowed: true }]);
    expect(first.disk.told).toHaveLength(2);
    expect(await third.ask()).toEqual({ type: "allowed" });
    expect(await open(first.disk).ask()).toMatchObject({ type: "waits" });
  });

  it("whose decision was kept and not told is told by the next process", async () => {
    for (const [state, words] of [
      ["allowed", "done: the operator allowed"],
      ["denied", "failed: the operator denied"],
    ] as const) {
      const { raise, disk } = open();
      const id = await raise();
      disk.rows.set(id, { ...disk.rows.get(id), state });
      const next = open(disk);
      await next.approvals.start();
      expect(disk.told).toEqual([expect.stringContaining(words)]);
      expect(next.list().map((one) => one.id)).toEqual(state === "allowed" ? [id] : []);
      expect([...disk.rows.keys()]).toEqual(state === "allowed" ? [id] : []);
    }
  });

  it("that was denied while nobody could be told is not forgotten: the next process tells of it, and not that nobody decided", async () => {
    const { resolve, raise, list, disk } = open();
    const id = await raise();
    disk.isDeaf = true;
    expect(await resolve(id, "deny")).toMatchObject({ decision: "deny" });
    expect(list()).toEqual([]);
    await open(disk).approvals.start();
    expect(disk.rows.size).toBe(1);
    delete disk.isDeaf;
    await open(disk).approvals.start();
    expect(disk.told).toEqual([expect.stringContaining("failed: the operator denied")]);
    expect([disk.rows.size, disk.tasks.size]).toEqual([0, 0]);
  });

  it("does not run when the store cannot say that it is spent; a row that cannot be read costs itself alone", async () => {
    const { resolve, ask, raise, disk } = open();
    const id = await raise();
    await resolve(id, "allow-once");
    disk.failsAfter = 0;
    await expect(ask()).rejects.toThrow("the process died");
    delete disk.failsAfter;
    disk.rows.set("x-bad", { id: "x-bad" });
    const next = open(disk);
    expect(next.list().map((one) => one.id)).toEqual([id]);
    expect(await next.ask()).toEqual({ type: "allowed" });
  });

  it("of a turn that the operator began waits for the decision, for a while", async () => {
    const { resolve, list, ask, disk } = open();
    const allowed = ask({}, followed);
    const second = ask({}, followed);
    await vi.advanceTimersByTimeAsync(1);
    const [one] = list();
    expect(await resolve(String(one?.id), "allow-once")).toMatchObject({ ran: true, told: false });
    expect(await allowed).toEqual({ type: "allowed" });
    // Once is once.
    expect(await second).toMatchObject({ type: "waits", isTold: false });
    const denied = ask({}, followed);
    await vi.advanceTimersByTimeAsync(1);
    const id = String(list()[0]?.id);
    await resolve(id, "deny");
    expect(await denied).toEqual({ type: "denied", id });
    // They were told where they waited.
    expect([disk.told, disk.tasks.size]).toEqual([[], 0]);
    const late = ask({}, followed);
    await vi.advanceTimersByTimeAsync(limits.execApprovalWaitMs);
    expect(await late).toMatchObject({ type: "waits", waited: true, isTold: true });
    expect(list()).toHaveLength(1);
  });

  it("is not spent on a call that nobody follows any more", async () => {
    const { resolve, ask, list } = open();
    let isOver = false;
    const left = ask({}, { ...followed, isOver: () => isOver });
    await vi.advanceTimersByTimeAsync(1);
    isOver = true;
    expect(await resolve(String(list()[0]?.id), "allow-once")).toMatchObject({ ran: false });
    expect(await ask()).toEqual({ type: "allowed" });
    await vi.advanceTimersByTimeAsync(limits.execApprovalWaitMs);
    expect(await left).toMatchObject({ type: "waits" });
  });

  it("is bounded in number and time, and what is decided is decided once", async () => {
    const { resolve, list, ask, raise, noted, disk } = open();
    const nth = (n: number): Partial<CommandForApproval> => ({
      vector: { ...command.vector, argv: ["ls", String(n)] },
    });
    const id = await raise(nth(0));
    for (let n = 1; n < limits.execApprovalsPerAgentMax; n++) await raise(nth(n));
    expect(await ask(nth(-1))).toMatchObject({ type: "full" });
    const other = await raise({ agentId: "lee" });
    await resolve(id, "deny");
    await expect(resolve(id, "allow-once")).rejects.toThrow(`no command that waits has the id ${id}`);
    expect(noted.at(-1)).toMatchObject({ type: "exec_approval_decided", subject: "cli", object: id });
    // The task of each says so to its session at that time.
    const due = [...disk.tasks.values()].map(({ dueAtMs }) => dueAtMs);
    expect(new Set(due)).toEqual(new Set([Date.now() + limits.execApprovalAgeMs]));
    vi.setSystemTime(Date.now() + limits.execApprovalAgeMs);
    expect(list()).toEqual([]);
    await expect(resolve(other, "allow-once")).rejects.toThrow("nobody decided it in time");
    await raise();
    expect(disk.rows.size).toBe(1);
  });

  it("of a sub-agent is told to nobody: its session ends with its run", async () => {
    const { approvals, resolve, disk } = open();
    const { told: _, ...untold } = asking;
    const asked = await approvals.ask(command, untold);
    expect(asked).toMatchObject({ type: "waits", isTold: false });
    expect(await resolve("id" in asked ? asked.id : "", "allow-once")).toMatchObject({ told: false });
    expect([disk.told, disk.tasks.size]).toEqual([[], 0]);
  });

  it("is told when the gateway ends", async () => {
    const { approvals, ask } = open();
    const waiting = ask({}, followed);
    await vi.advanceTimersByTimeAsync(1);
    approvals.close();
    expect(await waiting).toMatchObject({ type: "waits" });
    expect(await ask({}, followed)).toMatchObject({ type: "waits" });
  });
});
