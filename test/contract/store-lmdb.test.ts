import { once } from "node:events";
import { mkdtemp, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { formats, openFormat } from "../../runtime/store/format.ts";
import { openLmdbEnvironment } from "../../runtime/store/lmdb/environment.ts";
import { openLmdbStore } from "../../runtime/store/lmdb/store.ts";
import { identify } from "../../runtime/store/owner.ts";
import { type Child, startChild } from "./store-children.ts";
import { beginOf, commitOf, envelope, placesIn } from "./store-envelopes.ts";
import { storeSuite } from "./store-suite.ts";

const makeDir = (): Promise<string> => mkdtemp(join(tmpdir(), "cloister-store-"));

storeSuite({ name: "LMDB", clock: true, modelRuns: 40 }, async () => {
  const dir = await makeDir();
  return {
    dir,
    open: (options) => openLmdbStore(placesIn(dir), options),
    openEnvironment: openLmdbEnvironment,
    dispose: () => rm(dir, { recursive: true }),
  };
});

describe("store on disk", () => {
  let dir: string;
  beforeEach(async () => {
    dir = await makeDir();
  });
  afterEach(() => rm(dir, { recursive: true }));

  it("commits appends in flight together with few flushes", async () => {
    const store = await openLmdbStore(placesIn(dir));
    await store.append(envelope("first"));
    const before = (await store.counters()).journalCommits;
    await Promise.all(
      Array.from({ length: 64 }, (_, at) => store.append(envelope(`e${at}`, { agentId: at % 2 ? "ann" : "bob" }))),
    );
    const { journalCommits, appends } = await store.counters();
    expect(appends).toBe(65);
    expect(journalCommits - before).toBeLessThanOrEqual(4);
    await store.append(envelope("last"));
    expect((await store.counters()).journalCommits).toBe(journalCommits + 1);
    await store.close();
  });

  it("takes the removal of a done envelope into a later write instead of a flush of its own", async () => {
    const store = await openLmdbStore(placesIn(dir));
    for (const id of ["a", "b"]) await store.append(envelope(id));
    const before = (await store.counters()).journalCommits;
    await store.settle("a");
    await store.settle("b");
    expect((await store.counters()).journalCommits).toBe(before);
    await store.append(envelope("c"));
    expect((await store.counters()).journalCommits).toBe(before + 1);
    expect((await store.pending()).envelopes.map((row) => row.header.id)).toEqual(["c"]);
    await store.close();
  });

  it("does not keep done markers of envelopes that are gone", async () => {
    const markers = async (): Promise<number> => {
      const environment = await openLmdbEnvironment(placesIn(dir).agents[0]?.sessionsDir ?? "");
      const found = [...environment.entries({ start: ["d", 0], end: ["d", "\u{10ffff}"] })].length;
      await environment.close();
      return found;
    };
    let store = await openLmdbStore(placesIn(dir));
    for (let at = 0; at < 20; at += 1) {
      const mail = envelope(`e${at}`);
      await store.append(mail);
      await store.begin(beginOf(mail));
      await store.commit(commitOf(mail));
      if (at < 19) await store.settle(mail.header.id);
    }
    await store.close();
    expect(await markers()).toBe(1);
    // A journal that lost its row without a word to the agent, as after a crash: the next opening cleans up.
    const journal = await openLmdbEnvironment(join(dir, "store", "journal"));
    await journal.write(() => journal.remove(["i", "e19"]));
    await journal.close();
    store = await openLmdbStore(placesIn(dir));
    await store.history("ann", "agent:ann:main", 1, 0);
    await store.close();
    expect(await markers()).toBe(0);
  });

  it("makes its directories for this user only", async () => {
    const store = await openLmdbStore(placesIn(dir));
    await store.history("ann", "agent:ann:main", 1, 0);
    await store.close();
    expect((await stat(join(dir, "store", "journal"))).mode & 0o777).toBe(0o700);
    expect((await stat(join(dir, "agents", "ann", "sessions"))).mode & 0o777).toBe(0o700);
  });

  it("says which directory it cannot use", async () => {
    await writeFile(join(dir, "file"), "");
    await expect(openLmdbStore(placesIn(join(dir, "file")))).rejects.toMatchObject({
      code: "CLOISTER_STATE_UNUSABLE",
      message: expect.stringContaining(join(dir, "file", "store", "registry")),
    });
  });

  it("refuses a store of a newer version, naming both versions, and writes nothing", async () => {
    for (const name of ["registry", "journal"] as const) {
      const stateDir = join(dir, name);
      await (await openLmdbStore(placesIn(stateDir))).close();
      const environment = await openLmdbEnvironment(join(stateDir, "store", name));
      await environment.write(() => environment.put(["format"], { name, format: formats[name] + 1 }));
      await environment.close();
      await expect(openLmdbStore(placesIn(stateDir), { owner: { pid: process.pid } })).rejects.toMatchObject({
        code: "CLOISTER_STATE_VERSION",
        message: expect.stringMatching(/holds \w+ format \d+, .* reads \w+ format \d+/),
      });
      const after = await openLmdbEnvironment(join(stateDir, "store", "registry"));
      expect(after.get(["owner"])).toBeUndefined();
      await after.close();
    }
  });

  it("takes the audit trail of a registry of format 1 over into one that cannot be changed unseen", async () => {
    const stateDir = join(dir, "older");
    await (await openLmdbStore(placesIn(stateDir))).close();
    const registry = await openLmdbEnvironment(join(stateDir, "store", "registry"));
    const row = (n: number) => ({
      atMs: n,
      type: "order",
      subject: "operator",
      object: `agent:${n}`,
      decision: "noted",
    });
    await registry.write(() => {
      registry.put(["format"], { name: "registry", format: 1 });
      for (const n of [3, 4, 5]) registry.put(["a", n], row(n));
    });
    await registry.close();
    const store = await openLmdbStore(placesIn(stateDir));
    expect(await store.audits(9)).toMatchObject([5, 4, 3].map(row));
    expect(await store.auditCheck("decisions")).toMatchObject({ rows: 3, faultCount: 0, done: true });
    await store.close();
    const after = await openLmdbEnvironment(join(stateDir, "store", "registry"));
    expect([...after.keys({ start: ["a", 0], end: ["a", 9] })]).toEqual([]);
    await after.close();
  });

  it("finds the dead letters of a journal of format 1: listed, counted, by id, with their bodies", async () => {
    const stateDir = join(dir, "older");
    await (await openLmdbStore(placesIn(stateDir))).close();
    const journal = await openLmdbEnvironment(join(stateDir, "store", "journal"));
    await journal.write(() => {
      journal.put(["format"], { name: "journal", format: 1 });
      for (const [n, fate] of [
        [4, "poison"],
        [9, "dropped"],
      ] as const)
        journal.put(["x", n], { ...envelope(`e${n}`), fate, reason: `reason ${n}`, attempts: n, atMs: n });
    });
    await journal.close();
    const store = await openLmdbStore(placesIn(stateDir));
    const { rows, total } = await store.deadLetters({ limit: 10 });
    expect([rows.map(({ header }) => header.id), total]).toEqual([["e9", "e4"], 2]);
    expect(await store.deadLetter("e4")).toMatchObject({
      ...envelope("e4"),
      reason: "reason 4",
      preview: "body of e4",
    });
    expect(await store.deadLetterCounts()).toMatchObject({ poison: 1, dropped: 1, expired: 0 });
    expect(await store.purge({})).toBe(2);
    await store.close();
  });

  it("finds the mail of a journal of format 3: in order, with bodies and deliveries, and by agent", async () => {
    const journal = await openLmdbEnvironment(join(dir, "store", "journal"));
    const mails = [envelope("a", { body: "one" }), envelope("b", { agentId: "bob" }), envelope("c", { body: "three" })];
    await journal.write(() => {
      journal.put(["format"], { name: "journal", format: 3 });
      for (const [at, mail] of mails.entries()) {
        journal.put(["e", at + 1], mail);
        journal.put(["i", mail.header.id], [at + 1, mail.header.agentId]);
      }
      journal.put(["n", 3], 1);
    });
    await journal.close();
    const store = await openLmdbStore(placesIn(dir));
    expect((await store.pending()).envelopes).toEqual(
      mails.map(({ header }, at) => ({ seq: at + 1, header, attempts: at === 2 ? 1 : 0 })),
    );
    expect((await store.queued({ agentId: "ann", after: 0, until: 9 }, 9)).map(({ seq }) => seq)).toEqual([1, 3]);
    expect(await store.begin(beginOf(mails[2] ?? envelope("c")))).toMatchObject({ body: "three", attempt: 2 });
    await store.append(envelope("d"));
    expect((await store.pending()).envelopes.at(-1)).toMatchObject({ seq: 4, header: { id: "d" } });
    await store.close();
  });

  it("finds the mail of a journal of format 9, which had header, body and place in a row each, and removes all of it", async () => {
    const journalDir = join(dir, "store", "journal");
    let store = await openLmdbStore(placesIn(dir), { bounds: { blobCharsMin: 5_000 } });
    const mails = [
      envelope("a", { body: "short" }),
      envelope("b", { agentId: "bob", body: "" }),
      envelope("c", { body: "long ".repeat(600) }),
      envelope("d", { body: "a file ".repeat(1_000) }),
    ];
    for (const mail of mails) await store.append(mail);
    await store.close();
    let journal = await openLmdbEnvironment(journalDir);
    await journal.write(() => {
      journal.put(["format"], { name: "journal", format: 9 });
      for (const [at, { header, body }] of mails.entries()) {
        journal.put(["e", at + 1], header);
        journal.put(["q", header.agentId, at + 1], 0);
        if (at < 2) journal.put(["m", at + 1], body);
      }
    });
    await journal.close();
    store = await openLmdbStore(placesIn(dir));
    expect((await store.pending()).envelopes).toEqual(
      mails.map(({ header }, at) => ({ seq: at + 1, header, attempts: 0 })),
    );
    expect(await store.append(envelope("e"))).toMatchObject({ status: "stored", seq: 5 });
    for (const mail of mails) {
      expect(await store.begin(beginOf(mail))).toMatchObject({ body: mail.body, attempt: 1 });
      await store.commit(commitOf(mail));
      await store.settle(mail.header.id);
    }
    await store.close();
    journal = await openLmdbEnvironment(journalDir);
    const left = ["e", "m", "q", "i", "n", "z"].flatMap((kind) => [
      ...journal.keys({ start: [kind], end: [kind, "\u{10ffff}"] }),
    ]);
    expect(left).toEqual([
      ["q", "ann", 5],
      ["i", "e"],
    ]);
    await journal.close();
  });

  it("finds the dead letters of a journal of format 5, which kept no answers", async () => {
    const stateDir = join(dir, "unanswered");
    const before = await openLmdbStore(placesIn(stateDir));
    await before.append(envelope("a"));
    await before.bury("a", "undeliverable", "its channel is away");
    await before.close();
    const journal = await openLmdbEnvironment(join(stateDir, "store", "journal"));
    await journal.write(() => journal.put(["format"], { name: "journal", format: 5 }));
    await journal.close();
    const store = await openLmdbStore(placesIn(stateDir));
    const letter = await store.deadLetter("a");
    expect(letter).toMatchObject({ body: "body of a", fate: "undeliverable" });
    expect(letter).not.toHaveProperty("answer");
    await store.close();
    const after = await openLmdbEnvironment(join(stateDir, "store", "journal"));
    expect(after.get(["format"])).toEqual({ name: "journal", format: formats.journal });
    await after.close();
  });

  it("reads an agent's store of format 1, and finds the calls of open turns that were in the window of a journal of format 4", async () => {
    const stateDir = join(dir, "windowed");
    const before = await openLmdbStore(placesIn(stateDir));
    const mail = envelope("turn-1");
    await before.append(mail);
    await before.begin(beginOf(mail));
    await before.close();
    const journal = await openLmdbEnvironment(join(stateDir, "store", "journal"));
    await journal.write(() => {
      journal.put(["format"], { name: "journal", format: 4 });
      for (const [turn, sent] of [
        ["turn-1", "sent"],
        ["turn-0", "gone"],
      ])
        journal.put(["d", `turn:${turn}`, "2"], [0, 1, sent, `run-${sent}`]);
    });
    await journal.close();
    const agent = await openLmdbEnvironment(join(stateDir, "agents", "ann", "sessions"));
    await agent.write(() => agent.put(["format"], { name: "agent", format: 1 }));
    await agent.close();

    const store = await openLmdbStore(placesIn(stateDir));
    const call = { key: 2, op: "send", name: "agent:bob:main" } as const;
    expect(await store.append(envelope("again"), { turn: "turn-1", call })).toEqual({
      status: "duplicate",
      envelopeId: "sent",
      runId: "run-sent",
    });
    expect(await store.append(envelope("new"), { turn: "turn-0", call })).toMatchObject({ status: "stored" });
    expect(await store.begin(beginOf(mail))).toMatchObject({ status: "begun", attempt: 2, steps: [] });
    await store.close();
    const after = await openLmdbEnvironment(join(stateDir, "agents", "ann", "sessions"));
    expect(after.get(["format"])).toEqual({ name: "agent", format: formats.agent });
    await after.close();
  });

  it("migrates step by step in one transaction, and refuses when a step is missing", async () => {
    const environment = await openLmdbEnvironment(join(dir, "old"));
    await openFormat(environment, "agent", dir, 1);
    await environment.write(() => environment.put(["n"], 1));
    const double = (): void => environment.put(["n"], (environment.get<number>(["n"]) ?? 0) * 2);
    await expect(openFormat(environment, "agent", dir, 3, { 1: double })).rejects.toMatchObject({
      code: "CLOISTER_STATE_VERSION",
    });
    expect([environment.get(["n"]), environment.get(["format"])]).toEqual([1, { name: "agent", format: 1 }]);
    await openFormat(environment, "agent", dir, 3, { 1: double, 2: double });
    expect([environment.get(["n"]), environment.get(["format"])]).toEqual([4, { name: "agent", format: 3 }]);
    await openFormat(environment, "agent", dir, 3, {});
    await expect(openFormat(environment, "journal", dir, 3)).rejects.toMatchObject({ code: "CLOISTER_STATE_VERSION" });
    await environment.close();
  });
});

async function firstLine(child: Child): Promise<string> {
  const [line] = (await once(child.lines, "line")) as [string];
  return line;
}

async function kill(child: Child): Promise<void> {
  const ended = once(child, "close");
  child.kill("SIGKILL");
  await ended;
}

describe("store on disk, between processes", () => {
  let dir: string;
  const children: Child[] = [];
  const start = (mode: string): Child => {
    const child = startChild(mode, dir);
    children.push(child);
    return child;
  };
  beforeEach(async () => {
    dir = await makeDir();
  });
  afterEach(async () => {
    for (const child of children.splice(0)) if (child.exitCode === null && child.signalCode === null) await kill(child);
    await rm(dir, { recursive: true });
  });

  it("loses nothing that it answered when the process is killed, and does no turn twice", async () => {
    const stored = new Set<string>();
    const done = new Set<string>();
    for (let round = 0; round < 6; round += 1) {
      const child = start("accept");
      const ended = once(child, "close");
      let seen = 0;
      child.lines.on("line", (line) => {
        const [word, id = ""] = line.split(" ");
        (word === "done" ? done : stored).add(id);
        seen += 1;
        if (seen === 150 + round * 53) child.kill("SIGKILL");
      });
      await ended;
      expect(seen).toBeGreaterThanOrEqual(150);

      const store = await openLmdbStore(placesIn(dir));
      const { envelopes } = await store.pending();
      const waiting = new Set(envelopes.map((row) => row.header.id));
      const turns = new Map<string, number>();
      for (const session of ["s0", "s1", "s2"]) {
        const { total } = await store.history("ann", `agent:ann:${session}`, 0, 0);
        const { rows } = await store.history("ann", `agent:ann:${session}`, total, 0);
        expect(rows).toHaveLength(total);
        for (const row of rows.filter((each) => each.role === "user"))
          turns.set(row.envelopeId, (turns.get(row.envelopeId) ?? 0) + 1);
        expect((await store.session(`agent:ann:${session}`))?.messages).toBe(total);
      }
      expect([...stored].filter((id) => !waiting.has(id) && !turns.has(id))).toEqual([]);
      expect([...done].filter((id) => !turns.has(id))).toEqual([]);
      expect([...turns].filter(([, times]) => times !== 1)).toEqual([]);
      expect([...waiting].filter((id) => turns.has(id))).toEqual([]);
      for (const id of stored) {
        expect((await store.append(envelope(`again-${id}`), { scope: "kill", key: id })).status).toBe("duplicate");
        break;
      }
      await store.close();
    }
    expect(done.size).toBeGreaterThan(100);
  });

  it("lets one of two processes have the state directory, tells the other who has it, and follows a killed one", async () => {
    const rivals = [start("own"), start("own")];
    const answers = await Promise.all(rivals.map(firstLine));
    expect(answers.filter((answer) => answer === "open")).toHaveLength(1);
    const owner = rivals[answers.indexOf("open")] as Child;
    const refusal = JSON.parse(answers.find((answer) => answer !== "open") ?? "") as Record<string, string>;
    expect(refusal["code"]).toBe("CLOISTER_STATE_LOCKED");
    expect(refusal["message"]).toMatch(new RegExp(`${dir}: the gateway with pid ${owner.pid} .* since \\d{4}-`));
    expect(refusal["remedy"]).toContain("CLOISTER_STATE_DIR");

    await kill(owner);
    const next = start("own");
    expect(await firstLine(next)).toBe("open");
    expect(JSON.parse(await firstLine(start("own")))).toMatchObject({ code: "CLOISTER_STATE_LOCKED" });
    const closed = firstLine(next);
    next.stdin.end();
    expect(await closed).toBe("closed");
    const last = await openLmdbStore(placesIn(dir), { owner: { pid: process.pid } });
    await last.close();
  });

  it("takes the directory over from another boot, and from another host when that has been silent for long", async () => {
    const own = identify(process.pid);
    const begin = Date.UTC(2030, 0, 1);
    /** Leaves the row of an owner that did not close. */
    const leave = async (): Promise<void> => {
      const registry = await openLmdbEnvironment(join(dir, "store", "registry"));
      await registry.write(() => registry.put(["owner"], { ...own, atMs: begin, seenAtMs: begin }));
      await registry.close();
    };
    const open = async (identity: typeof own, nowMs: number): Promise<string> => {
      await leave();
      return openLmdbStore(placesIn(dir), { owner: identity, now: () => nowMs }).then(
        async (store) => {
          await store.close();
          return "open";
        },
        (error: { code: string }) => error.code,
      );
    };
    expect(await open(own, begin + 3_600_000)).toBe("CLOISTER_STATE_LOCKED");
    expect(await open({ ...own, bootId: "another" }, begin)).toBe("open");
    expect(await open({ ...own, host: "another" }, begin + 59_000)).toBe("CLOISTER_STATE_LOCKED");
    expect(await open({ ...own, host: "another" }, begin + 61_000)).toBe("open");
  });
});
