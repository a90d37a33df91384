/** The part of a turn's `ctx` that is about timers and monitors. */
import type { EnvelopeHeader } from "../../kernel/envelope.ts";
import { failure } from "../../kernel/errors.ts";
import { up } from "../../kernel/frames.ts";
import { matchesPattern } from "../../kernel/pairings.ts";
import type { Context, Timer } from "../actor-port.ts";
import type { CellInit } from "../cell-port.ts";
import type { Mailbox } from "./mailbox.ts";

type SignalCalls = Pick<Context<object>, "schedule" | "unschedule" | "timers" | "monitor" | "demonitor">;

/** `keyOf` makes a session key of what an actor calls a target. */
export function makeSignalCalls(
  init: CellInit,
  mailbox: Mailbox,
  header: EnvelopeHeader,
  turn: number,
  keyOf: (target: string) => string,
): SignalCalls {
  let calls = 0;
  // The same turn makes the same calls in the same order: a repeated one is recognised by that.
  const callKey = (): string => String(calls++);
  const slotFor = (verbs: readonly string[], object: string): number =>
    init.slots.find((slot) => slot.verbs.some((verb) => verbs.includes(verb)) && matchesPattern(slot.object, object))
      ?.slot ?? 0;
  const ownSlot = slotFor(["schedule"], `agent:${init.agentId}`);
  const ask = async (op: number, slot: number, num: number, a: string, b = "", c = ""): Promise<unknown> => {
    const answer = await mailbox.ask({ op, turn, slot, num, a, b, c, credit: false }, "result");
    return JSON.parse(answer.text);
  };
  return {
    async schedule({ sessionKey = header.sessionKey, text, data, ...when }) {
      const isData = data !== undefined;
      const body = isData ? (JSON.stringify(data) as string | undefined) : (text ?? "");
      if (body === undefined || (isData && text !== undefined))
        throw failure(
          "CLOISTER_REQUEST_INVALID",
          `ctx.schedule: data: found ${body === undefined ? `a ${typeof data}` : "a text as well"}, wanted a value that JSON can carry, or a text alone`,
        );
      const params = JSON.stringify({ ...when, isData, callKey: callKey() });
      return (await ask(up.schedule, ownSlot, 0, sessionKey, params, body)) as string;
    },
    unschedule: async (id) => (await ask(up.timers, ownSlot, 1, id)) as boolean,
    timers: async () => (await ask(up.timers, ownSlot, 0, "")) as readonly Timer[],
    async monitor(target) {
      const key = keyOf(target);
      const slot = slotFor(["send", "request"], `agent:${key.split(":")[1] ?? ""}`);
      return (await ask(up.monitor, slot, 1, key, callKey())) as string;
    },
    demonitor: async (ref) => (await ask(up.monitor, 0, 0, ref)) as boolean,
  };
}
