/**
 * Who may import whom. A room is a part of the tree with one job; it may import rooms of lower layers, itself, and what
 * `also` names with a reason. The longest matching place decides which room a file is in.
 *
 * The layers are those of `docs/ARCHITECTURE.md`. What differs from the rule is an entry of `also`, with its reason, so that
 * the list of exceptions can be read in one place; an entry that nothing uses any more fails the check.
 */

export interface Room {
  readonly name: string;
  readonly layer: 0 | 1 | 2 | 3 | 4 | 5;
  /** Files or folders. */
  readonly places: readonly string[];
  readonly why: string;
  /** Instead of "every lower layer": only these. */
  readonly only?: readonly string[];
  readonly also?: readonly { readonly room: string; readonly typeOnly?: true; readonly why: string }[];
  /** npm packages, by name. */
  readonly packages?: readonly string[];
  /** Built-in modules; absent: none. Type imports are free. */
  readonly node?: "any" | readonly string[];
}

export const rooms: readonly Room[] = [
  {
    name: "kernel",
    layer: 0,
    places: ["runtime/kernel"],
    why: "The state machine that decides. It imports nothing, not even node:, so that same calls give same effects.",
  },
  {
    name: "channel-port",
    layer: 1,
    places: ["channels/port.ts"],
    why: "What a channel gives and gets: types alone.",
  },
  {
    name: "chunks",
    layer: 1,
    places: ["channels/chunks.ts"],
    why: "How a long text becomes several messages: pure, and the same for every channel.",
    only: [],
  },
  {
    name: "store-port",
    layer: 1,
    places: [
      "runtime/store/port.ts",
      "runtime/store/rows.ts",
      "runtime/store/job-rows.ts",
      "runtime/store/audit-rows.ts",
      "runtime/store/stored-run.ts",
      "runtime/store/transcript-rows.ts",
      "runtime/store/retention-rows.ts",
      "runtime/store/usage-rows.ts",
    ],
    why: "What the gateway needs of a store; both adapters and all callers meet here.",
  },
  {
    name: "routing",
    layer: 1,
    places: ["runtime/routing"],
    why: "Binding table and session keys: pure, because a route must be explainable from the config alone.",
    also: [{ room: "channel-port", typeOnly: true, why: "routes are chosen by the facts that a channel tells" }],
  },
  {
    name: "groups",
    layer: 1,
    places: ["runtime/groups"],
    why: "Who may write, what is meant for whom, what agents of one group are told: pure.",
    also: [
      { room: "channel-port", typeOnly: true, why: "a message is judged by the facts that its channel tells" },
      { room: "routing", why: "rooms are compared as session keys write them" },
      { room: "auth", typeOnly: true, why: "a group's rules hold lists of tools, which the tool policy reads" },
    ],
    packages: ["re2js"],
  },
  {
    name: "auth",
    layer: 1,
    places: ["auth"],
    why: "Policy and its compilation into pairings, scopes, devices: pure, so that an explanation comes from what decides.",
  },
  {
    name: "thread-protocol",
    layer: 1,
    places: [
      "runtime/thread/actor-port.ts",
      "runtime/thread/agent-settings.ts",
      "runtime/thread/calls.ts",
      "runtime/thread/cell-port.ts",
      "runtime/thread/model-port.ts",
    ],
    why: "What crosses threads, apart from the threads themselves.",
  },
  {
    name: "entries",
    layer: 1,
    places: ["runtime/thread/entries.ts"],
    why: "Where the files of our threads are, told by their own place alone. One file knows it, for sources and bundle.",
    node: ["node:path", "node:url"],
  },
  {
    name: "edge-protocol",
    layer: 1,
    places: [
      "runtime/edge/port.ts",
      "runtime/edge/methods.ts",
      "runtime/edge/config-rows.ts",
      "runtime/edge/cron-methods.ts",
      "runtime/edge/node-methods.ts",
      "runtime/edge/usage-methods.ts",
      "runtime/edge/param-forms.ts",
    ],
    why: "What crosses between the edge's thread and the kernel's, and the methods that clients may call.",
    also: [
      { room: "channel-port", typeOnly: true, why: "messages of channels pass through the edge" },
      { room: "auth", typeOnly: true, why: "each method names its scope" },
    ],
    packages: ["zod"],
  },
  {
    name: "broker-protocol",
    layer: 1,
    places: ["runtime/broker/port.ts", "runtime/broker/allowed-models.ts", "runtime/broker/own.ts"],
    why: "What crosses between the broker's thread and the kernel's, and which models an agent may ask.",
    also: [{ room: "auth", typeOnly: true, why: "the broker is told which tools the policy leaves to which model" }],
  },
  {
    name: "tools-protocol",
    layer: 1,
    places: ["runtime/tools/port.ts", "runtime/tools/params.ts", "runtime/tools/memory/port.ts"],
    why: "What crosses between the tools' thread and the kernel's, and the parameters that a model is told.",
    packages: ["zod"],
  },
  {
    name: "config",
    layer: 2,
    places: ["runtime/config"],
    why: "Reads the operator's file into checked values; knows names and forms, starts nothing.",
    packages: ["json5", "zod"],
    node: ["node:crypto", "node:fs/promises", "node:net", "node:os", "node:path", "node:util"],
  },
  {
    name: "store",
    layer: 2,
    places: ["runtime/store"],
    why: "Every stored byte, whatever keeps it: journal, sessions, transcripts, the instance lock.",
    node: ["node:crypto", "node:fs", "node:os", "node:path"],
  },
  {
    name: "lmdb",
    layer: 2,
    places: ["runtime/store/lmdb"],
    why: "The one folder that imports lmdb, so that another store is one folder.",
    also: [{ room: "store", why: "it is the adapter of the store's environments" }],
    packages: ["lmdb"],
    node: ["node:fs/promises", "node:path"],
  },
  {
    name: "store-thread",
    layer: 2,
    places: ["runtime/store/store-thread.ts", "runtime/store/thread.ts"],
    why: "The store's thread: its entry opens LMDB, its main-thread side is the store's interface.",
    also: [
      { room: "store", why: "it serves the store" },
      { room: "lmdb", why: "the entry opens the real store" },
      { room: "thread", why: "it is a trusted thread" },
    ],
  },
  {
    name: "observe",
    layer: 2,
    places: ["runtime/observe"],
    why: "The log: a thread of its own writes the file.",
    packages: ["pino", "pino-pretty"],
    node: ["node:events", "node:fs/promises", "node:path", "node:stream"],
  },
  {
    name: "readers",
    layer: 2,
    places: ["runtime/readers"],
    why: "Reads and cleans what is shown, in a pool of threads: never on the main one.",
    also: [{ room: "observe", why: "what is shown is redacted as what is logged" }],
    packages: ["piscina"],
    node: [],
  },
  {
    name: "launcher",
    layer: 1,
    places: ["runtime/launcher"],
    why: "Starts the gateway's process and starts it again. It must not crash with it: no config, no store, no package.",
    node: ["node:fs/promises", "node:inspector", "node:os"],
  },
  {
    name: "thread",
    layer: 2,
    places: ["runtime/thread"],
    why: "Starts, feeds, watches and ends threads. The one room that imports node:worker_threads.",
    packages: ["comlink"],
    node: [
      "node:child_process",
      "node:fs",
      "node:fs/promises",
      "node:inspector",
      "node:module",
      "node:net",
      "node:os",
      "node:path",
      "node:url",
      "node:v8",
      "node:v8",
      "node:vm",
      "node:worker_threads",
    ],
  },
  {
    name: "cell",
    layer: 2,
    places: ["runtime/thread/cell"],
    why: "What runs inside a cell beside the actor. It is in reach of untrusted code, so it knows as little as possible.",
    only: ["kernel", "thread-protocol"],
    packages: ["comlink"],
    node: ["node:async_hooks", "node:fs/promises", "node:module", "node:path", "node:worker_threads", "node:fs"],
  },
  {
    name: "supervisor",
    layer: 3,
    places: ["runtime/supervisor"],
    why: "Driver and assembly: the only code that knows kernel, store, threads and config at once.",
    packages: ["croner", "zod"],
    node: ["node:crypto", "node:fs/promises", "node:path", "node:perf_hooks", "node:url"],
  },
  {
    name: "actors",
    layer: 4,
    places: ["actors"],
    why: "Shipped actor modules. They see what any author sees.",
    only: ["thread-protocol"],
  },
  {
    name: "assistant",
    layer: 4,
    places: ["actors/assistant"],
    why: "The model loop. It sees what any author sees, and the bounds and frames that the gateway itself goes by.",
    only: ["thread-protocol", "kernel", "actors"],
  },
  {
    name: "webhook",
    layer: 4,
    places: ["channels/webhook"],
    why: "A channel: pure in both directions, and a client.",
    only: ["channel-port", "kernel"],
    packages: ["zod"],
  },
  {
    name: "web",
    layer: 4,
    places: ["channels/web/index.ts"],
    why: "The page as a channel: its manifest.",
    only: ["channel-port", "kernel"],
  },
  {
    name: "page",
    layer: 4,
    places: ["channels/web/page"],
    why: "Runs in a browser: it speaks the wire protocol and shares no code with the gateway.",
    only: [],
    also: [{ room: "edge-protocol", typeOnly: true, why: "the shapes of events are written down once" }],
    packages: ["preact", "@preact/signals"],
  },
  {
    name: "edge",
    layer: 4,
    places: ["runtime/edge"],
    why: "HTTP and WebSocket, in a thread of its own. It authenticates and asks; it decides no right.",
    only: ["kernel", "auth", "channel-port", "edge-protocol", "thread"],
    also: [{ room: "webhook", why: "the webhook channel has no socket of its own: the HTTP server is its client" }],
    packages: ["ws", "zod"],
    node: ["node:crypto", "node:fs/promises", "node:http", "node:net", "node:os", "node:path", "node:stream"],
  },
  {
    name: "tool-host",
    layer: 4,
    places: ["runtime/tools"],
    why: "Runs what agents' tools do outside of their cells, in a thread of its own. It is told the folder and decides no right.",
    only: ["kernel", "tools-protocol", "thread", "launcher"],
    packages: ["htmlparser2", "zod"],
    node: [
      "node:child_process",
      "node:crypto",
      "node:dns",
      "node:fs",
      "node:fs/promises",
      "node:http",
      "node:https",
      "node:net",
      "node:path",
      "node:sqlite",
      "node:stream",
      "node:timers/promises",
      "node:zlib",
    ],
  },
  {
    name: "broker",
    layer: 4,
    places: ["runtime/broker"],
    why: "Credentials and providers of models, in a thread of its own. It answers calls that the kernel has judged, and withholds tools by the model that is asked: only it knows which one.",
    only: ["kernel", "broker-protocol", "thread-protocol", "thread", "auth", "config"],
    packages: [
      "@ai-sdk/anthropic",
      "@ai-sdk/google",
      "@ai-sdk/openai",
      "@ai-sdk/openai-compatible",
      "@ai-sdk/provider",
      "ollama-ai-provider-v2",
      "zod",
    ],
    node: ["node:child_process", "node:fs", "node:fs/promises", "node:os", "node:path", "node:timers/promises"],
  },
  {
    name: "cli",
    layer: 5,
    places: ["runtime/cli", "runtime/main.ts"],
    why: "The program as a person types it.",
    packages: ["commander", "ws", "zod"],
    node: "any",
  },
  {
    name: "tools",
    layer: 5,
    places: ["bench", "scripts", "vitest.config.ts"],
    why: "Measures and builds the program.",
    also: [
      { room: "test", why: "faulty agents are measured in the shapes that are tested" },
      { room: "cli", why: "the client of the command line asks the program that is measured" },
      { room: "peers", why: "what is measured beside Cloister" },
    ],
    packages: ["rolldown", "vitest", "lmdb", "ws", "zod", "comlink"],
    node: "any",
  },
  {
    name: "peers",
    layer: 5,
    places: ["bench/peers"],
    why: "Libraries that are measured beside Cloister, each behind the same interface. Their packages are installed here alone.",
    also: [{ room: "tools", why: "all that is measured is measured by the same code" }],
    packages: ["comedy", "comlink", "nact", "piscina", "threads"],
    node: "any",
  },
  {
    name: "test",
    layer: 5,
    places: ["test"],
    why: "Tests reach everything; what they may not do is in the other checks.",
    also: [{ room: "tools", why: "the build and the benchmarks are tested too" }],
    packages: [
      "vitest",
      "fast-check",
      "ws",
      "zod",
      "comlink",
      "lmdb",
      "openai",
      "playwright-core",
      "preact",
      "@preact/signals",
      "json5",
      "pino",
      "commander",
    ],
    node: "any",
  },
];

