/** What the launcher does with each end of the gateway, on a virtual clock with children that only act. */
import { EventEmitter } from "node:events";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { limits } from "../../../runtime/kernel/limits.ts";
import { type Child, runLauncher } from "../../../runtime/launcher/launcher.ts";
import type { FromGateway, FromLauncher, Launched } from "../../../runtime/launcher/port.ts";

class FakeChild extends EventEmitter {
  readonly pid: number | undefined;
  readonly launched: Launched;
  connected = true;
  readonly told: FromLauncher[] = [];
  readonly kills: unknown[] = [];

  constructor(pid: number | undefined, launched: Launched) {
    super();
    this.pid = pid;
    this.launched = launched;
  }

  send(message: unknown): boolean {
    this.told.push(message as FromLauncher);
    return true;
  }

  /** SIGKILL always ends a process. */
  kill(signal?: unknown): boolean {
    this.kills.push(signal);
    this.end(null, "SIGKILL");
    return true;
  }

  end(code: number | null, signal: NodeJS.Signals | null = null): void {
    this.connected = false;
    this.emit("exit", code, signal);
  }

  says(message: FromGateway): void {
    this.emit("message", message);
  }
}

let children: FakeChild[];
let said: string[];
/** After which life it was. */
let cleaned: number[] = [];
let signal: (name: string) => void;
let released: number;
let exit: Promise<number>;

/** The gateway that runs now. */
const child = (): FakeChild => {
  const last = children.at(-1);
  if (last === undefined) throw new Error("the launcher has started nothing");
  return last;
};
/** Lets what was decided happen, and that much time pass. */
const pass = (ms = 0): Promise<unknown> => vi.advanceTimersByTimeAsync(ms);

function launch(options: { random?: () => number; pids?: boolean } = {}): void {
  exit = runLauncher({
    pid: 7,
    clean: async () => void cleaned.push(children.length),
    start: (env) => {
      const launched = JSON.parse(env["CLOISTER_LAUNCHED"] ?? "") as Launched;
      const started = new FakeChild(options.pids === false ? undefined : 100 + children.length, launched);
      children.push(started);
      if (options.pids === false) setImmediate(() => started.emit("error", new Error("spawn EAGAIN")));
      return started as unknown as Child;
    },
    onSignal: (handler) => {
      signal = handler;
      return () => (released += 1);
    },
    say: (line) => said.push(line),
    random: options.random ?? (() => 0.5),
  });
}

beforeEach(() => {
  vi.useFakeTimers();
  children = [];
  cleaned = [];
  said = [];
  released = 0;
});
afterEach(() => vi.useRealTimers());

describe("an end that is no crash", () => {
  it.each([
    ["an orderly end", 0],
    ["a refusal to start", 1],
    ["wrong usage", 2],
  ])("%s ends the launcher with its code", async (_what, code) => {
    launch();
    child().end(code);
    expect(await exit).toBe(code);
    expect([children.length, said, released, cleaned]).toEqual([1, [], 1, [1]]);
  });

  it("an ordered restart starts it at once, as often as it is ordered, and counts as no crash", async () => {
    launch();
    for (let nth = 1; nth <= 2 * limits.gatewayRestarts; nth++) {
      child().says({ type: "stopping", withinMs: 20_000, again: true });
      child().end(0);
      await pass();
      expect([children.length, child().launched.restarts]).toEqual([nth + 1, nth]);
    }
    child().end(0);
    expect(await exit).toBe(0);
  });

  it("a restart whose gateway dies while it drains is still a restart", async () => {
    launch();
    child().says({ type: "stopping", withinMs: 20_000, again: true });
    child().end(null, "SIGABRT");
    await pass();
    expect([children.length, child().launched.lastEnd]).toEqual([2, undefined]);
    child().end(0);
    await exit;
  });
});

