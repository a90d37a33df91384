/** The process in which one peer lives, so that it shares no heap, no compiled code and no death with another: `host.ts <name>`. */
import type { CallFigures } from "../inside/measure-calls.ts";
import { measureSettling, type Settlement, type SettlingOrder } from "../inside/settling.ts";
import { findDescendants, readThreadsCpuMs } from "../process-figures.ts";
import { type MortalPeerName, mortalPeers, type PeerName, peers } from "./index.ts";
import type { TextOrder } from "./peer.ts";

export interface MeasuredCalls {
  readonly figures: CallFigures;
  /** CPU of the process, of those that it started and of theirs, microseconds. */
  readonly cpuUs: number;
}

export type HostOrder = { readonly measure: TextOrder } | { readonly settle: SettlingOrder };

export type HostReport =
  /** Processes that the library started, and theirs: whoever ends this one has to end them too. */
  | { readonly ready: { readonly children: readonly number[] } }
  | { readonly measured: MeasuredCalls }
  | { readonly settled: readonly Settlement[] }
  | { readonly failed: string };

const name = process.argv[2] as PeerName;

function report(said: HostReport): void {
  process.send?.(said);
}

async function readCpuUs(): Promise<number> {
  const { user, system } = process.cpuUsage();
  const children = await Promise.all((await findDescendants(process.pid)).map(readThreadsCpuMs));
  return user + system + children.reduce((sum, ms) => sum + ms * 1_000, 0);
}

async function openForSettling() {
  return (await mortalPeers[name as MortalPeerName].load())();
}

async function open(): Promise<(order: HostOrder) => Promise<void>> {
  if (name in mortalPeers) {
    const peer = await openForSettling();
    return async (order) => {
      if ("measure" in order) await measure(peer.measure, order.measure);
      else report({ settled: await measureSettling(order.settle, peer.ask, peer.terminate) });
    };
  }
  const peer = await (await peers[name].load())();
  return async (order) => {
    if (!("measure" in order)) throw new Error(`Settling: found ${name}, which is measured for its speed alone.`);
    await measure(peer.measure, order.measure);
  };
}

async function measure(call: (order: TextOrder) => Promise<CallFigures>, order: TextOrder): Promise<void> {
  const beforeUs = await readCpuUs();
  const figures = await call(order);
  report({ measured: { figures, cpuUs: (await readCpuUs()) - beforeUs } });
}

try {
  const obey = await open();
  process.on("message", (order: HostOrder) => {
    obey(order).catch((error: unknown) => report({ failed: String(error) }));
  });
  report({ ready: { children: await findDescendants(process.pid) } });
} catch (error) {
  report({ failed: String(error) });
  process.exitCode = 1;
  process.disconnect?.();
}
