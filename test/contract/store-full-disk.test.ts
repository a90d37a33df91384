/** The store on a disk without room, in a process of its own: a real limit of the operating system, and a real small disk. */
import { spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { openLmdbStore } from "../../runtime/store/lmdb/store.ts";
import { asRoot, type Child, startChild, startOnSmallDisk } from "./store-children.ts";
import { placesIn } from "./store-envelopes.ts";

let dir: string;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), "cloister-store-"));
});
afterEach(() => rm(dir, { recursive: true }));

const mayMount = spawnSync("unshare", [...asRoot, "mount", "-t", "tmpfs", "tmpfs", tmpdir()]).status === 0;

/** All rows that the child says, its last word and its exit code. */
async function hear(child: Child) {
  const rows: Record<string, unknown>[] = [];
  let said = "";
  child.lines.on("line", (line) =>
    line.startsWith("{") ? rows.push(JSON.parse(line) as Record<string, unknown>) : (said = line),
  );
  const [code] = (await once(child, "close")) as [number];
  return { rows, said, code };
}

it.runIf(process.platform === "linux")(
  "refuses what a file size limit does not take, keeps nothing of it, and goes on when there is space",
  async () => {
    const { rows, said, code } = await hear(startChild("full", dir));
    const byId = new Map(rows.map((row) => [row["id"], row]));
    expect(byId.get("before")).toMatchObject({ status: "stored" });
    for (const id of ["alone", "together1", "together2", "last"]) {
      expect(byId.get(id)).toMatchObject({
        code: "CLOISTER_STORE_FULL",
        message: expect.stringMatching(/journal: EFBIG/),
        remedy: expect.stringContaining(join(dir, "store", "journal")),
      });
    }
    expect(byId.get("read")).toMatchObject({ held: ["before"] });
    expect(byId.get("after")).toMatchObject({ status: "stored" });
    expect([said, code]).toEqual(["closed", 0]);
    const store = await openLmdbStore(placesIn(dir));
    expect((await store.pending()).envelopes.map((row) => row.header.id)).toEqual(["before", "after"]);
    await store.close();
  },
);

it.runIf(mayMount)(
  "on a disk that others fill accepts nothing, handles what it accepted, is not ended by what has no room, and goes on when there is space",
  async () => {
    const { rows, said, code } = await hear(startOnSmallDisk(dir));
    const full = { code: "CLOISTER_STORE_FULL", message: expect.stringMatching(/found \d+ bytes free on its disk/) };
    expect(rows).toMatchObject([
      { id: "a", result: "stored" },
      { id: "b", result: "stored" },
      { id: "long", result: "stored" },
      { id: "c", ...full },
      { id: "a", result: "duplicate" },
      { id: "long2", ...full },
      { id: "long", result: "duplicate" },
      { id: "taken", result: 0 },
      { id: "begin a", result: "begun" },
      { id: "commit a", result: { status: "done" } },
      { id: "begin b", ...full },
      { id: "commit b", ...full },
      { id: "begin b", result: "begun" },
      { id: "commit b", result: { status: "done" } },
      { id: "d", result: "stored" },
    ]);
    expect([said, code]).toEqual(["closed", 0]);
  },
);
