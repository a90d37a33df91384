/**
 * The commands of agents: those at work, and the output of those that ended a while ago.
 *
 *   start ──within yieldMs──► ended: the call has its output
 *     └──later, or background──► at work: `process` has news of it, writes to it, ends it
 *            └── it ends · its time or output is over · its cell, its run or the gateway ends ──► ended, kept for half an hour
 *
 * A command ends with its process group. A session sees its own commands alone. Source: behaviour §7.3, needs A6.4.
 */
import { randomBytes } from "node:crypto";
import { limits } from "../../kernel/limits.ts";
import type { OwnedProcess } from "../../thread/process-port.ts";
import { isWithin } from "../../thread/within.ts";
import type { ProcessParams } from "../params.ts";
import type { CommandEnd, CommandOwner, CommandStart } from "../port.ts";
import { refused } from "../results.ts";
import { launch, type LaunchAsked, type LaunchDeps, type Launched } from "./launch.ts";
import { makeOutput, type Output } from "./output.ts";

export type CommandBounds = Pick<
  typeof limits,
  | "execPerAgentMax"
  | "execMax"
  | "execEndedPerAgentMax"
  | "execEndedMax"
  | "execEndedAgeMs"
  | "execOutputCharsMax"
  | "execOutputShownMax"
  | "execOutputTotalMax"
  | "execInputBytesMax"
  | "execStreamsMs"
  | "execEndMs"
>;

export interface CommandsDeps extends LaunchDeps {
  /** The names of commands begin with it. */
  readonly name: string;
  readonly bounds?: { readonly [K in keyof CommandBounds]?: number };
  readonly nowMs?: () => number;
  readonly launch?: typeof launch;
  readonly onEnd?: (end: CommandEnd) => void;
}

export interface Commands {
  /** @throws a refusal. */
  start(command: CommandStart): Promise<object>;
  /** @throws a refusal. */
  process(asked: ProcessParams, owner: Pick<CommandOwner, "agentId" | "sessionKey">): Promise<object>;
  endTurn(entry: string, turn: number): void;
  /** The first process of each command at work. */
  processes(): readonly OwnedProcess[];
  /** Resolves when they are gone, or have been given `execEndMs` for it: what the system holds in a call of its own ends with that call. */
  endAll(entry?: string): Promise<void>;
}

type Why = "timeout" | "killed" | "output" | "stopped";

interface Command {
  readonly id: string;
  readonly asked: CommandStart;
  readonly output: Output;
  readonly startedAtMs: number;
  /** Resolves when it is gone, with its streams. */
  readonly gone: Promise<void>;
  readonly launched: Launched;
  /** A call of its turn waits for it. */
  isAwaited: boolean;
  /** That call was told that it goes on. */
  isBehind: boolean;
  /** Output that a call has told of. */
  told: number;
  /** Why it was ended; absent: by itself. */
  why?: Why;
  end?: {
    readonly code: number | null;
    readonly signal: string | null;
    readonly atMs: number;
    readonly failed?: string;
  };
  /** Resolves with the next of its output, or its end; then another one stands here. */
  wake: PromiseWithResolvers<void>;
}

