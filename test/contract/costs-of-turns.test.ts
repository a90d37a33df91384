/**
 * What a turn with a model costs, as counts that are the same on every machine: messages by which the main thread wakes others and is woken, and
 * commits. The time that follows from them: `npm run bench -- model-turn`.
 */
import { mkdtemp } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { MessagePort } from "node:worker_threads";
import { afterEach, expect, onTestFinished, test } from "vitest";
import type { Environment, OpenEnvironment } from "../../runtime/store/environment.ts";
import { memoryEnvironments } from "../../runtime/store/memory-environment.ts";
import type { Store } from "../../runtime/store/port.ts";
import { openStore } from "../../runtime/store/store.ts";
import { startStoreThread } from "../../runtime/store/thread.ts";
import { makeBrokerStart } from "../../runtime/supervisor/start-broker.ts";
import { provider } from "../support/broker.ts";
import { openGateway, type TestGateway } from "../support/gateway.ts";

const quiet = { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined };
const many = 20;

const script = [
  { when: { tool: "sessions_list" }, say: "There is one." },
  { when: { text: "which" }, call: [{ name: "sessions_list", input: { limit: 1 } }] },
  { say: "You said {{text}}." },
];

const open = (store: Store, stateDir: string): Promise<TestGateway> => {
  const models = {
    providers: { scripted: provider("scripted", { models: { m: { id: "m", script } } }) },
    catalogue: [],
    authOrder: {},
    variables: {},
  };
  const agents = [{ id: "main", module: "assistant", model: "scripted/m" }];
  return openGateway(agents, { models, stateDir }, { startBroker: makeBrokerStart(quiet), store });
};

const newStateDir = (): Promise<string> => mkdtemp(path.join(os.tmpdir(), "costs-"));
const placesOf = (stateDir: string) => ({
  stateDir: path.join(stateDir, "store"),
  agents: [{ agentId: "main", sessionsDir: path.join(stateDir, "sessions") }],
});

interface Crossed {
  out: number;
  in: number;
}

/** Messages of this thread's ports from now on. Listeners that are there already are not counted. */
function countMessages(): Crossed {
  const crossed: Crossed = { out: 0, in: 0 };
  // oxlint-disable-next-line typescript/unbound-method -- called below with the port that they are of
  const { postMessage, on } = MessagePort.prototype;
  MessagePort.prototype.postMessage = function (this: MessagePort, ...given: never[]) {
    crossed.out++;
    return postMessage.apply(this, given as never);
  } as typeof postMessage;
  MessagePort.prototype.on = function (this: MessagePort, event: string, listener: (given: unknown) => void) {
    if (event !== "message") return on.call(this, event as never, listener as never);
    return on.call(this, "message", (given: unknown) => {
      crossed.in++;
      listener(given);
    });
  } as typeof on;
  restore = () => Object.assign(MessagePort.prototype, { postMessage, on });
  return crossed;
}
let restore = (): unknown => undefined;
afterEach(() => void restore());

/** Of one turn, when others went before it. */
async function each<T extends object>(gateway: TestGateway, text: string, read: () => T): Promise<T> {
  await gateway.reply("main", text);
  await gateway.reply("main", text);
  const before = read() as Record<string, number>;
  for (let n = 0; n < many; n++) await gateway.reply("main", text);
  const after = Object.entries(read() as Record<string, number>);
  return Object.fromEntries(after.map(([name, found]) => [name, (found - (before[name] ?? 0)) / many])) as T;
}

/** Without the doors, whose thread has one more for each piece of text and each event that a client hears. */
test.each([
  ["hello", { out: 5, in: 6 }],
  ["which sessions are there?", { out: 13, in: 14 }],
])("messages of the main thread for one turn: %s", async (text, usual) => {
  const crossed = countMessages();
  const stateDir = await newStateDir();
  const store = await startStoreThread({ places: placesOf(stateDir), options: {}, onLost: () => undefined });
  onTestFinished(() => store.close());
  const found = await each(await open(store, stateDir), text, () => ({ ...crossed }));
  for (const way of ["out", "in"] as const) {
    expect(found[way]).toBeGreaterThanOrEqual(usual[way]);
    // One more where a round of the loop ends between two of them.
    expect(found[way]).toBeLessThanOrEqual(usual[way] + 1);
  }
});

test.each([
  ["hello", { registry: 0, journal: 1, sessions: 1 }],
  // A list of sessions shows what has just happened.
  ["which sessions are there?", { registry: 1, journal: 1, sessions: 3 }],
])("commits of one turn: %s", async (text, expected) => {
  const opened = new Map<string, Environment>();
  const memory = memoryEnvironments(new Map());
  const environments: OpenEnvironment = Object.assign(
    async (dir: string) => {
      const environment = await memory(dir);
      opened.set(dir, environment);
      return environment;
    },
    { exists: memory.exists, ...(memory.blobs === undefined ? {} : { blobs: memory.blobs }) },
  );
  const stateDir = await newStateDir();
  // The index of sessions is written for many turns at once, which nothing here waits for.
  const store = await openStore(placesOf(stateDir), environments, { bounds: { indexLateMs: 600_000 } });
  onTestFinished(() => store.close());
  const commits = () =>
    Object.fromEntries([...opened].map(([dir, environment]) => [path.basename(dir), environment.commits()]));
  const found = await each(await open(store, stateDir), text, commits);
  const { journal: appends, ...others } = expected;
  const { journal, ...rest } = found as typeof expected;
  expect(rest).toEqual(others);
  // What was written of the index lets rows of the journal go: with the next message, or by themselves where that takes its time.
  expect(journal).toBeGreaterThanOrEqual(appends);
  expect(journal).toBeLessThanOrEqual(appends + others.registry);
});
