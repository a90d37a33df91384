/**
 * The configuration in force, for parts that keep it: a record whose fields are always those of the present one. It is replaced as a
 * whole, in one step, so that nobody ever sees half of one and half of another (#128773: a reload that some parts never heard of).
 */
import type { ResolvedAgent, ResolvedConfig } from "../config/resolved.ts";
import { compileRoutes, type RouteTable } from "../routing/index.ts";

export interface LiveConfig {
  /** Read a field when it is needed; a copy of it stays what it was. */
  readonly config: ResolvedConfig;
  readonly agents: ReadonlyMap<string, ResolvedAgent>;
  readonly routes: RouteTable;
  /** As it stands; what is kept of it does not change. */
  current(): ResolvedConfig;
  /** Throws, and changes nothing, when the routes of it cannot be made. */
  replace(next: ResolvedConfig): void;
}

export function makeLiveConfig(first: ResolvedConfig): LiveConfig {
  let now = { config: first, routes: compileRoutes(first) };
  const agents = new Map(first.agents.map((agent) => [agent.id, agent]));
  return {
    config: makeView(() => now.config),
    routes: makeView(() => now.routes),
    agents,
    current: () => now.config,
    replace(next) {
      now = { config: next, routes: compileRoutes(next) };
      agents.clear();
      for (const agent of next.agents) agents.set(agent.id, agent);
    },
  };
}

/** A record with the fields that the first one has, each of them read anew every time. */
export function makeView<T extends object>(current: () => T): T {
  const names = Object.keys(current());
  const fields = names.map((name) => [name, { enumerable: true, get: () => Reflect.get(current(), name) }] as const);
  return Object.defineProperties({}, Object.fromEntries(fields)) as T;
}

/** What is made of a source, made again when the source is another one. */
export function makeDerived<S, T>(source: () => S, make: (source: S) => T): () => T {
  let last: { readonly source: S; readonly made: T } | undefined;
  return () => {
    const from = source();
    if (last === undefined || last.source !== from) last = { source: from, made: make(from) };
    return last.made;
  };
}