export function makeCommands(deps: CommandsDeps): Commands {
  const bounds = { ...limits, ...deps.bounds };
  const nowMs = deps.nowMs ?? Date.now;
  const run = deps.launch ?? launch;
  const commands = new Map<string, Command>();
  /** Counted from before the first wait, so that two at once do not pass the bound together. */
  const starting = new Set<{ readonly owner: CommandOwner; stopped: boolean }>();

  const all = (): readonly Command[] => [...commands.values()];

  const kill = async (command: Command, why: Why): Promise<void> => {
    if (command.end !== undefined) return;
    command.why ??= why;
    await isWithin(Promise.all([command.launched.end(), command.gone]), bounds.execEndMs);
  };

  const begin = async (asked: CommandStart): Promise<Command> => {
    const { agentId } = asked.owner;
    const atWork = all().filter(({ end }) => end === undefined);
    const working = [...atWork.map((one) => one.asked), ...starting];
    const own = working.filter(({ owner }) => owner.agentId === agentId).length;
    if (own >= bounds.execPerAgentMax || working.length >= bounds.execMax)
      throw refused(
        "busy",
        `${own} commands of ${agentId} and ${working.length} in all are at work; the bounds are ${bounds.execPerAgentMax} and ${bounds.execMax}`,
        "wait for one, or end one: process kill",
      );
    const waiting = { owner: asked.owner, stopped: false };
    starting.add(waiting);
    try {
      const id = `${deps.name}-${randomBytes(6).toString("hex")}`;
      const what: LaunchAsked = {
        id,
        agentId,
        place: asked.place,
        vector: asked.vector,
        hasInput: asked.yieldMs === 0,
      };
      const launched = await run(what, deps).catch((error: NodeJS.ErrnoException) => {
        throw asked.place.type === "host" ? notStarted(asked, error) : sandboxFailed(error.message);
      });
      const command = watch(id, asked, launched);
      if (waiting.stopped) void kill(command, "stopped");
      return command;
    } finally {
      starting.delete(waiting);
    }
  };

  const watch = (id: string, asked: CommandStart, launched: Launched): Command => {
    const { child } = launched;
    const output = makeOutput(bounds.execOutputCharsMax);
    const gone = Promise.withResolvers<void>();
    const command: Command = {
      id,
      asked,
      output,
      startedAtMs: nowMs(),
      gone: gone.promise,
      launched,
      isAwaited: true,
      isBehind: false,
      told: 0,
      wake: Promise.withResolvers(),
    };
    commands.set(id, command);
    let errors = "";
    const hear = (text: string): void => {
      output.add(text);
      rouse(command);
      if (output.total > bounds.execOutputTotalMax) void kill(command, "output");
    };
    child.stdout?.setEncoding("utf8").on("data", hear);
    child.stderr?.setEncoding("utf8").on("data", (text: string) => {
      if (errors.length < 4_096) errors += text;
      hear(text);
    });
    // A command that has closed its input, or has ended.
    child.stdin?.on("error", () => undefined);
    const timer = setTimeout(() => void kill(command, "timeout"), asked.timeoutMs);
    const finish = (code: number | null, signal: string | null, failed?: string): void => {
      if (command.end !== undefined) return;
      clearTimeout(timer);
      command.end = { code, signal, atMs: nowMs(), ...(failed === undefined ? {} : { failed }) };
      output.shrink(bounds.execOutputShownMax);
      forgetOld();
      rouse(command);
      gone.resolve();
      if (command.isBehind && asked.tellsEnd) deps.onEnd?.(endOf(command));
    };
    child.on("error", (error: NodeJS.ErrnoException) => {
      if (child.pid === undefined) finish(null, null, failureOf(error, asked));
    });
    child.on("exit", (code, signal) => {
      // What it left behind ends with it: only so is every process of an agent one that is listed.
      void launched.end();
      const done = (): void => finish(code, signal, command.why === undefined ? launched.failed(errors) : undefined);
      // Behind another look at its streams: a busy machine may have kept this thread from what it wrote.
      const late = setTimeout(() => setImmediate(done), bounds.execStreamsMs);
      child.once("close", () => {
        clearTimeout(late);
        done();
      });
    });
    return command;
  };

  const forgetOld = (): void => {
    const ended = all()
      .filter(({ end }) => end !== undefined)
      .toSorted((a, b) => (b.end?.atMs ?? 0) - (a.end?.atMs ?? 0));
    const perAgent = new Map<string, number>();
    for (const [index, { id, end, asked }] of ended.entries()) {
      const { agentId } = asked.owner;
      const own = (perAgent.get(agentId) ?? 0) + 1;
      perAgent.set(agentId, own);
      const isOld = nowMs() - (end?.atMs ?? 0) > bounds.execEndedAgeMs;
      if (isOld || own > bounds.execEndedPerAgentMax || index >= bounds.execEndedMax) commands.delete(id);
    }
  };

  const find = (id: string, { agentId, sessionKey }: Pick<CommandOwner, "agentId" | "sessionKey">): Command => {
    forgetOld();
    const found = commands.get(id);
    const owner = found?.asked.owner;
    if (found === undefined || owner?.agentId !== agentId || owner.sessionKey !== sessionKey)
      throw refused("not_found", `process: no command of this session has the id ${id}`, 'process { action: "list" }');
    return found;
  };

  /** What is new since the last call told of the output. */
  const news = (command: Command): object => {
    const { text, start } = command.output.from(command.told);
    const end = text.slice(-bounds.execOutputShownMax);
    const left = start - command.told + text.length - end.length;
    command.told = command.output.total;
    return { output: end, ...(left === 0 ? {} : { left: `${left} characters before it are left out` }) };
  };

  const describe = (command: Command): object => {
    const { id, end, startedAtMs, why } = command;
    const ran = Math.max(0, (end?.atMs ?? nowMs()) - startedAtMs);
    if (end === undefined) return { status: "running", processId: id, runningMs: ran };
    return {
      status: "exited",
      processId: id,
      exitCode: end.code,
      ...(end.signal === null || why !== undefined ? {} : { signal: end.signal }),
      ...(why === undefined ? {} : { endedBy: why }),
      ranMs: ran,
    };
  };

  const endOf = (command: Command): CommandEnd => {
    const { id: processId, end, startedAtMs, why, output } = command;
    return {
      processId,
      command: shown(command),
      exitCode: end?.code ?? null,
      ...(typeof end?.signal !== "string" || why !== undefined ? {} : { signal: end.signal }),
      ...(why === undefined ? {} : { endedBy: why }),
      ranMs: Math.max(0, (end?.atMs ?? nowMs()) - startedAtMs),
      output: output.from(0).text.slice(-limits.execNewsCharsMax),
      outputChars: output.total,
    };
  };

  const write = async (command: Command, data: string, eof: boolean): Promise<object> => {
    const input = command.launched.child.stdin;
    if (command.end !== undefined) throw refused("invalid", `process: ${command.id} has ended`);
    if (input === null || !input.writable)
      throw refused("invalid", `process: the input of ${command.id} is closed`, "start it with background: true");
    if (input.writableLength + Buffer.byteLength(data) > bounds.execInputBytesMax)
      throw refused("busy", `process: ${command.id} has not read ${input.writableLength} bytes of its input`);
    if (data !== "") input.write(data);
    if (eof) input.end();
    return describe(command);
  };

  return {
    async start(asked) {
      const command = await begin(asked);
      // Too late to be told by its end what became of the spawn itself.
      if (asked.yieldMs > 0) await isWithin(command.gone, asked.yieldMs);
      command.isAwaited = false;
      if (command.end?.failed !== undefined) {
        commands.delete(command.id);
        throw asked.place.type === "host" ? refused("invalid", command.end.failed) : sandboxFailed(command.end.failed);
      }
      command.isBehind = command.end === undefined;
      return { ...describe(command), ...news(command) };
    },
    async process(asked, owner) {
      if (asked.action === "list") {
        forgetOld();
        const own = all().filter(
          ({ asked: { owner: one } }) => one.agentId === owner.agentId && one.sessionKey === owner.sessionKey,
        );
        return { status: "ok", processes: own.map((one) => ({ ...describe(one), command: shown(one) })) };
      }
      const command = find(asked.processId, owner);
      if (asked.action === "log")
        return {
          ...describe(command),
          ...pageOf(command.output, asked.offset, asked.limit, bounds.execOutputShownMax),
        };
      if (asked.action === "write") return write(command, asked.data, asked.eof);
      if (asked.action === "kill") {
        await kill(command, "killed");
        return { ...describe(command), ...news(command) };
      }
      if (command.end === undefined && command.output.total === command.told && asked.timeoutMs > 0)
        await isWithin(command.wake.promise, asked.timeoutMs);
      const failed = command.end?.failed;
      return { ...describe(command), ...news(command), ...(failed === undefined ? {} : { error: failed }) };
    },
    endTurn(entry, turn) {
      const isOf = (owner: CommandOwner): boolean => owner.entry === entry && owner.turn === turn;
      for (const one of starting) if (isOf(one.owner)) one.stopped = true;
      for (const command of all()) if (command.isAwaited && isOf(command.asked.owner)) void kill(command, "stopped");
    },
    processes: () =>
      all().flatMap(({ id, end, asked, launched }) => {
        const { pid } = launched.child;
        return end !== undefined || pid === undefined ? [] : [{ agentId: asked.owner.agentId, pid, command: id }];
      }),
    async endAll(entry) {
      for (const one of starting) if (entry === undefined || one.owner.entry === entry) one.stopped = true;
      const meant = all().filter((one) => entry === undefined || one.asked.owner.entry === entry);
      await Promise.all(meant.map((one) => kill(one, "stopped")));
    },
  };
}

