import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { type GatewayOptions, type RunGateway, runGatewayCommand } from "../../../runtime/cli/commands/gateway.ts";
import type { GlobalOptions } from "../../../runtime/cli/context.ts";
import type { Launcher } from "../../../runtime/launcher/launched.ts";
import { type FakeTerminal, makeContext, makeFakeTerminal } from "./fake-terminal.ts";

const key = "ab".repeat(32);
type RunOptions = Parameters<RunGateway>[0];

let home: string;
beforeEach(async () => {
  home = await mkdtemp(path.join(tmpdir(), "cloister-cli-"));
});
afterEach(async () => {
  await rm(home, { recursive: true, force: true });
});

interface Started {
  readonly terminal: FakeTerminal;
  readonly exit: Promise<number>;
  readonly options: RunOptions;
  readonly stops: readonly string[];
}

/** Starts the command with a gateway that is ready at once, and waits until it says so. */
async function start(
  options: GatewayOptions = {},
  globals: GlobalOptions = {},
  isTty = false,
  launcher?: Launcher,
): Promise<Started> {
  const terminal = makeFakeTerminal({ isTty });
  const stops: string[] = [];
  const started = Promise.withResolvers<RunOptions>();
  const context = { ...makeContext(home, terminal, globals), ...(launcher === undefined ? {} : { launcher }) };
  const exit = runGatewayCommand(context, options, async (given) => {
    await mkdir(given.config.stateDir, { recursive: true });
    await writeFile(path.join(given.config.stateDir, "operator.key"), key, { mode: 0o600 });
    started.resolve(given);
    return {
      pageUrl: "http://127.0.0.1:4321/",
      port: 4321,
      stop: async (reason, drainMs) => {
        stops.push(`${reason}, ${drainMs} ms`);
      },
    };
  });
  const given = await Promise.race([started.promise, exit.then(() => Promise.reject(new Error("it did not start")))]);
  await expect.poll(() => terminal.outText()).toContain("ready\n");
  return { terminal, exit, options: given, stops };
}

