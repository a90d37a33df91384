/**
 * Replaces the cells of a running program again and again while other agents write, and looks for what is left behind. Four agents are
 * restarted by order, stopped and started, and crash in the middle of a turn, in an order of the seed's; so are, by order alone, the two
 * that the load of `load.ts` talks to. Every message is in a book, and the book is compared at the end.
 */
import { readdir, readFile } from "node:fs/promises";
import { readMemory } from "../../bench/process-figures.ts";
import { connectGateway, type GatewayClient } from "../../runtime/cli/gateway-client.ts";
import { allocatorVariables } from "../../runtime/launcher/allocator.ts";
import { startProgram } from "../support/program.ts";
import { fitSlope, type Slope } from "../support/slope.ts";
import { compare, openLoad, until } from "./load.ts";

export interface SoakOptions {
  readonly seed: number;
  /** Ends when so many cells were replaced, and not before so many minutes. */
  readonly recycles: number;
  readonly minutes?: number;
  readonly progress?: (text: string) => void;
}

interface Sample {
  readonly recycles: number;
  readonly rssMb: number;
  readonly anonymousMb: number;
  readonly descriptors: number;
  readonly maps: number;
  readonly threads: number;
}

export interface SoakReport {
  readonly seed: number;
  readonly recycles: number;
  readonly byWay: Readonly<Record<Way, number>>;
  readonly minutes: number;
  readonly accepted: number;
  /** After the warm-up, and at the end. */
  readonly first: Sample;
  readonly last: Sample;
  /** Of each figure by 1,000 recycles, after the warm-up. */
  readonly per1000: Readonly<Record<Exclude<keyof Sample, "recycles">, Slope>>;
  readonly violations: readonly string[];
}

const ways = ["restart", "stop and start", "crash", "restart under load"] as const;
type Way = (typeof ways)[number];

const recyclers = ["r0", "r1", "r2", "r3"];
/** Replacements between two samples; the load sends two messages of each peer meanwhile. */
const batch = 10;
/** Replacements between two comparisons of the books, after which all begin new ones: what agents remember does not grow with the run. */
const bookEvery = 200;
/** Share of the samples at the start that is left out: heaps and pools grow to their size. */
const warmUp = 0.3;

export async function soak({ seed, recycles, minutes = 0, progress }: SoakOptions): Promise<SoakReport> {
  // All crashes are wanted: nobody is parked for them.
  const supervision = { intensity: 1_000, periodMs: 1_000, backoffMinMs: 1, backoffMaxMs: 10 };
  const load = await openLoad({ seed, others: recyclers.map((id) => ({ id, supervision })) });
  const { random } = load;
  const program = await startProgram(load.stateDir, [], allocatorVariables);
  const pid = program.process.pid ?? 0;
  const operator = await connectGateway(
    { url: program.url.replace("http", "ws"), token: program.key, remedy: "look at the output of the program" },
    { version: "soak", platform: process.platform, scopes: ["operator.read", "operator.write", "operator.admin"] },
  );
  let books = emptyBooks();
  let told = 0;
  const byWay: Record<Way, number> = { restart: 0, "stop and start": 0, crash: 0, "restart under load": 0 };
  const samples: Sample[] = [];
  const violations: string[] = [];
  const fromMs = performance.now();
  let done = 0;

  const tell = async (id: string, what: string): Promise<void> => {
    const book = books.get(id) ?? [];
    const text = `${what}:${id}:${++told}`;
    book.push(text);
    const reply = await say(operator, id, text);
    if (reply !== String(book.length)) violations.push(`${text} was answered ${reply}, wanted ${book.length}`);
  };
  const recycle = async (id: string): Promise<void> => {
    const way = random.pick(ways);
    if (way === "crash") await tell(id, "crash");
    else if (way === "restart under load")
      await operator.request("agents.restart", { agentId: random.pick(["main", "raul"]) });
    else {
      await tell(id, "note");
      await operator.request(way === "restart" ? "agents.restart" : "agents.stop", { agentId: id });
      if (way === "stop and start") {
        await until(async () => (await phaseOf(operator, id)) === "parked");
        await operator.request("agents.start", { agentId: id });
      }
      await tell(id, "note");
    }
    byWay[way]++;
    done++;
  };
  const compareBooks = async (word: "report" | "forget"): Promise<void> => {
    for (const [id, book] of books)
      compare(violations, id, (await say(operator, id, word)).split(" ").filter(Boolean), book);
  };
  const sample = async (): Promise<void> => {
    const [{ rssMb, anonymousMb, threads }, descriptors, maps] = await Promise.all([
      readMemory(pid),
      readdir(`/proc/${pid}/fd`),
      readFile(`/proc/${pid}/maps`, "utf8"),
    ]);
    samples.push({
      recycles: done,
      rssMb,
      anonymousMb,
      threads,
      descriptors: descriptors.length,
      maps: maps.split("\n").length - 1,
    });
  };

  try {
    const isOver = (): boolean => done >= recycles && performance.now() - fromMs >= minutes * 60_000;
    while (violations.length + load.violations.length === 0 && !isOver()) {
      const talking = load.talk(program, 2, 0.25);
      for (let left = batch; left > 0; left -= recyclers.length)
        await Promise.all(recyclers.slice(0, left).map(recycle));
      await talking;
      if (done % bookEvery === 0) {
        await compareBooks("forget");
        books = emptyBooks();
        await load.beginBook(program);
      }
      await sample();
      if (done % 250 === 0) progress?.(`${done} recycles, ${JSON.stringify(samples.at(-1))}`);
    }
    await compareBooks("report");
    await operator.close();
    await load.finish(program);
  } finally {
    load.close();
    if (program.process.exitCode === null) await program.stop("SIGKILL");
  }
  const counted = samples.slice(Math.floor(samples.length * warmUp));
  const [first, last] = [counted[0], counted.at(-1)];
  if (first === undefined || last === undefined) throw new RangeError("the soak took no sample");
  const slopeOf = (figure: Exclude<keyof Sample, "recycles">): Slope =>
    fitSlope(counted.map((one) => [one.recycles / 1_000, one[figure]]));
  return {
    seed,
    recycles: done,
    byWay,
    minutes: (performance.now() - fromMs) / 60_000,
    accepted: load.counts.accepted,
    first,
    last,
    per1000: {
      rssMb: slopeOf("rssMb"),
      anonymousMb: slopeOf("anonymousMb"),
      descriptors: slopeOf("descriptors"),
      maps: slopeOf("maps"),
      threads: slopeOf("threads"),
    },
    violations: [...violations, ...load.violations],
  };
}

const emptyBooks = (): ReadonlyMap<string, string[]> => new Map(recyclers.map((id) => [id, []]));

async function say(operator: GatewayClient, agentId: string, message: string): Promise<string> {
  const sent = (await operator.request("chat.send", { sessionKey: `agent:${agentId}:main`, message })) as {
    readonly runId: string;
  };
  const result = await operator.request("agent.wait", { runId: sent.runId, timeoutMs: 30_000 }, { timeoutMs: 40_000 });
  const { status, reply } = result as { readonly status: string; readonly reply?: string | null };
  // An answer without text is none.
  return status === "ok" ? (reply ?? "") : JSON.stringify(result);
}

async function phaseOf(operator: GatewayClient, agentId: string): Promise<string | undefined> {
  const { agents } = (await operator.request("health", {})) as {
    readonly agents: readonly { readonly agentId: string; readonly phase: string }[];
  };
  return agents.find((agent) => agent.agentId === agentId)?.phase;
}
