/** The kit over its gateway: what is said, time that passes, what is seen of it. */
import { failure } from "../kernel/errors.ts";
import { limits } from "../kernel/limits.ts";
import type { TimerRow } from "../store/port.ts";
import type { ActorKit, KitTimer, KitTurn } from "./actor-port.ts";
import { type ActorWorld, readFiles } from "./actor-world.ts";

export function makeActorKit(world: ActorWorld): ActorKit {
  const { book, senses, models, mainKey } = world;
  const keyOf = (session: string | undefined): string => session ?? mainKey;
  const close = (): Promise<void> => world.close();
  return {
    say: (text, { session } = {}) => say(world, keyOf(session), text),
    advance: (ms) => advance(world, ms),
    crash: async () => {
      await world.crash();
      await world.settle();
    },
    get nowMs() {
      return senses.nowMs;
    },
    turns: book.turns,
    sends: book.sends,
    logged: world.logged,
    asked: models.asked,
    state: (session) => book.states.get(keyOf(session)),
    timers: async () => (await world.timers()).map(toTimer),
    files: () => readFiles(world.workspace),
    close,
    [Symbol.asyncDispose]: close,
  };
}

async function say(world: ActorWorld, sessionKey: string, text: string): Promise<KitTurn> {
  const runId = await world.tell(sessionKey, text);
  await world.settle();
  const turn = world.book.turnOfRun(runId);
  if (turn !== undefined) return turn;
  const why = world.endings.at(-1) ?? "nothing says why";
  throw failure("CLOISTER_AGENT_FAILED", `the message ${JSON.stringify(text)} was not handled: ${why}`);
}

async function advance(world: ActorWorld, ms: number): Promise<readonly KitTurn[]> {
  if (!Number.isFinite(ms) || ms < 0)
    throw failure("CLOISTER_REQUEST_INVALID", `advance: found ${ms}, wanted milliseconds, 0 or more`);
  const { senses, book } = world;
  const before = book.turns.length;
  const untilMs = senses.nowMs + Math.floor(ms);
  await world.settle();
  for (let times = 0; ; times++) {
    const dueMs = Math.min(...(await world.timers()).map(({ dueAtMs }) => dueAtMs));
    if (dueMs > untilMs) break;
    if (times === limits.kitDueMax)
      throw failure(
        "CLOISTER_REQUEST_INVALID",
        `advance: more than ${limits.kitDueMax} times were due in ${ms} ms`,
        "advance by less",
      );
    senses.nowMs = Math.max(senses.nowMs, dueMs);
    await world.settle();
  }
  senses.nowMs = untilMs;
  await world.settle();
  return book.turns.slice(before);
}

function toTimer({ name, sessionKey, dueAtMs, everyMs, body, task }: TimerRow): KitTimer {
  return {
    name,
    sessionKey,
    dueAtMs,
    ...(everyMs === undefined ? {} : { everyMs }),
    body,
    isTask: task !== undefined,
  };
}
