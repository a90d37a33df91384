/** `cloister subagents` on the real program: a run in each state, the ends that operators make, and what a crash leaves. */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { actorPath } from "../support/actors.ts";
import { runLine } from "../support/command-lines.ts";
import { endPrograms, makeStateDir, type Program, startProgram } from "../support/program.ts";

const module = actorPath("spawner");
let program: Program;

beforeAll(async () => {
  const stateDir = makeStateDir({
    agents: {
      defaults: { subagents: { allowAgents: ["*"], maxSpawnDepth: 2, maxConcurrent: 2 } },
      list: [
        { id: "main", default: true, module },
        { id: "raul", module },
      ],
    },
  });
  program = await startProgram(stateDir);
});

afterAll(endPrograms);

interface Task {
  readonly taskId: string;
  readonly status: string;
  readonly code?: string;
  readonly label?: string;
  readonly startedAt?: number;
  readonly createdAt: number;
  readonly delivery?: string;
}

const cli = (...args: string[]) => runLine(program.stateDir, args);
const subagents = (...args: string[]) => cli("subagents", ...args);
const task = (command: object): string => JSON.stringify(command);

async function list(...args: string[]): Promise<readonly Task[]> {
  const { stdout, code } = await subagents("list", "--json", ...args);
  expect(code).toBe(0);
  return (JSON.parse(stdout) as { readonly tasks: readonly Task[] }).tasks;
}

/** Gives the id of a run that an agent's main session has started. */
async function spawn(agentId: string, label: string, command: object, params: object = {}): Promise<string> {
  const spawning = { do: "tool", tool: "sessions_spawn", params: { task: task(command), label, ...params } };
  const { stdout, stderr } = await cli("send", "--agent", agentId, task(spawning));
  const answer = JSON.parse(stdout || stderr) as { readonly status: string; readonly runId: string };
  expect(answer.status).toBe("accepted");
  return answer.runId;
}

const statusOf = async (id: string): Promise<string | undefined> =>
  (await list()).find(({ taskId }) => taskId === id)?.status;

const until = (id: string, status: string) => expect.poll(() => statusOf(id)).toBe(status);

/** What a person sees in the table: the cells of the run's line that follow its id. */
async function line(id: string): Promise<string> {
  const { stdout } = await subagents();
  return stdout.split("\n").find((one) => one.startsWith(id)) ?? "";
}

const deep = { do: "yield", params: { task: task({ do: "wait" }), label: "below" } };

