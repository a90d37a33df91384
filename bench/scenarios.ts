/** All scenarios, in the order in which they run: one question each, answered by one file of `scenarios/`. */
import type { Scenario } from "./scenario.ts";

interface ScenarioEntry {
  readonly question: string;
  /** Loaded one at a time, so that none measures in the memory of another. */
  readonly load: () => Promise<{ readonly run: Scenario }>;
}

export const scenarios = {
  "start-up": {
    question: "How long until the gateway is ready, with one agent and with ten thousand?",
    load: () => import("./scenarios/start-up.ts"),
  },
  restart: {
    question: "How long is the gateway away when it crashes?",
    load: () => import("./scenarios/restart.ts"),
  },
  "full-journal": {
    question: "How long is the gateway away when it crashes with a full journal, and is every message still there?",
    load: () => import("./scenarios/full-journal.ts"),
  },
  "round-trip": {
    question: "What does a question to another agent cost when it is journaled, and in memory?",
    load: () => import("./scenarios/round-trip.ts"),
  },
  ask: {
    question: "What does a question to another agent cost against raw ports and other libraries?",
    load: () => import("./scenarios/ask.ts"),
  },
  tell: {
    question: "What does the mailbox of a cell gain by sending what belongs together as one frame?",
    load: () => import("./scenarios/tell.ts"),
  },
  stream: {
    question: "What does an answer that streams cost on its way from an agent to a reader?",
    load: () => import("./scenarios/stream.ts"),
  },
  settle: {
    question: "What becomes of the calls that wait when their target dies, here and in other libraries?",
    load: () => import("./scenarios/settle.ts"),
  },
  turns: {
    question: "What does a message from outside cost, from the socket to the committed answer?",
    load: () => import("./scenarios/turns.ts"),
  },
  load: {
    question: "What do messages to many agents cost at the load that you choose?",
    load: () => import("./scenarios/load.ts"),
  },
  "model-turn": {
    question: "What does the gateway add to a turn of a model that answers at once?",
    load: () => import("./scenarios/model-turn.ts"),
  },
  channels: {
    question: "How many messages a second go from a platform to an agent and back, and how long does one take?",
    load: () => import("./scenarios/channels.ts"),
  },
  connections: {
    question:
      "What do ten thousand silent clients take, and what do a thousand that ask notice of those that never read?",
    load: () => import("./scenarios/connections.ts"),
  },
  memory: {
    question: "What do live and dormant agents take at rest?",
    load: () => import("./scenarios/memory.ts"),
  },
  "many-agents": {
    question: "How does cost grow with configured agents, and with live ones?",
    load: () => import("./scenarios/many-agents.ts"),
  },
  wake: {
    question: "How long does a dormant agent take to the first line of its handler?",
    load: () => import("./scenarios/wake.ts"),
  },
  spawn: {
    question: "How long does a sub-agent take to be accepted, to its first line, and to be heard of by its requester?",
    load: () => import("./scenarios/spawn.ts"),
  },
  route: {
    question: "What does one message through the binding table cost, with ten and with ten thousand bindings?",
    load: () => import("./scenarios/route.ts"),
  },
  capability: {
    question:
      "What does it cost to check that a message may be sent and to stamp who sent it, and what would signing it?",
    load: () => import("./scenarios/capability.ts"),
  },
  revocation: {
    question: "What is still delivered once a right is taken back, and how long does that take under a flood?",
    load: () => import("./scenarios/revocation.ts"),
  },
  scrub: {
    question: "What does it cost to clean a transcript for its readers, ten times as long and made to be slow?",
    load: () => import("./scenarios/scrub.ts"),
  },
  store: {
    question: "How many durable sends a second does group commit give, and on slower disks?",
    load: () => import("./scenarios/store.ts"),
  },
  faults: {
    question: "What do fifty agents notice of one that spins, throws, floods or pours out?",
    load: () => import("./scenarios/faults.ts"),
  },
  overload: {
    question: "What happens to memory, to orders and to neighbours at ten times the load that an agent can handle?",
    load: () => import("./scenarios/overload.ts"),
  },
  soak: {
    question: "What is left behind when cells are replaced again and again under load?",
    load: () => import("./scenarios/soak.ts"),
  },
  incumbent: {
    question: "How does Cloister compare with the gateway that people would use instead, with the same configuration?",
    load: () => import("./scenarios/incumbent.ts"),
  },
} satisfies Record<string, ScenarioEntry>;

export type ScenarioName = keyof typeof scenarios;
