/** The part of a turn's `ctx` that is about timers, tasks and monitors. */
import { failure } from "../../kernel/errors.ts";
import { up } from "../../kernel/frames.ts";
import { limits } from "../../kernel/limits.ts";
import type { ToldHeader } from "../../kernel/session-choices.ts";
import type { Context, Timer } from "../actor-port.ts";
import type { CellInit } from "../cell-port.ts";
import type { Mailbox } from "./mailbox.ts";
import type { Slots } from "./slots.ts";

export type SignalCalls = Pick<
  Context<object>,
  "schedule" | "unschedule" | "timers" | "monitor" | "demonitor" | "defer" | "complete"
>;

/** `keyOf` makes a session key of what an actor calls a target; `nextCall` numbers the calls of the turn. */
export function makeSignalCalls(
  init: CellInit,
  slots: Slots,
  mailbox: Mailbox,
  header: ToldHeader,
  turn: number,
  keyOf: (target: string) => string,
  nextCall: (what: string) => number,
): SignalCalls {
  const ownSlot = (): number => slots.find(["schedule"], `agent:${init.agentId}`);
  const ask = async (
    what: "schedule" | "unschedule" | "timers" | "monitor" | "demonitor" | "complete",
    slot: number,
    a: string,
    b = "",
    c = "",
  ): Promise<unknown> => {
    const num = nextCall(`ctx.${what}`);
    const answer = await mailbox.ask({ op: up[what], turn, slot, num, a, b, c, credit: false }, "result");
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
      const params = JSON.stringify({ ...when, isData });
      return (await ask("schedule", ownSlot(), sessionKey, params, body)) as string;
    },
    async defer({ name, withinMs: inMs = limits.taskMsDefault }) {
      const params = JSON.stringify({ name, inMs, isData: false, isTask: true });
      const taskId = (await ask("schedule", ownSlot(), header.sessionKey, params)) as string;
      return { status: "pending", taskId };
    },
    complete: async (taskId, result, { failed = false } = {}) =>
      (await ask("complete", ownSlot(), taskId, failed ? "failed" : "done", result)) as boolean,
    unschedule: async (id) => (await ask("unschedule", ownSlot(), id)) as boolean,
    timers: async () => (await ask("timers", ownSlot(), "")) as readonly Timer[],
    async monitor(target) {
      const key = keyOf(target);
      const slot = slots.find(["send", "request"], `agent:${key.split(":")[1] ?? ""}`);
      return (await ask("monitor", slot, key)) as string;
    },
    demonitor: async (ref) => (await ask("demonitor", 0, ref)) as boolean,
  };
}
