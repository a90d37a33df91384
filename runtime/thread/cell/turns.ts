/**
 * Handles deliveries with the actor's `message` function: keeps the sessions' states, builds the context, reports the end.
 */
import type { Exchange } from "../../kernel/envelope.ts";
import { failure, isCoded } from "../../kernel/errors.ts";
import { announceSkip, exchangeNote, noReply, replySkip } from "../../kernel/exchange-words.ts";
import { doneBits, up } from "../../kernel/frames.ts";
import { limits } from "../../kernel/limits.ts";
import type { DeliveredHeader } from "../../kernel/session-choices.ts";
import type {
  ActorDefinition,
  CellLog,
  Context,
  IncomingMessage,
  IncomingSignal,
  MessagePart,
  StateSchema,
  Workspace,
} from "../actor-port.ts";
import type { CellInit } from "../cell-port.ts";
import type { Quota } from "./quota.ts";
import type { Slots } from "./slots.ts";
import { type State, TurnContext } from "./context.ts";
import type { Delivery, Mailbox } from "./mailbox.ts";
import { Numbered } from "./numbered.ts";
import { Heard, joinParts, partOf, signalOf } from "./parts.ts";

interface SessionState {
  readonly value: State;
  /** What the store has, to see whether a turn changed anything. */
  readonly stored: string;
}

/** Turns that mostly run at a time. */
const places = 128;

export interface TurnRunner {
  deliver(delivery: Delivery): void;
  forget(sessionKey: string): void;
  cancel(turn: number): void;
  readonly turns: number;
  readonly sessions: number;
}

export function makeTurnRunner(
  definition: ActorDefinition<State>,
  init: CellInit,
  slots: Slots,
  mailbox: () => Mailbox,
  workspace: Workspace,
  log: CellLog,
  streamQuota: Quota,
  tellStuckMs: (ms: number) => void,
): TurnRunner {
  const sessions = new Map<string, SessionState>();
  const running = new Numbered<AbortController>(places);
  /** What turns in hand asked for by `ctx.busy`; the loop is one, so the longest counts. */
  const busyMs = new Map<number, number>();
  const agent = { id: init.agentId, model: init.model, options: init.options, settings: init.settings };
  const askBusy = (turn: number, ms: number): void => {
    if (ms === 0) busyMs.delete(turn);
    else if (running.get(turn) !== undefined) busyMs.set(turn, ms);
    tellStuckMs(Math.max(0, ...busyMs.values()));
  };

  const keep = (delivery: Delivery, sessionKey: string, state: SessionState): void => {
    if (!isInMemory(delivery)) sessions.set(sessionKey, state);
  };

  const run = async (delivery: Delivery, abort: AbortController): Promise<void> => {
    const { header } = delivery;
    const kept = delivery.state === undefined && !isInMemory(delivery) ? sessions.get(header.sessionKey) : undefined;
    const session =
      kept ?? openPlain(definition, delivery) ?? (await openState(definition, delivery, header.sessionKey));
    keep(delivery, header.sessionKey, session);
    const replies = makeReplies();
    let unhandled: string | undefined;
    const ctx = new TurnContext({
      agent,
      init,
      slots,
      mailbox: mailbox(),
      header,
      turn: delivery.turn,
      offeredTools: delivery.tools,
      inMemory: isInMemory(delivery),
      workspace,
      log,
      state: session.value,
      abort,
      streamQuota,
      onReply: (text) => replies.add(text),
      onBusy: (ms) => askBusy(delivery.turn, ms),
      onUnhandled: (reason) => (unhandled ??= reason),
    });
    try {
      const { exchange } = header;
      if (exchange === undefined || exchange.step === "request")
        await definition.message(ctx, messageOf(header, delivery));
      else await takePart(definition, ctx, header, delivery, { ...exchange, step: exchange.step });
    } catch (error) {
      if (unhandled === undefined) throw error;
    }
    // Also when the actor caught the error that ends the turn.
    if (unhandled !== undefined) {
      if (!isInMemory(delivery)) sessions.delete(header.sessionKey);
      mailbox().tell(up.done, delivery.turn, doneBits.unhandled, unhandled.slice(0, limits.failureCharsMax));
      return;
    }
    // What the kernel would refuse does not cross to it (`quota.ts`).
    const chars = replies.chars();
    if (chars > limits.replyCharsMax) {
      mailbox().tell(up.done, delivery.turn, doneBits.reply | doneBits.tooLong, String(chars));
      return;
    }
    const after = storedOf(delivery, ctx.state);
    const changed = after !== session.stored;
    if (changed && after.length > limits.stateCharsMax) {
      mailbox().tell(up.done, delivery.turn, doneBits.tooLong, String(after.length));
      return;
    }
    keep(delivery, header.sessionKey, { value: ctx.state, stored: after });
    const text = replies.join();
    const silent = text === "" || isNoReply(text);
    mailbox().tell(
      up.done,
      delivery.turn,
      (silent ? 0 : doneBits.reply) | (changed ? doneBits.state : 0),
      silent ? "" : text,
      changed ? after : "",
    );
  };

  /** Never rejects: a turn that fails ends with the reason. */
  const handle = async (delivery: Delivery): Promise<void> => {
    const abort = new AbortController();
    running.add(delivery.turn, abort);
    try {
      await run(delivery, abort);
    } catch (error) {
      // What the turn changed is not kept: the next one begins with what the store has.
      if (!isInMemory(delivery)) sessions.delete(delivery.header.sessionKey);
      const message = error instanceof Error ? error.message : String(error);
      log.error(error instanceof Error && !isCoded(error) ? (error.stack ?? message) : message);
      const remedy = isCoded(error) && error.remedy !== undefined ? ` → ${error.remedy}` : "";
      mailbox().tell(up.done, delivery.turn, doneBits.error, `${message.slice(0, 2_000)}${remedy.slice(0, 500)}`);
    } finally {
      running.delete(delivery.turn);
      if (busyMs.has(delivery.turn)) askBusy(delivery.turn, 0);
    }
  };

  return {
    deliver: (delivery) => void handle(delivery),
    forget: (sessionKey) => void sessions.delete(sessionKey),
    cancel: (turn) => running.get(turn)?.abort(new Error("the run was stopped")),
    get turns() {
      return running.size;
    },
    get sessions() {
      return sessions.size;
    },
  };
}

