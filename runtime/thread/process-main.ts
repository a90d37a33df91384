/**
 * The first code of a cell's process: a thread that is trusted, beside the worker that is not. It starts the same confined worker
 * as the gateway does at level `thread`, and carries between its ports and the socket to the gateway (`cell-socket.ts`).
 *
 * The actor's code never holds the socket, and this loop turns whatever the actor does: heartbeats are read from shared memory,
 * and when the gateway is gone the whole process group ends at once, a stuck worker included.
 */
import { constants } from "node:fs";
import { access, writeFile } from "node:fs/promises";
import { Socket } from "node:net";
import { deserialize } from "node:v8";
import { toRefusal } from "../kernel/errors.ts";
import { limits } from "../kernel/limits.ts";
import {
  ask,
  type Fields,
  formatFields,
  kind,
  type Launch,
  makeFrameReader,
  parseFields,
  tell,
} from "./cell-socket.ts";
import type { StuckProfile } from "./stuck-profile.ts";
import { launchThread, type ThreadBody } from "./thread-cell.ts";

/** Where its parent put this process's end of the pair. */
const socket = new Socket({ fd: 3, readable: true, writable: true });
let body: ThreadBody | undefined;
let profile: (() => Promise<StuckProfile>) | undefined;

/** The gateway is gone, or has no more use for this cell. Group 0 is this process's own: its parent made it one. */
const endAll = (): void => void process.kill(0, "SIGKILL");
socket.on("end", endAll);
socket.on("error", endAll);
socket.on("close", endAll);

const say = (...fields: Fields): void => void socket.write(formatFields(kind.control, fields));

const sendMail = (frame: unknown): void => {
  // What is no frame goes as an empty one: the kernel refuses that as a whole, and audits it.
  const fields = Array.isArray(frame) && frame.every(isField) ? (frame as Fields) : [];
  const bytes = formatFields(kind.mail, fields);
  if (bytes.length > limits.cellFrameBytesMax || fields.length > limits.cellFrameFieldsMax)
    end("crash", `it sent a frame of ${fields.length} fields and ${bytes.length} bytes`);
  else socket.write(bytes);
};

function end(reason: string, detail: string): void {
  // All that was said before goes first; the gateway ends this process when it reads the last word.
  say(tell.ended, reason, detail.slice(0, limits.failureCharsMax));
}

function isField(value: unknown): value is number | string {
  return typeof value === "number" || typeof value === "string";
}

async function launch({ spec, assets }: Launch): Promise<void> {
  // When memory runs out on the machine, the kernel should take a cell and not the gateway. Not every system has the file.
  writeFile("/proc/self/oom_score_adj", String(limits.cellProcessOomScore)).catch(() => undefined);
  body = launchThread(
    spec,
    assets,
    { frame: sendMail, ended: ({ reason, detail }) => end(reason, detail) },
    limits.cellProcessHeapMb,
  );
  const { workspace } = spec.init;
  await access(workspace, constants.R_OK | constants.W_OK | constants.X_OK).catch((error: unknown) => {
    throw new Error(
      `its process, of user ${process.getuid?.()}, cannot use the workspace ${workspace} (${toRefusal(error).message}); ` +
        "let that user own the workspace and pass through the folders above it",
    );
  });
  const result = await body.start(spec.init);
  say(
    tell.started,
    result.status === "ready" ? 1 : 0,
    result.status === "ready" ? (result.takesPart ? "exchange" : "") : result.reason,
  );
}

function obey([op, value]: Fields): void {
  if (op === ask.cancel) body?.cancel(Number(value));
  else if (op === ask.look) say(tell.looked, body?.beat() ?? 0, body?.stuckMs() ?? 0, body?.thread() ?? 0);
  else if (op === ask.memory)
    void body?.measure().then(
      ({ heapUsed = 0, external = 0 }) => say(tell.memory, heapUsed, external),
      // Its worker has ended, or has not begun: it is asked again.
      () => undefined,
    );
  else if (op === ask.profile) profile = body?.profile();
  else if (op === ask.profileEnd)
    void profile?.().then((found) =>
      found.type === "taken" ? say(tell.profiled, 1, found.profile) : say(tell.profiled, 0, found.why),
    );
  else if (op === ask.inspect)
    void body
      ?.inspect()
      .then(({ turns, sessions, heapUsedBytes, uptimeMs }) =>
        say(tell.inspected, Number(value), turns, sessions, heapUsedBytes, uptimeMs),
      );
}

socket.on(
  "data",
  makeFrameReader(0xffff_ffff, (frameKind, payload) => {
    if (frameKind === kind.launch)
      launch(deserialize(Buffer.from(payload)) as Launch).catch((error: unknown) =>
        say(tell.started, 0, toRefusal(error).message),
      );
    else {
      const fields = parseFields(payload, Number.POSITIVE_INFINITY) ?? [];
      if (frameKind === kind.mail) body?.post(fields);
      else obey(fields);
    }
  }),
);