describe("a crash", () => {
  it.each<[string, number | null, NodeJS.Signals | null]>([
    ["by SIGABRT", null, "SIGABRT"],
    ["by SIGTRAP", null, "SIGTRAP"],
    ["by SIGSEGV", null, "SIGSEGV"],
    ["by SIGKILL", null, "SIGKILL"],
    ["with exit code 70", 70, null],
    ["with exit code 134", 134, null],
  ])("%s: it is started again, and told why", async (how, code, name) => {
    launch();
    child().end(code, name);
    await pass(limits.gatewayBackoffMs);
    expect(children.length).toBe(2);
    // What the first one left was ended before the second one began.
    expect(cleaned).toEqual([1]);
    expect(child().launched).toEqual({ pid: 7, restarts: 1, lastEnd: how });
    expect(said).toEqual([
      `cloister: the gateway ended ${how}; it is started again in 50 ms (1 of at most 10 in 60 s). Accepted messages are kept.`,
    ]);
    child().end(0);
    expect(await exit).toBe(0);
  });

  it("the back-off doubles up to its maximum, with full jitter", async () => {
    launch({ random: () => 1 });
    const waits: number[] = [];
    for (let nth = 1; nth <= limits.gatewayRestarts; nth++) {
      child().end(70);
      const fromMs = Date.now();
      while (children.length === nth) await pass(1);
      waits.push(Date.now() - fromMs);
    }
    expect(waits).toEqual([100, 200, 400, 800, 1_600, 3_200, 6_400, 10_000, 10_000, 10_000]);
    child().end(0);
    await exit;
  });

  it("more of them in the period than allowed: it gives up with a code of its own and says why", async () => {
    launch();
    for (let nth = 1; nth <= limits.gatewayRestarts; nth++) {
      child().end(null, "SIGABRT");
      await pass(limits.gatewayBackoffMsMax / 2);
    }
    expect(children.length).toBe(limits.gatewayRestarts + 1);
    child().end(null, "SIGABRT");
    expect(await exit).toBe(71);
    expect(said.at(-1)).toMatch(
      /ended 11 times within 60 s, at last by SIGABRT; the launcher gives up \(exit code 71\)/,
    );
  });

  it("as many of them over a longer time: it never gives up", async () => {
    launch();
    for (let nth = 1; nth <= 5 * limits.gatewayRestarts; nth++) {
      child().end(null, "SIGABRT");
      await pass(limits.gatewayRestartPeriodMs / limits.gatewayRestarts);
      expect(children.length).toBe(nth + 1);
    }
    child().end(0);
    expect(await exit).toBe(0);
  });

  it("a process that cannot be made counts as one", async () => {
    launch({ pids: false });
    while (said.length < 2) await pass(1);
    expect(said.slice(0, 2)).toEqual([
      "cloister: the gateway could not be started: spawn EAGAIN",
      expect.stringContaining("the gateway ended before it began; it is started again in 50 ms"),
    ]);
    await pass(limits.gatewayRestartPeriodMs);
    expect(await exit).toBe(71);
  });

  it("one that could not go on and hangs at its end is killed", async () => {
    launch();
    child().says({ type: "failing" });
    await pass(limits.gatewayStopMs);
    expect(children[0]?.kills).toEqual(["SIGKILL"]);
    await pass(limits.gatewayBackoffMs);
    expect(children.length).toBe(2);
    child().end(0);
    await exit;
  });
});

const look = limits.gatewaySilentMs / 15;

describe("a main thread that stands still", () => {
  it("is killed after the bound and not before, and the gateway started again", async () => {
    launch();
    await pass(limits.gatewaySilentMs - 1);
    expect(child().kills).toEqual([]);
    await pass(1);
    expect(children[0]?.kills).toEqual(["SIGKILL"]);
    await pass(limits.gatewayBackoffMs);
    expect(child().launched.lastEnd).toMatch(
      /^by the launcher's SIGKILL \(the gateway's main thread did not answer for 45000 ms\)/,
    );
    child().end(0);
    await exit;
  });

  it("beats and a debugger keep it alive", async () => {
    launch();
    for (let nth = 0; nth < 100; nth++) {
      child().says({ type: "beat", debugged: false });
      await pass(look);
    }
    child().says({ type: "beat", debugged: true });
    await pass(10 * limits.gatewaySilentMs);
    expect(child().kills).toEqual([]);
    expect(children).toHaveLength(1);
    child().end(0);
    expect(await exit).toBe(0);
  });

  it("the bound leaves the process the time to say itself what it was", () => {
    expect(limits.gatewaySilentMs).toBeGreaterThan(limits.mainStuckMs * 1.1);
    expect(limits.gatewayBeatMs).toBeLessThan(look);
    expect(limits.gatewayRestarts).toBeGreaterThan(limits.deliveriesMax);
  });
});