describe("running the gateway", () => {
  it("prints what it runs with, then what to type, and stops in order on a signal", async () => {
    const { terminal, exit, stops } = await start();
    terminal.signal("SIGTERM");
    expect(await exit).toBe(0);
    expect(stops).toEqual(["SIGTERM, 20000 ms"]);
    expect(terminal.listeners()).toBe(0);
    const text = terminal.outText();
    expect(text).toMatch(/^cloister 1\.2\.3\n {2}config {3}none at /);
    expect(text.indexOf("agents   main (scripted, default)")).toBeLessThan(text.indexOf("ready\n"));
    expect(text).toContain("  send  cloister send --agent main hello\n");
  });

  it("makes the configuration anew when one of its files or .env has changed, and not before", async () => {
    const folder = path.join(home, ".cloister");
    await mkdir(folder, { recursive: true });
    const file = path.join(folder, "cloister.json");
    await writeFile(file, JSON.stringify({ $include: "./more.json" }));
    await writeFile(path.join(folder, "more.json"), JSON.stringify({ agents: { list: [{ id: "raul" }] } }));
    const { terminal, exit, options } = await start();
    const idsOf = async (): Promise<readonly string[]> =>
      (await options.readConfig()).config.agents.map(({ id }) => id);
    expect((await options.readConfig()).config).toBe(options.config);
    // A change that is only tried is not what the files hold.
    const tried = await options.readConfig(new Map([[file, JSON.stringify({ agents: { list: [{ id: "sara" }] } })]]));
    expect(tried.config.agents.map(({ id }) => id)).toEqual(["sara"]);
    expect(await idsOf()).toEqual(["raul"]);
    await writeFile(path.join(folder, "more.json"), JSON.stringify({ agents: { list: [{ id: "${WHO}" }] } }));
    await writeFile(path.join(folder, ".env"), "WHO=tom\n");
    expect(await idsOf()).toEqual(["tom"]);
    await writeFile(path.join(folder, ".env"), "WHO=udo\n");
    expect(await idsOf()).toEqual(["udo"]);
    await rm(file);
    expect(await idsOf()).toEqual(["main"]);
    terminal.signal("SIGTERM");
    await exit;
  });

  it("shows the key to a person, and not to a log", async () => {
    const person = await start({}, {}, true);
    expect(person.terminal.outText()).toContain(`page  http://127.0.0.1:4321/#key=${key}\n`);
    expect(person.options.jsonLog).toBe(false);
    const service = await start();
    expect(service.terminal.outText()).toContain("page  http://127.0.0.1:4321/ (with its key: cloister dashboard)\n");
    expect(service.terminal.outText()).not.toContain(key);
    expect(service.options.jsonLog).toBe(true);
    for (const { terminal, exit } of [person, service]) {
      terminal.signal("SIGINT");
      await exit;
    }
  });

  it.each([
    ["SIGINT", 130],
    ["SIGTERM", 143],
    ["SIGHUP", 129],
  ] as const)("a second %s ends at once", async (signal, code) => {
    const { terminal, exit } = await start();
    terminal.signal("SIGTERM");
    terminal.signal(signal);
    expect(terminal.exits).toEqual([code]);
    await exit;
  });

  it("a lost thread ends the process as a crash and with its reason", async () => {
    const { terminal, exit, options } = await start();
    options.onFatal("the store thread ended");
    expect(terminal.exits).toEqual([70]);
    expect(terminal.errText()).toBe("cloister: the gateway cannot go on: the store thread ended\n");
    terminal.signal("SIGTERM");
    await exit;
  });

  it("what is thrown and caught by nobody ends the process the same way, with its place", async () => {
    const { terminal, exit } = await start();
    terminal.fault(new RangeError("no such thing"));
    expect(terminal.exits).toEqual([70]);
    expect(terminal.errText()).toMatch(
      /^cloister: the gateway cannot go on: RangeError: no such thing\n\s+at .*gateway-command/,
    );
    terminal.signal("SIGTERM");
    await exit;
  });

  it("an operator's order stops it with its own time for turns", async () => {
    const { terminal, exit, options, stops } = await start();
    options.onStopOrder({ reason: "stop ordered by cli", drainMs: 5, again: false });
    expect(await exit).toBe(0);
    expect(stops).toEqual(["stop ordered by cli, 5 ms"]);
    expect(terminal.errText()).toBe("stop ordered by cli: stopping; a second signal ends at once\n");
  });

  it("a start that fails gives the error and leaves the signals alone", async () => {
    const terminal = makeFakeTerminal();
    const exit = runGatewayCommand(makeContext(home, terminal), {}, async () =>
      Promise.reject(new Error("port in use")),
    );
    await expect(exit).rejects.toThrow("port in use");
    expect(terminal.listeners()).toBe(0);
    expect(terminal.outText()).not.toContain("ready");
  });
});

describe("under a launcher", () => {
  function makeLauncher() {
    const told: string[] = [];
    let order: (cause: string) => void = () => undefined;
    const launcher: Launcher = {
      launched: { pid: 1, restarts: 3, lastEnd: "by SIGABRT" },
      onStop: (handler) => {
        order = handler;
        return () => told.push("let go");
      },
      stopping: (withinMs, again) => told.push(`stopping within ${withinMs} ms${again ? ", again" : ""}`),
      failing: () => told.push("failing"),
    };
    return { launcher, told, order: (cause: string) => order(cause) };
  }

  it("it is told of a stop, and of a restart", async () => {
    for (const again of [false, true]) {
      const { launcher, told } = makeLauncher();
      const { exit, options } = await start({}, {}, false, launcher);
      expect(options.launched).toEqual(launcher.launched);
      options.onStopOrder({ reason: "ordered", drainMs: 7, again });
      expect(await exit).toBe(0);
      expect(told).toEqual([`stopping within 7 ms${again ? ", again" : ""}`, "let go"]);
    }
  });

  it("a signal to the whole group comes twice and is one; a second one of the launcher ends at once", async () => {
    const { launcher, order } = makeLauncher();
    const { terminal, exit } = await start({}, {}, false, launcher);
    terminal.signal("SIGTERM");
    terminal.signal("SIGTERM");
    order("SIGTERM");
    expect(terminal.exits).toEqual([]);
    order("SIGTERM");
    expect(terminal.exits).toEqual([143]);
    await exit;
  });

  it("the same when the launcher passed it on first", async () => {
    const { launcher, order } = makeLauncher();
    const { terminal, exit } = await start({}, {}, false, launcher);
    order("SIGINT");
    terminal.signal("SIGINT");
    expect(terminal.exits).toEqual([]);
    order("SIGINT");
    expect(terminal.exits).toEqual([130]);
    await exit;
  });

  it("one that is gone means an orderly stop, and nothing more when it stops already", async () => {
    const { launcher, order } = makeLauncher();
    const { terminal, exit, stops } = await start({}, {}, false, launcher);
    order("the launcher is gone");
    order("the launcher is gone");
    expect(await exit).toBe(0);
    expect([stops, terminal.exits]).toEqual([["the launcher is gone, 20000 ms"], []]);
  });

  it("a crash is told, so that its end is watched", async () => {
    const { launcher, told } = makeLauncher();
    const { terminal, exit, options } = await start({}, {}, false, launcher);
    options.onFatal("the store thread ended");
    expect([told, terminal.exits]).toEqual([["failing"], [70]]);
    terminal.signal("SIGTERM");
    await exit;
  });
});

