/** A library that is measured beside Cloister: what the scenarios need of it, whatever it is. */
import { type CallFigures, type CallOrder, measureCalls } from "../inside/measure-calls.ts";

export interface TextOrder extends CallOrder {
  readonly text: string;
}

/** One side that asks and another that answers, ready to be used. */
export interface Peer {
  /** Asks as often as it can for a while, from where the library's documentation asks. */
  readonly measure: (order: TextOrder) => Promise<CallFigures>;
  readonly close: () => Promise<void>;
}

/** A peer whose other side can be told to die: it answers as `bench/inside/mortal.ts` says. */
export interface MortalPeer extends Peer {
  readonly ask: (text: string) => Promise<unknown>;
  /** Ends the other side from outside, as the library documents it or as an operator would. */
  readonly terminate: () => unknown;
}

export type OpenPeer = () => Promise<Peer>;
export type OpenMortalPeer = () => Promise<MortalPeer>;

/** Heap of the other side, in MB, where a library lets it be set; where not, the whole process gets it (`heapFlag`). */
export const heapMb = 128;
export const heapFlag = `--max-old-space-size=${heapMb}`;

/** For a library that asks from the thread in which it was opened. */
export function makePeer(parts: Omit<MortalPeer, "measure">): MortalPeer {
  return { ...parts, measure: (order) => measureCalls(order, () => parts.ask(order.text)) };
}