function isNoReply(text: string): boolean {
  const said = text.trim();
  return said.length === noReply.length && said.toUpperCase() === noReply;
}

interface Replies {
  add(text: string): void;
  /** Characters of all, also of those that are not kept. */
  chars(): number;
  join(): string;
}

/** What a turn replies, in order. Beyond the bound it is counted and not kept. */
function makeReplies(): Replies {
  const between = "\n\n";
  let kept: string[] = [];
  let length = 0;
  let count = 0;
  return {
    add(text) {
      length += text.length + (count++ === 0 ? 0 : between.length);
      if (length <= limits.replyCharsMax) kept.push(text);
      else kept = [];
    },
    chars: () => length,
    join: () => kept.join(between),
  };
}

/** Of an actor that takes no part nobody should be asked; who asks before its module was loaded is told so. */
async function takePart(
  definition: ActorDefinition<State>,
  ctx: Context<State>,
  header: DeliveredHeader,
  delivery: Delivery,
  { step, turn, turnsMax, requester, target }: Exchange & { readonly step: "reply" | "announce" },
): Promise<void> {
  if (definition.exchange === undefined) {
    ctx.reply(step === "reply" ? replySkip : announceSkip);
    return;
  }
  const note = exchangeNote({ step, turn, turnsMax, requester, target });
  const exchange = { step, turn, turnsMax, requester, target, note };
  await definition.exchange(ctx, Object.assign(messageOf(header, delivery), { exchange }));
}

class HeardByTurn extends Heard implements IncomingMessage {
  readonly attempt: number;
  declare parts?: readonly MessagePart[];
  declare signal?: IncomingSignal;

  constructor(header: DeliveredHeader, text: string, attempt: number) {
    super(header, text);
    this.attempt = attempt;
  }
}

function messageOf(header: DeliveredHeader, { attempt, body, parts: raw }: Delivery): IncomingMessage {
  const parts = raw.length === 0 ? undefined : raw.map(partOf);
  const message = new HeardByTurn(header, parts === undefined ? body : joinParts(parts), Math.max(1, attempt));
  if (parts !== undefined) message.parts = parts;
  if (header.signal !== undefined) message.signal = signalOf(header.signal, body);
  return message;
}

/** A turn in memory runs beside the session's own turns: it begins with fresh state, and leaves none. */
function isInMemory(delivery: Delivery): boolean {
  return delivery.attempt === 0;
}

/** What the store would have of it; of a turn in memory nothing. */
function storedOf(delivery: Delivery, value: State): string {
  return isInMemory(delivery) ? "" : JSON.stringify(value);
}

/** Without a schema, which alone may take its time. */
function openPlain({ state }: ActorDefinition<State>, delivery: Delivery): SessionState | undefined {
  if (state !== undefined && typeof state !== "function") return undefined;
  const found = delivery.state === undefined ? undefined : (JSON.parse(delivery.state) as State);
  return opened(delivery, found ?? state?.() ?? {});
}

async function openState(
  { state }: ActorDefinition<State>,
  delivery: Delivery,
  sessionKey: string,
): Promise<SessionState> {
  const found = delivery.state === undefined ? {} : (JSON.parse(delivery.state) as State);
  const result = await (state as StateSchema<State>)["~standard"].validate(found);
  if (result.issues === undefined) return opened(delivery, result.value);
  const issues = result.issues.map(({ message }) => message).join("; ");
  throw failure(
    "CLOISTER_MODULE_INVALID",
    `the ${delivery.state === undefined ? "defaults" : "stored state"} of ${sessionKey} do not fit the actor's state schema: ${issues}`,
    "give new fields a default in the schema",
  );
}

/** Defaults are not written until a turn changes them. */
const opened = (delivery: Delivery, value: State): SessionState => ({
  value,
  stored: delivery.state ?? storedOf(delivery, value),
});
