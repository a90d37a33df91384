/**
 * Which program calls: the operator's (by what opens the gateway) or a caller with a token of its own. What it may do is asked of
 * the kernel's side. Calls that wait for an answer are counted here, and end when their token does.
 */
import { createHash, timingSafeEqual } from "node:crypto";
import type { IncomingMessage } from "node:http";
import { failure, fromRefusal, type Refusal } from "../../kernel/errors.ts";
import type { Attempts } from "../attempts.ts";
import type { EdgeBounds } from "../bounds.ts";
import type { Door } from "../handshake.ts";
import { isForwarded, isLoopback } from "../origin.ts";
import type { CallerKey, Program } from "../port.ts";
import type { Guard } from "../route.ts";
import { makeTokenGuard } from "../token-guard.ts";

export interface ProgramDoor {
  readonly guard: Guard;
  /** Of a request that the guard has let in. */
  programOf(request: IncomingMessage): Program;
  /** Whether it is what opens the gateway for a program: the operator's key, or on this machine the shared secret. */
  opensGateway(token: string, request: IncomingMessage): boolean;
  setCallers(keys: readonly CallerKey[]): void;
  /**
   * Takes a place for a call, until the function that it gives is called. `end` is called at most once. Throws `CLOISTER_EDGE_BUSY`,
   * and `CLOISTER_CAPABILITY_REVOKED` when the token was taken back while the body was read.
   */
  enter(request: IncomingMessage, end: (why: Refusal) => void): () => void;
  /** The gateway's token or password is another one: ends the calls that came with it. */
  closeShared(): void;
  /** Ends every open call. */
  close(why: Refusal): void;
}

interface Known {
  readonly program: Program;
  readonly key?: CallerKey;
  /** It came with the gateway's token or password: the one after so many changes. */
  readonly shared?: number;
}

interface Inside extends Known {
  readonly end: (why: Refusal) => void;
}

const wanted = "the token of a caller (`cloister callers add`), or on this machine the gateway's own";

export interface ProgramDoorOptions {
  readonly callers: readonly CallerKey[];
  /** What opens the gateway now. */
  readonly door: () => Pick<Door, "operatorKey" | "shared">;
  readonly attempts: Attempts;
  readonly bounds: EdgeBounds;
  readonly now: () => number;
}

export function makeProgramDoor({ callers, door, attempts, bounds, now }: ProgramDoorOptions): ProgramDoor {
  let keys = callers;
  let sharedChanges = 0;
  const known = new WeakMap<IncomingMessage, Known>();
  const inside = new Set<Inside>();

  /** Every comparison is made, so that the time does not tell which one failed. */
  const identify = (token: string, request: IncomingMessage): Known | undefined => {
    const { operatorKey, shared } = door();
    const isOperator = operatorKey.matches(token);
    const isShared = shared?.matches(token) ?? false;
    const hash = createHash("sha256").update(token, "utf8").digest();
    const matching = keys.filter(({ tokenHash }) => isSame(Buffer.from(tokenHash, "hex"), hash));
    const key = matching.find(({ untilMs }) => untilMs === undefined || untilMs > now());
    if (isOperator) return { program: { type: "operator" } };
    // As on a WebSocket: beside the shared secret, who is not a program of this machine would have to show a device (ADR 0033).
    if (isShared && isHere(request)) return { program: { type: "operator" }, shared: sharedChanges };
    return key === undefined ? undefined : { program: { type: "caller", name: key.name }, key };
  };

  const find = (request: IncomingMessage): Known => {
    const found = known.get(request);
    if (found === undefined) throw failure("CLOISTER_INTERNAL", "a request came past the guard of its route");
    return found;
  };

  const isHeld = ({ key, shared = sharedChanges }: Known): boolean =>
    shared === sharedChanges &&
    (key === undefined || keys.some(({ id, tokenHash }) => id === key.id && tokenHash === key.tokenHash));

  const endAll = (why: Refusal, which: (one: Inside) => boolean): void => {
    for (const one of [...inside].filter(which)) {
      inside.delete(one);
      one.end(why);
    }
  };

  return {
    guard: makeTokenGuard({
      secret: {
        matches: (token, request) => {
          const found = identify(token, request);
          if (found !== undefined) known.set(request, found);
          return found !== undefined;
        },
      },
      headers: [],
      wanted,
      attempts,
    }),
    opensGateway: (token, request) => identify(token, request)?.program.type === "operator",
    programOf: (request) => find(request).program,
    setCallers: (next) => {
      keys = next;
      endAll(takenBack, (one) => !isHeld(one));
    },
    enter: (request, end) => {
      const found = find(request);
      if (!isHeld(found)) throw fromRefusal(takenBack);
      const { program, key } = found;
      const own = [...inside].filter((one) => one.key?.id === key?.id).length;
      const max = program.type === "operator" ? bounds.programCallsMax : bounds.programCallsPerCallerMax;
      if (own >= max) throw busy(`${own} calls of ${nameOf(program)} wait for their answers`);
      if (inside.size >= bounds.programCallsMax) throw busy(`${inside.size} calls of programs wait for their answers`);
      const one: Inside = { ...found, end };
      inside.add(one);
      const over =
        key?.untilMs === undefined
          ? undefined
          : setTimeout(() => endAll(takenBack, (x) => x === one), Math.min(key.untilMs - now(), timerMsMax));
      over?.unref();
      return () => {
        inside.delete(one);
        clearTimeout(over);
      };
    },
    closeShared: () => {
      sharedChanges += 1;
      endAll(takenBack, (one) => !isHeld(one));
    },
    close: (why) => endAll(why, () => true),
  };
}

/** A timer takes no more; a call waits for less. */
const timerMsMax = 2 ** 31 - 1;

const takenBack: Refusal = {
  code: "CLOISTER_CAPABILITY_REVOKED",
  message: "the token of the call was taken back or replaced, or its time is over, while the answer was waited for",
  remedy: "cloister callers list",
};

function busy(what: string): Error {
  return Object.assign(failure("CLOISTER_EDGE_BUSY", `${what}, which is the most; wait for one of them`), {
    retryAfterMs: 1_000,
  });
}

const isHere = ({ socket, headers }: IncomingMessage): boolean =>
  isLoopback(socket.remoteAddress) && !isForwarded(headers) && headers.origin === undefined;

const nameOf = (program: Program): string => (program.type === "operator" ? "the operator" : program.name);

const isSame = (a: Buffer, b: Buffer): boolean => a.length === b.length && timingSafeEqual(a, b);
