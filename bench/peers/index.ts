/** What is measured beside Cloister, by name. Only the one that is asked for is loaded. */
import { existsSync } from "node:fs";
import type { OpenMortalPeer, OpenPeer } from "./peer.ts";

interface Entry {
  /** From whom to whom, as the table says it. */
  readonly between: string;
  /** Without it, nothing has to be installed. */
  readonly package?: string;
  /** The package has a folder of its own, and a script that installs it (`bench:<package>`). */
  readonly isApart?: true;
  /** Its other side has no heap limit of its own to set, so the process gets one. */
  readonly heapOfProcess?: true;
}

interface PeerEntry extends Entry {
  readonly load: () => Promise<OpenPeer>;
}

interface MortalEntry extends Entry {
  readonly load: () => Promise<OpenMortalPeer>;
}

const fromMain = "main → worker";

export const mortalPeers = {
  "raw ports": { between: fromMain, load: async () => (await import("./raw.ts")).openMain },
  comlink: { between: fromMain, package: "comlink", load: async () => (await import("./comlink.ts")).open },
  "threads.js": { between: fromMain, package: "threads", load: async () => (await import("./threads.ts")).open },
  piscina: { between: fromMain, package: "piscina", load: async () => (await import("./piscina.ts")).open },
  "comedy, threaded": {
    between: fromMain,
    package: "comedy",
    heapOfProcess: true,
    load: async () => (await import("./comedy.ts")).openThreaded,
  },
  "comedy, forked": {
    between: "process → process",
    package: "comedy",
    heapOfProcess: true,
    load: async () => (await import("./comedy.ts")).openForked,
  },
  "comedy, in-memory": {
    between: "same thread",
    package: "comedy",
    heapOfProcess: true,
    load: async () => (await import("./comedy.ts")).openInMemory,
  },
  nact: {
    between: "same thread",
    package: "nact",
    heapOfProcess: true,
    load: async () => (await import("./nact.ts")).open,
  },
} satisfies Record<string, MortalEntry>;

export const peers = {
  "raw ports, relayed": {
    between: "worker → main → worker",
    load: async () => (await import("./raw.ts")).openRelay,
  },
  "raw ports, direct": { between: "worker → worker", load: async () => (await import("./raw.ts")).openDirect },
  ...mortalPeers,
  rivetkit: {
    between: "process → server → process",
    package: "rivetkit",
    isApart: true,
    load: async () => (await import("./rivetkit/open.ts")).open,
  },
} satisfies Record<string, PeerEntry>;

export type MortalPeerName = keyof typeof mortalPeers;
export type PeerName = keyof typeof peers;

/** It is measured when the others have been. */
export const bringsServer = (name: PeerName): boolean => (peers[name] as Entry).isApart === true;

/** Names in the order of the table, and what to say of those whose library is not there; undefined: all are. */
export function findInstalled<Name extends PeerName>(
  names: readonly Name[],
): { readonly installed: readonly Name[]; readonly leftOut: string | undefined } {
  const installed: Name[] = [];
  const missing = new Map<string, Name[]>();
  for (const name of names) {
    const entry: Entry = peers[name];
    if (entry.package === undefined || existsSync(manifestOf(entry.package, entry.isApart))) {
      installed.push(name);
      continue;
    }
    const script = entry.isApart === true ? `bench:${entry.package}` : "bench:peers";
    missing.set(script, [...(missing.get(script) ?? []), name]);
  }
  const said = [...missing].map(
    ([script, left]) => `left out: ${left.join("; ")}. \`npm run ${script}\` installs them`,
  );
  return { installed, leftOut: said.length === 0 ? undefined : said.join(". ") };
}

const manifestOf = (name: string, isApart = false): URL =>
  new URL(`./${isApart ? `${name}/` : ""}node_modules/${name}/package.json`, import.meta.url);
