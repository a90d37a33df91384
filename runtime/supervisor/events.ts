/**
 * Events on their way to the edge: those of one moment go together, and while no client is connected only what one that connects
 * later cannot do without. It asks for everything else when it begins; but of an answer that streams, the edge alone has
 * the text so far (`runtime/edge/streams.ts`), and the end of such a run, or of one whose beginning was told, lets that go.
 */
import { followedRun, type GatewayEvent } from "../edge/port.ts";

/** Takes events to the edge; nobody waits for it. */
export type PublishEvents = (events: readonly GatewayEvent[]) => void;

export interface Events {
  readonly publish: (event: GatewayEvent) => void;
  attach(edge: { readonly publish: PublishEvents }): void;
  /** Whether a client is connected; until that is said there is none. */
  hasAudience(isThere: boolean): void;
  readonly isHeard: boolean;
}

/** `also` hears of every event, whether a client is there or not; `onAudience` whether one is, until that is said there is none. */
export function makeEvents(also: (event: GatewayEvent) => void, onAudience: (isThere: boolean) => void): Events {
  /** Runs of which the edge has heard and that have not ended: no more than turns run. */
  const told = new Set<string>();
  let edge: { readonly publish: PublishEvents } | undefined;
  let isHeard = false;
  let outbox: GatewayEvent[] = [];

  const isWanted = ({ event, payload }: GatewayEvent): boolean => {
    if (event === "run") {
      const isTold = isHeard || payload.runId.startsWith(followedRun);
      if (isTold) told.add(payload.runId);
      return isTold;
    }
    if (event !== "chat") return isHeard;
    if (payload.state !== "delta") return told.delete(payload.runId) || isHeard;
    told.add(payload.runId);
    return true;
  };

  const flush = (): void => {
    const events = outbox;
    outbox = [];
    edge?.publish(events);
  };

  return {
    publish(event) {
      also(event);
      if (edge === undefined || !isWanted(event)) return;
      if (outbox.length === 0) queueMicrotask(flush);
      outbox.push(event);
    },
    attach(attached) {
      edge = attached;
    },
    hasAudience(isThere) {
      isHeard = isThere;
      onAudience(isThere);
    },
    get isHeard() {
      return isHeard;
    },
  };
}
