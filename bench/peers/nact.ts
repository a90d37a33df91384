/** nact: a query to an actor. Both are in the same thread, so that no message is copied and no fault is contained. */
import { dispatch, query, spawnStateless, start, stop } from "nact";
import { answer } from "../inside/mortal.ts";
import { makePeer, type OpenMortalPeer } from "./peer.ts";

/** A query must have one. It is past the window of `settle`. */
const timeoutMs = 120_000;

interface Query {
  readonly text: string;
  readonly sender: unknown;
}

export const open: OpenMortalPeer = async () => {
  const system = start();
  const actor = spawnStateless(system, reply, "target");
  return makePeer({
    ask: (text) => query(actor, (sender) => ({ text, sender }) satisfies Query, timeoutMs),
    terminate: () => stop(actor),
    async close() {
      stop(system);
    },
  });
};

/** It gives no promise back: an actor takes its next message when that of the one before is settled. */
function reply({ text, sender }: Query): void {
  const answered = answer(text);
  if (typeof answered === "string") dispatch(sender, answered);
  else void answered.then((late) => dispatch(sender, late));
}