/** Where the process itself is touched: environment, end, console. Everywhere else these come in as arguments. */
export const processPlaces: readonly { readonly place: string; readonly why: string }[] = [
  { place: "runtime/main.ts", why: "the entry of the program" },
  { place: "runtime/cli", why: "commands of a person at a terminal" },
  { place: "bench", why: "programs of their own" },
  { place: "scripts", why: "programs of their own" },
  { place: "test", why: "tests" },
  {
    place: "runtime/supervisor/run-gateway.ts",
    why: "takes secrets out of the process's environment before cells start",
  },
  {
    place: "runtime/thread/cell/bootstrap.ts",
    why: "replaces the console of a cell, so that what is printed is logged",
  },
];

/** Calls that hold a thread up until a disk answers, where they are right all the same. */
export const synchronousPlaces: readonly { readonly place: string; readonly why: string }[] = [
  { place: "runtime/thread/main-watch.ts", why: "says on another thread why the process ends, right before it does" },
  { place: "runtime/tools/memory/index-file.ts", why: "SQLite answers so, and has a thread of its own for it" },
  { place: "runtime/thread/cell", why: "guards the synchronous calls of an actor, in the actor's own thread" },
  { place: "runtime/store/owner.ts", why: "reads /proc, which is memory, inside a transaction of the store's thread" },
];