describe("cloister subagents", () => {
  test("says that there is none, and refuses numbers that are none", async () => {
    expect(await subagents()).toMatchObject({ code: 0, stdout: "", stderr: "no run\n" });
    expect(JSON.parse((await subagents("list", "--json")).stdout)).toMatchObject({ count: 0, tasks: [] });
    for (const limit of ["0", "x", "501"]) {
      const refused = await subagents("list", "--limit", limit);
      expect(refused.code).not.toBe(0);
      expect(refused.stderr).toContain("--limit");
    }
  });

  test("tells each end, with its code", async () => {
    const ends = [
      ["succeeded", "succeeded", { do: "say", text: "42" }, {}],
      ["failed", "failed (CLOISTER_AGENT_FAILED)", { do: "throw", text: "it broke" }, {}],
      ["failed", "failed (no_result)", { do: "nothing" }, {}],
      ["timed_out", "timed_out", { do: "wait" }, { runTimeoutSeconds: 0.3 }],
    ] as const;
    for (const [status, shown, command, params] of ends) {
      const id = await spawn("main", shown, command, params);
      await until(id, status);
      expect(await line(id)).toContain(`${shown}  `);
    }
    expect((await list()).map(({ label }) => label)).toEqual(ends.map(([, shown]) => shown).toReversed());
    expect(await list("--limit", "1")).toHaveLength(1);
  });

  test("tells who works, who waits and who has no place yet; by session, with what is below it", async () => {
    const waiting = await spawn("main", "above", deep);
    await until(waiting, "waiting");
    const running = await spawn("raul", "of raul", { do: "wait" });
    await until(running, "running");
    const queued = await spawn("main", "third", { do: "wait" });
    expect(await statusOf(queued)).toBe("queued");
    expect((await list()).find(({ taskId }) => taskId === queued)?.startedAt).toBeUndefined();
    expect(await line(waiting)).toMatch(/ waiting +agent:main:main +agent:main:subagent:r-\S+ .* above$/);
    expect((await list("--session", "agent:raul:main")).map(({ taskId }) => taskId)).toEqual([running]);
    const own = await list("--session", "agent:main:main");
    expect(own.map(({ label }) => label)).toEqual(expect.arrayContaining(["above", "below", "third"]));
    expect(own.map(({ taskId }) => taskId)).not.toContain(running);
    expect(await list("--session", "agent:main:nobody")).toEqual([]);
  });

  test("cancel ends a run of any agent, with what it started, and its requester is told", async () => {
    const byLabel = new Map((await list()).map((one) => [one.label, one]));
    const idOf = (label: string): string => byLabel.get(label)?.taskId ?? "";
    const session = `agent:main:subagent:${idOf("above")}`;
    const cancelled = await subagents("cancel", idOf("above"));
    expect(cancelled).toMatchObject({ code: 0, stdout: `the run of ${session} was ended, with 1 below it\n` });
    await until(idOf("above"), "cancelled");
    await until(idOf("below"), "cancelled");
    const ends = new Map((await list()).map((one) => [one.label, one]));
    expect([ends.get("above")?.delivery, ends.get("below")?.delivery]).toEqual(["delivered", "suppressed"]);

    // A second time it is too late, which is no failure.
    expect(await subagents("cancel", idOf("above"))).toMatchObject({
      code: 0,
      stdout: `the run of ${session} had ended before\n`,
    });
    expect(JSON.parse((await subagents("cancel", "--json", idOf("above"))).stdout)).toEqual({
      ok: true,
      sessionKey: session,
      cancelled: 0,
    });

    const ofRaul = await subagents("cancel", "--json", idOf("of raul"));
    expect([ofRaul.code, JSON.parse(ofRaul.stdout)]).toEqual([
      0,
      { ok: true, sessionKey: `agent:raul:subagent:${idOf("of raul")}`, cancelled: 1 },
    ]);
    // Places are free by now, or not: it ends all the same.
    expect((await subagents("cancel", idOf("third"))).stdout).toContain("was ended\n");
    await until(idOf("third"), "cancelled");
    await expect
      .poll(async () => (await cli("send", task({ do: "heard" }))).stdout)
      .toContain(`"runId":"${idOf("third")}"`);
  });

  test("cancel of a run that nobody knows, and without one, says what to do", async () => {
    const unknown = await subagents("cancel", "r-nobody");
    expect([unknown.code, unknown.stdout]).toEqual([1, ""]);
    expect(unknown.stderr).toContain("no sub-agent's run has the id r-nobody");
    expect(unknown.stderr).toContain("cloister subagents list");
    const asJson = await subagents("cancel", "--json", "r-nobody");
    expect([asJson.code, asJson.stdout]).toEqual([1, ""]);
    const none = await subagents("cancel");
    expect(none.code).not.toBe(0);
    expect(none.stderr).toContain("missing required argument 'id'");
  });

  test("after a crash the runs are interrupted, or lost when their time is over", async () => {
    const left = await spawn("main", "left", { do: "wait" });
    const late = await spawn("main", "late", { do: "wait" }, { runTimeoutSeconds: 3 });
    const deadlineMs = ((await list()).find(({ taskId }) => taskId === late)?.createdAt ?? 0) + 3_000;
    await program.stop("SIGKILL");
    await expect.poll(() => Date.now()).toBeGreaterThan(deadlineMs);
    const down = await subagents();
    expect([down.code, down.stdout]).toEqual([1, ""]);
    program = await startProgram(program.stateDir);
    expect(await line(left)).toContain("failed (interrupted)  ");
    expect(await line(late)).toContain("lost  ");
    expect((await subagents("cancel", left)).stdout).toContain("had ended before");
    expect(await program.stop()).toBe(0);
  });
});

test.each([
  ["without auth", { mode: "none" }],
  ["with an empty token", { token: "" }],
])(
  "AC-04.1: a fresh install %s can spawn: accepted with run and session, the completion reaches the parent, no device is asked about",
  async (_what, auth) => {
    const fresh = await startProgram(makeStateDir({ agents: { list: [{ id: "main", module }] }, gateway: { auth } }));
    const run = (...args: string[]) => runLine(fresh.stateDir, args);
    const params = { runtime: "subagent", agentId: "main", mode: "run", task: task({ do: "say", text: "42" }) };
    const answer = await run("send", task({ do: "tool", tool: "sessions_spawn", params }));
    const { status, runId, childSessionKey } = JSON.parse(answer.stdout) as Record<string, string>;
    expect([status, childSessionKey]).toEqual(["accepted", `agent:main:subagent:${runId}`]);
    await expect.poll(async () => (await run("send", task({ do: "heard" }))).stdout).toContain(`"runId":"${runId}"`);
    const [heard] = JSON.parse((await run("send", task({ do: "heard" }))).stdout) as [{ signal: object; text: string }];
    expect(heard.signal).toMatchObject({ type: "completion", outcome: "succeeded", status: "ok" });
    expect(heard.text).toContain("\n42\n");
    const devices = JSON.parse((await run("devices", "list", "--json")).stdout) as Record<string, unknown>;
    expect([devices["paired"], devices["pending"]]).toEqual([[], []]);
    expect(await fresh.stop()).toBe(0);
  },
);