const configOf = async (options: GatewayOptions, globals: GlobalOptions = {}): Promise<RunOptions["config"]> => {
  const { terminal, exit, options: given } = await start(options, globals);
  terminal.signal("SIGTERM");
  await exit;
  return given.config;
};

describe("options", () => {
  it("--port goes before the config, --verbose opens the console", async () => {
    const config = await configOf({ port: 0, verbose: true });
    expect([config.gateway.port, config.logging.consoleLevel]).toEqual([0, "debug"]);
  });

  it("--quiet closes the console, and not together with --verbose", async () => {
    expect((await configOf({ quiet: true })).logging.consoleLevel).toBe("silent");
    await expect(configOf({ quiet: true, verbose: true })).rejects.toMatchObject({
      code: "CLOISTER_REQUEST_INVALID",
      message: "Starting the gateway: found --quiet and --verbose, wanted one of them.",
    });
  });

  it("--bind that others can reach is refused without a secret", async () => {
    await expect(configOf({ bind: "lan" })).rejects.toMatchObject({ code: "CLOISTER_CONFIG_INVALID" });
  });

  it("--dev is the profile dev on its own port, unless one is given", async () => {
    const config = await configOf({ dev: true });
    expect([config.profile, config.gateway.port, config.stateDir]).toEqual([
      "dev",
      19_001,
      path.join(home, ".cloister-dev"),
    ]);
    expect((await configOf({ dev: true, port: 7 })).gateway.port).toBe(7);
  });

  it("--example runs the shipped config with the usual state", async () => {
    const folder = path.join(home, "examples", "pair");
    await mkdir(folder, { recursive: true });
    await writeFile(path.join(folder, "cloister.json5"), '{ agents: { list: [{ id: "one" }, { id: "two" }] } }');
    const config = await configOf({ example: "pair" });
    expect(config.agents.map(({ id }) => id)).toEqual(["one", "two"]);
    expect(config.stateDir).toBe(path.join(home, ".cloister"));
  });

  it("an example that does not exist names those that do", async () => {
    await mkdir(path.join(home, "examples", "pair"), { recursive: true });
    await expect(configOf({ example: "../pair" })).rejects.toMatchObject({
      code: "CLOISTER_REQUEST_INVALID",
      message: 'Starting an example: found no example "../pair"; there is pair.',
    });
  });

  it.each<[GatewayOptions, GlobalOptions, string]>([
    [{ dev: true }, { profile: "x" }, "--dev and --profile x"],
    [{ example: "pair" }, { config: "c.json" }, "--example and --config c.json"],
  ])("%j with %j is refused", async (options, globals, both) => {
    await expect(configOf(options, globals)).rejects.toMatchObject({
      code: "CLOISTER_REQUEST_INVALID",
      message: expect.stringContaining(both),
    });
  });
});
