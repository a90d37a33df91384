/**
 * The gateway's log: every record as one JSON line in the file, and what a person should see on the console.
 *
 * The file is written by pino's own thread (`log-file.ts`). Records pass `redact.ts` first: values under the names of secrets
 * never leave, texts are bounded, and with `redactSensitive` what looks like a secret is replaced. A log file that cannot be
 * written is told on the console and never stops the gateway.
 */
import { once } from "node:events";
import {
  type DestinationStream,
  destination,
  type Level,
  type Logger,
  multistream,
  pino,
  type StreamEntry,
  transport,
} from "pino";
import { limits } from "../kernel/limits.ts";
import { entryUrl } from "../thread/entries.ts";
import type { LogFileOptions } from "./log-file.ts";
import { cleanFields, cleanText, cleanValue, type LogForm, redacted } from "./redact.ts";

export interface LogSettings {
  /** Lowest level that reaches the file: trace, debug, info, warn, error, fatal, or silent. */
  readonly level: string;
  /** The same for the console. */
  readonly consoleLevel: string;
  /** Absolute path. Absent: no file. */
  readonly file?: string;
  readonly redactSensitive: boolean;
  /** Console records as JSON lines; otherwise as lines for people. */
  readonly json: boolean;
  /** The console. Absent: standard error, written without blocking. */
  readonly stream?: NodeJS.WritableStream;
}

/** A pino logger; every part of the gateway takes its own `log.child({ subsystem })`. */
export type Log = Logger & {
  /** Resolves when every record is written. Records logged later are lost. */
  close(): Promise<void>;
};

/** Throws a `RangeError` for a level that does not exist. A `file` that cannot be written is told on the console instead. */
export async function openLog(settings: LogSettings): Promise<Log> {
  const consoleLevel = parseLevel("logging.consoleLevel", settings.consoleLevel);
  const fileLevel = parseLevel("logging.level", settings.level);
  const sinks: Sink[] = [];
  if (consoleLevel !== "silent") sinks.push(await openConsole(consoleLevel, settings));
  if (fileLevel !== "silent" && settings.file !== undefined) {
    const onFault = (message: string): void => logger.error({ subsystem: "log" }, message);
    sinks.push(openFile(fileLevel, settings.file, onFault));
  }
  const logger: Logger = makeLogger(sinks, { charsMax: limits.logCharsMax, redactSensitive: settings.redactSensitive });
  // The file first: what goes wrong with it is still said on the console.
  return Object.assign(logger, {
    close: async () => {
      // Pino's thread signals through `Atomics.waitAsync`, which keeps no process alive: one that has nothing else left to do
      // would end in the middle of this.
      const alive = setInterval(() => undefined, 1_000);
      try {
        for (const sink of sinks.splice(0).toReversed()) await sink.close();
      } finally {
        clearInterval(alive);
      }
    },
  });
}

interface Sink extends StreamEntry {
  readonly level: Level;
  close(): Promise<void>;
}

/** From the lowest to the highest. */
const levels: readonly string[] = Object.keys(pino.levels.values);

function parseLevel(where: string, level: string): Level | "silent" {
  if (level === "silent" || levels.includes(level)) return level as Level | "silent";
  const wanted = [...levels, "silent"].join(", ");
  throw new RangeError(`${where} is ${JSON.stringify(level)}; wanted one of ${wanted}. Set ${where} to one of them.`);
}

function makeLogger(sinks: readonly Sink[], form: LogForm): Logger {
  const used: ReadonlySet<string> = new Set(sinks.map(({ level }) => level));
  const lowest = levels.find((level) => used.has(level));
  return pino(
    {
      level: lowest ?? "silent",
      base: null,
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { log: (fields) => cleanFields(fields, form) },
      // Errors are made plain by the formatter above.
      serializers: { err: (error: unknown) => error },
      // The bindings of child loggers pass no formatter: the names that a part of the gateway may bind are given as paths.
      redact: {
        paths: ["token", "password", "secret", "key", "apiKey", "authorization", "cookie"],
        censor: () => redacted,
      },
      hooks: {
        logMethod(args, method) {
          method.apply(this, cleanArguments(args, form) as Parameters<typeof method>);
        },
      },
    },
    multistream([...sinks]),
  );
}

/** `(fields?, text?, …values)` with texts cleaned. Pino would take an error's message as the text after this hook: named here. */
function cleanArguments(args: readonly unknown[], form: LogForm): readonly unknown[] {
  const [first, ...rest] = args;
  if (typeof first !== "object" || first === null) return args.map((value) => cleanValue(value, form));
  const error = first instanceof Error ? first : (first as { readonly err?: unknown }).err;
  const fields = first instanceof Error ? { err: first } : first;
  if (rest.length === 0 && error instanceof Error) return [fields, cleanText(error.message, form)];
  return [fields, ...rest.map((value) => cleanValue(value, form))];
}

async function openConsole(level: Level, { json, stream }: LogSettings): Promise<Sink> {
  const own = stream === undefined ? destination({ dest: process.stderr.fd, sync: false }) : undefined;
  const raw: DestinationStream = own ?? { write: (line) => void stream?.write(line) };
  const isTty = (stream ?? process.stderr) === process.stderr && process.stderr.isTTY;
  const close = async (): Promise<void> => {
    if (own === undefined) return;
    own.end();
    await once(own, "close");
  };
  if (json) return { level, stream: raw, close };
  // Loaded only here: a gateway that runs as a service never needs it.
  const { prettyFactory } = await import("pino-pretty");
  const pretty = prettyFactory({
    colorize: isTty,
    translateTime: "SYS:HH:MM:ss.l",
    ignore: "subsystem",
    messageFormat: (record, messageKey) => {
      const { subsystem, [messageKey]: text = "" } = record as Readonly<Record<string, string>>;
      return subsystem === undefined ? text : `${subsystem}: ${text}`;
    },
  });
  return { level, stream: { write: (line) => raw.write(pretty(JSON.parse(line))) }, close };
}

function openFile(level: Level, file: string, onFault: (message: string) => void): Sink {
  const options: LogFileOptions = { file, bytesMax: limits.logFileBytesMax, filesMax: limits.logFilesMax };
  const stream = transport({
    target: logFileModule,
    options,
    // The thread needs nothing of this process: no secret that stands in its environment, no flag that it was started with.
    worker: { env: {}, execArgv: [] },
  }) as DestinationStream & NodeJS.EventEmitter & { end(): void };
  let open = true;
  stream.on("error", (error: Error) => {
    open = false;
    onFault(`the log file ${file} is no longer written: ${error.message}; restart the gateway to write it again`);
  });
  const write = (line: string): void => {
    if (open) stream.write(line);
  };
  return {
    level,
    stream: { write },
    close: async () => {
      if (!open) return;
      open = false;
      stream.end();
      await once(stream, "close");
    },
  };
}

const logFileModule = entryUrl("log-file").href;
