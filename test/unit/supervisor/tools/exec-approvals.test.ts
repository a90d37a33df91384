/** Commands that wait for an operator: what is bound, who waits, what is bounded. */
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { limits } from "../../../../runtime/kernel/limits.ts";
import { type CommandForApproval, makeApprovals } from "../../../../runtime/supervisor/tools/exec-approvals.ts";

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
const followed = (): boolean => false;
const client = { connId: "c", clientId: "cli", mode: "cli", scopes: ["operator.approvals"] };

function open() {
  let ids = 0;
  const totals: number[] = [];
  const noted: object[] = [];
  const approvals = makeApprovals({
    newId: () => `x-${++ids}`,
    nowMs: () => Date.now(),
    publish: ({ payload }) => void totals.push((payload as { total: number }).total),
    note: (row) => void noted.push(row),
  });
  const resolve = (id: string, decision: "allow-once" | "deny") =>
    approvals.methods["exec.approval.resolve"]({ id, decision }, client);
  const list = () => (approvals.methods["exec.approval.list"]({}, client) as { requests: object[] }).requests;
  return { approvals, resolve, list, totals, noted };
}

describe("a command that an operator has to allow", () => {
  it("A15.5: of a run that nobody follows is answered at once, waits, and runs once when it was allowed", async () => {
    const { approvals, resolve, list, totals } = open();
    expect(await approvals.ask(command, false, followed)).toEqual({ type: "waits", id: "x-1", waited: false });
    // Asked again it is the same request.
    expect(await approvals.ask({ ...command, runId: "run-2" }, false, followed)).toMatchObject({ id: "x-1" });
    expect(list()).toMatchObject([{ id: "x-1", argv: ["git", "push"], cwd: "/ws", place: "host", allowed: false }]);
    expect(resolve("x-1", "allow-once")).toMatchObject({ ran: false });
    expect(await approvals.ask(command, false, followed)).toEqual({ type: "allowed" });
    expect(await approvals.ask(command, false, followed)).toMatchObject({ type: "waits", id: "x-2" });
    expect(totals).toEqual([1, 0, 0, 1]);
  });

  it("is shown word for word, with what no eye would see written out", async () => {
    const { approvals, list } = open();
    const vector = {
      argv: ["sh", "-c", "echo \u202egnp.exe\n\u007f", "", "a\u00a0b\u3164"],
      cwd: "/srv/wor\u200bk",
      env: { NAME: "a\u2028b", PLAIN: "a b" },
    };
    await approvals.ask({ ...command, vector }, false, followed);
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

  it("is bound with its words, folder, environment, agent, session and place: another one asks for itself", async () => {
    const { vector } = command;
    const others: CommandForApproval[] = [
      { ...command, agentId: "lee" },
      { ...command, sessionKey: "agent:kim:other" },
      { ...command, place: "bubblewrap" },
      { ...command, hasInput: true },
      { ...command, vector: { ...vector, argv: ["git push"] } },
      { ...command, vector: { ...vector, argv: ["git", "push", "--force"] } },
      { ...command, vector: { ...vector, cwd: "/ws/other" } },
      { ...command, vector: { ...vector, env: { ...vector.env, GIT_SSH: "/ws/x" } } },
      { ...command, vector: { ...vector, env: { PATH: "/ws/bin", HOME: "/ws" } } },
    ];
    for (const other of others) {
      const { approvals, resolve } = open();
      await approvals.ask(command, false, followed);
      resolve("x-1", "allow-once");
      expect(await approvals.ask(other, false, followed)).toMatchObject({ type: "waits", id: "x-2" });
      // The order of variables is no difference.
      const env = { HOME: "/ws", PATH: "/usr/bin" };
      expect(await approvals.ask({ ...command, vector: { ...vector, env } }, false, followed)).toEqual({
        type: "allowed",
      });
    }
  });

  it("of a turn that the operator began waits for the decision, for a while", async () => {
    const { approvals, resolve, list } = open();
    const allowed = approvals.ask(command, true, followed);
    const second = approvals.ask(command, true, followed);
    await vi.advanceTimersByTimeAsync(1);
    expect(resolve("x-1", "allow-once")).toMatchObject({ ran: true });
    expect(await allowed).toEqual({ type: "allowed" });
    // Once is once.
    expect(await second).toMatchObject({ type: "waits" });
    const denied = approvals.ask(command, true, followed);
    await vi.advanceTimersByTimeAsync(1);
    resolve("x-2", "deny");
    expect(await denied).toEqual({ type: "denied", id: "x-2" });
    const late = approvals.ask(command, true, followed);
    await vi.advanceTimersByTimeAsync(limits.execApprovalWaitMs);
    expect(await late).toEqual({ type: "waits", id: "x-3", waited: true });
    expect(list()).toHaveLength(1);
  });

  it("is not spent on a call that nobody follows any more", async () => {
    const { approvals, resolve } = open();
    let isOver = false;
    const left = approvals.ask(command, true, () => isOver);
    await vi.advanceTimersByTimeAsync(1);
    isOver = true;
    expect(resolve("x-1", "allow-once")).toMatchObject({ ran: false });
    expect(await approvals.ask(command, false, followed)).toEqual({ type: "allowed" });
    await vi.advanceTimersByTimeAsync(limits.execApprovalWaitMs);
    expect(await left).toMatchObject({ type: "waits" });
  });

  it("is bounded in number and time, and what is decided is decided once", async () => {
    const { approvals, resolve, list, noted } = open();
    const nth = (n: number): CommandForApproval => ({
      ...command,
      vector: { ...command.vector, argv: ["ls", String(n)] },
    });
    for (let n = 0; n < limits.execApprovalsPerAgentMax; n++) await approvals.ask(nth(n), false, followed);
    expect(await approvals.ask(nth(-1), false, followed)).toMatchObject({ type: "full" });
    expect(await approvals.ask({ ...command, agentId: "lee" }, false, followed)).toMatchObject({ type: "waits" });
    resolve("x-1", "deny");
    expect(() => resolve("x-1", "allow-once")).toThrow("no command that waits has the id x-1");
    expect(noted.at(-1)).toMatchObject({ type: "exec_approval_decided", subject: "cli", object: "x-1" });
    vi.setSystemTime(Date.now() + limits.execApprovalAgeMs);
    expect(list()).toEqual([]);
    expect(() => resolve("x-2", "allow-once")).toThrow("nobody decided it in time");
  });

  it("is told when the gateway ends", async () => {
    const { approvals } = open();
    const waiting = approvals.ask(command, true, followed);
    approvals.close();
    expect(await waiting).toMatchObject({ type: "waits" });
    expect(await approvals.ask(command, true, followed)).toMatchObject({ type: "waits" });
  });
});