describe("a signal to the launcher", () => {
  it("is passed on once, and what the gateway ends with is its end", async () => {
    launch();
    signal("SIGTERM");
    expect(child().told).toEqual([{ type: "stop", signal: "SIGTERM" }]);
    await pass(limits.drainMs);
    child().end(0);
    expect(await exit).toBe(0);
  });

  it("a gateway that dies of its stop is not started again", async () => {
    launch();
    signal("SIGTERM");
    child().end(null, "SIGSEGV");
    expect(await exit).toBe(139);
    expect(children.length).toBe(1);
  });

  it("a stop beyond its deadline is ended by SIGKILL", async () => {
    launch();
    signal("SIGTERM");
    await pass(limits.drainMs + limits.gatewayStopMs - 1);
    expect(child().kills).toEqual([]);
    await pass(1);
    expect(await exit).toBe(137);
    expect(said).toEqual([expect.stringContaining("did not end within 30000 ms of SIGTERM; the launcher kills it")]);
  });

  it("a stop may take as long as the gateway says", async () => {
    launch();
    child().says({ type: "stopping", withinMs: limits.drainMsMax, again: false });
    for (let ms = 0; ms < limits.drainMsMax + limits.gatewayStopMs - look; ms += look) {
      child().says({ type: "beat", debugged: false });
      await pass(look);
    }
    expect(child().kills).toEqual([]);
    await pass(look);
    expect(await exit).toBe(137);
  });

  it("a stop that the gateway says more time for has it, and not the one from before", async () => {
    launch();
    signal("SIGTERM");
    child().says({ type: "stopping", withinMs: limits.drainMsMax, again: false });
    for (let ms = 0; ms < limits.drainMsMax + limits.gatewayStopMs - look; ms += look) {
      child().says({ type: "beat", debugged: false });
      await pass(look);
    }
    expect(child().kills).toEqual([]);
    await pass(look);
    expect(await exit).toBe(137);
  });

  it("a second one is passed on too, and leaves a second", async () => {
    launch();
    signal("SIGINT");
    signal("SIGINT");
    expect(child().told).toHaveLength(2);
    await pass(limits.gatewayHaltMs);
    expect(await exit).toBe(137);
  });

  it("one during a restart makes it a stop", async () => {
    launch();
    child().says({ type: "stopping", withinMs: 20_000, again: true });
    signal("SIGTERM");
    child().end(143);
    expect(await exit).toBe(143);
    expect(children.length).toBe(1);
  });

  it("one while is looked for what a crash left ends the launcher without a back-off", async () => {
    launch({ random: () => 1 });
    child().end(70);
    signal("SIGTERM");
    await pass();
    expect([released, children.length]).toEqual([1, 1]);
    expect(await exit).toBe(0);
  });

  it("one while is looked for what a restart left is for the gateway that starts then", async () => {
    launch();
    child().says({ type: "stopping", withinMs: 20_000, again: true });
    child().end(0);
    signal("SIGTERM");
    await pass();
    expect(children.length).toBe(2);
    expect(child().told).toEqual([{ type: "stop", signal: "SIGTERM" }]);
    child().end(0);
    expect(await exit).toBe(0);
  });

  it("one during the back-off ends the launcher", async () => {
    launch({ random: () => 1 });
    child().end(70);
    await pass(1);
    signal("SIGTERM");
    expect(await exit).toBe(0);
    expect(children.length).toBe(1);
  });
});