/** Every call that waits for news has them. */
function rouse(command: Command): void {
  const { resolve } = command.wake;
  command.wake = Promise.withResolvers();
  resolve();
}

/** As it was asked for. */
function shown({ asked: { vector } }: Command): string {
  const [shell, flag, command, ...more] = vector.argv;
  const text = shell === "/bin/sh" && flag === "-c" && more.length === 0 ? (command ?? "") : vector.argv.join(" ");
  return text.slice(0, 200);
}

/** Lines of what is held; without an offset the last ones. */
function pageOf(output: Output, offset: number | undefined, limit: number, charsMax: number): object {
  const { text, start } = output.from(0);
  const lines = text.split("\n");
  if (lines.at(-1) === "") lines.pop();
  const first = offset === undefined ? Math.max(0, lines.length - limit) : offset - 1;
  let page = lines.slice(first, first + limit).join("\n");
  const isCut = page.length > charsMax;
  if (isCut) page = offset === undefined ? page.slice(-charsMax) : page.slice(0, charsMax);
  return {
    output: page,
    offset: first + 1,
    totalLines: lines.length,
    ...(isCut ? { cut: `only ${charsMax} characters are shown` } : {}),
    ...(start === 0 ? {} : { left: `${start} characters before the first line are gone` }),
  };
}

function failureOf(error: NodeJS.ErrnoException, { place, vector }: CommandStart): string {
  return place.type === "host"
    ? `exec: ${vector.argv[0] ?? ""} cannot be started: ${error.code ?? error.message}`
    : `${place.type} cannot be started: ${error.code === "ENOENT" ? "it is not installed" : (error.code ?? error.message)}`;
}

function notStarted(asked: CommandStart, error: NodeJS.ErrnoException): Error {
  return refused("invalid", failureOf(error, asked));
}

/** Never on the host instead. */
function sandboxFailed(why: string): Error {
  return refused(
    "worker_unavailable",
    `exec: the sandbox could not be set up, and the command was not run: ${why.slice(0, 1_000)}`,
    "an operator looks: cloister sandbox explain",
  );
}
