/** Architecture by import statement: layers, cycles, and the few doors to threads, sockets, stores and the process. */
import { describe, expect, test } from "vitest";
import { codeFiles, isFile, programFiles, resolveImport, sourceOf, under } from "./files.ts";
import { processPlaces, type Room, rooms, synchronousPlaces } from "./layers.ts";
import { findImports, type Import } from "./source-code.ts";

interface Edge extends Import {
  readonly from: string;
}

const edges: readonly Edge[] = codeFiles.flatMap((from) =>
  findImports(sourceOf(from)).map((found) => ({ ...found, from })),
);
const relative = edges.filter(({ specifier }) => specifier.startsWith("."));
const builtins = edges.filter(({ specifier }) => specifier.startsWith("node:"));
const packages = edges.filter(({ specifier }) => /^[@a-z]/.test(specifier) && !specifier.startsWith("node:"));

/** `@scope/name/deep` → `@scope/name`. */
const packageName = (specifier: string): string =>
  specifier
    .split("/")
    .slice(0, specifier.startsWith("@") ? 2 : 1)
    .join("/");

function roomOf(file: string): Room | undefined {
  const found = rooms.flatMap((room) =>
    room.places.filter((place) => under(file, place)).map((place) => ({ room, length: place.length })),
  );
  return found.toSorted((a, b) => b.length - a.length)[0]?.room;
}

const targetOf = ({ from, specifier }: Edge): string => resolveImport(from, specifier);
/** Of a stylesheet or a JSON file nothing is asked. */
const codeTargets = relative.filter((edge) => codeFiles.includes(targetOf(edge)));

/** Files whose code a thread has that begins with these, the same files included. */
function reachedFrom(files: readonly string[]): ReadonlySet<string> {
  const reached = new Set(files);
  for (const file of reached)
    for (const edge of codeTargets) if (edge.from === file && !edge.typeOnly) reached.add(targetOf(edge));
  return reached;
}

function exceptionFor(from: Room, to: Room, typeOnly: boolean) {
  return from.also?.find((entry) => entry.room === to.name && (entry.typeOnly !== true || typeOnly));
}

describe("what was read", () => {
  test("is the whole tree, and its imports", () => {
    expect(programFiles.length).toBeGreaterThan(180);
    expect(codeFiles.length).toBeGreaterThan(240);
    expect(relative.length).toBeGreaterThan(700);
    expect(builtins.length).toBeGreaterThan(60);
    expect(packages.length).toBeGreaterThan(30);
  });

  test("has a room for every file, and every room has a file", () => {
    expect(codeFiles.filter((file) => roomOf(file) === undefined)).toEqual([]);
    const lived = new Set(codeFiles.map(roomOf));
    expect(rooms.filter((room) => !lived.has(room)).map(({ name }) => name)).toEqual([]);
  });

  test("names files that exist", () => {
    // Tests name files that are not there on purpose; the compiler reads their imports.
    const missing = relative.filter((edge) => !under(edge.from, "test") && !isFile(targetOf(edge)));
    expect(missing.map(({ from, specifier }) => `${from} imports ${specifier}`)).toEqual([]);
  });
});

describe("layers", () => {
  test("a room imports lower layers, itself, and what its row names", () => {
    const wrong = codeTargets.flatMap((edge) => {
      const from = roomOf(edge.from);
      const to = roomOf(targetOf(edge));
      if (from === undefined || to === undefined || from === to || from.name === "test") return [];
      const allowed = from.only === undefined ? to.layer < from.layer : from.only.includes(to.name);
      if (allowed || exceptionFor(from, to, edge.typeOnly) !== undefined) return [];
      return [`${edge.from} (${from.name}, L${from.layer}) imports ${targetOf(edge)} (${to.name}, L${to.layer})`];
    });
    expect(wrong).toEqual([]);
  });

  test("every exception is used", () => {
    const used = new Set(
      codeTargets.flatMap((edge) => {
        const from = roomOf(edge.from);
        const to = roomOf(targetOf(edge));
        return from === undefined || to === undefined ? [] : [`${from.name} > ${to.name}`];
      }),
    );
    const listed = rooms.flatMap((room) => (room.also ?? []).map((entry) => `${room.name} > ${entry.room}`));
    expect(listed.filter((pair) => !used.has(pair))).toEqual([]);
    expect(rooms.every(({ also = [] }) => also.every(({ why }) => why.length > 10))).toBe(true);
  });

  test("npm packages are imported only where the table says", () => {
    const wrong = packages
      .filter(({ typeOnly, specifier }) => !typeOnly && packageName(specifier) !== "cloister")
      .filter(({ from, specifier }) => roomOf(from)?.packages?.includes(packageName(specifier)) !== true);
    expect(wrong.map(({ from, specifier }) => `${from} imports ${specifier}`)).toEqual([]);
  });

  test("built-in modules are imported only where the table says", () => {
    const wrong = builtins
      .filter(({ typeOnly }) => !typeOnly)
      .filter(({ from, specifier }) => {
        const allowed = roomOf(from)?.node ?? [];
        return allowed !== "any" && !allowed.includes(specifier);
      });
    expect(wrong.map(({ from, specifier }) => `${from} imports ${specifier}`)).toEqual([]);
  });

  test("built-in modules are named with node:", () => {
    const bare = packages.filter(({ specifier }) =>
      /^(fs|path|os|net|http|https|crypto|url|util|events)$/.test(specifier),
    );
    expect(bare.map(({ from, specifier }) => `${from} imports ${specifier}`)).toEqual([]);
  });

  test("no module imports itself in a circle", () => {
    const graph = new Map<string, string[]>();
    for (const edge of codeTargets) graph.set(edge.from, [...(graph.get(edge.from) ?? []), targetOf(edge)]);
    expect(graph.size).toBeGreaterThan(200);
    expect(findCircle(graph, codeTargets)).toEqual([]);
  });
});

/** The circle that is found first, or none. Types alone bind nothing at run time and are left out. */
function findCircle(graph: ReadonlyMap<string, readonly string[]>, all: readonly Edge[]): readonly string[] {
  const atRunTime = new Set(all.filter(({ typeOnly }) => !typeOnly).map((edge) => `${edge.from} > ${targetOf(edge)}`));
  const done = new Set<string>();
  const visit = (file: string, path: readonly string[]): readonly string[] => {
    const start = path.indexOf(file);
    if (start !== -1) return [...path.slice(start), file];
    if (done.has(file)) return [];
    for (const next of graph.get(file) ?? []) {
      if (!atRunTime.has(`${file} > ${next}`)) continue;
      const circle = visit(next, [...path, file]);
      if (circle.length > 0) return circle;
    }
    done.add(file);
    return [];
  };
  for (const file of graph.keys()) {
    const circle = visit(file, []);
    if (circle.length > 0) return circle;
  }
  return [];
}

test("the search for circles finds one", () => {
  const all: Edge[] = [
    { from: "a/a.ts", specifier: "./b.ts", typeOnly: false },
    { from: "a/b.ts", specifier: "./c.ts", typeOnly: false },
    { from: "a/c.ts", specifier: "./a.ts", typeOnly: false },
  ];
  const graph = new Map(all.map((edge) => [edge.from, [targetOf(edge)]]));
  expect(findCircle(graph, all)).toEqual(["a/a.ts", "a/b.ts", "a/c.ts", "a/a.ts"]);
  expect(
    findCircle(
      graph,
      all.map((edge) => ({ ...edge, typeOnly: edge.from === "a/c.ts" })),
    ),
  ).toEqual([]);
});

describe("few doors", () => {
  const importers = (names: readonly string[]): readonly string[] => [
    ...new Set(
      [...packages, ...builtins]
        .filter(({ typeOnly, specifier }) => !typeOnly && names.includes(specifier))
        .map(({ from }) => from)
        .filter((file) => programFiles.includes(file)),
    ),
  ];

  test("lmdb is imported in one folder", () => {
    const files = importers(["lmdb"]);
    expect(files.length).toBeGreaterThan(0);
    expect(files.filter((file) => !under(file, "runtime/store/lmdb"))).toEqual([]);
  });

  test("ws is imported in two", () => {
    const files = importers(["ws"]);
    expect(files.length).toBeGreaterThan(1);
    expect(files.filter((file) => !under(file, "runtime/edge") && !under(file, "runtime/cli"))).toEqual([]);
  });

  test("threads are started in one", () => {
    const files = importers(["node:worker_threads"]);
    expect(files.length).toBeGreaterThan(1);
    expect(files.filter((file) => !under(file, "runtime/thread"))).toEqual([]);
  });

  test("a channel imports no other channel, and actors and channels know nothing of each other", () => {
    const channelOf = (file: string): string | undefined => /^channels\/([^/]+)\//.exec(file)?.[1];
    const wrong = codeTargets.filter((edge) => {
      const from = channelOf(edge.from);
      const to = channelOf(targetOf(edge));
      const acrossChannels = from !== undefined && to !== undefined && from !== to;
      const withActors =
        (under(edge.from, "actors") && under(targetOf(edge), "channels")) ||
        (under(edge.from, "channels") && under(targetOf(edge), "actors"));
      return acrossChannels || withActors;
    });
    expect(codeTargets.filter(({ from }) => channelOf(from) !== undefined).length).toBeGreaterThan(40);
    expect(wrong.map((edge) => `${edge.from} imports ${targetOf(edge)}`)).toEqual([]);
  });

  test("AC-04.2, A5.1: no code that runs in a cell reaches a socket, a device identity or the edge", () => {
    const files = programFiles.filter((file) => under(file, "actors") || under(file, "runtime/thread/cell"));
    expect(files.length).toBeGreaterThanOrEqual(10);
    const reached = reachedFrom(files);
    expect(reached.size).toBeGreaterThanOrEqual(files.length);
    const forbidden = /^(ws|node:(net|tls|http|https|http2|dgram|dns|inspector|child_process))$/;
    const wrong = edges.filter(
      ({ from, specifier, typeOnly }) =>
        reached.has(from) &&
        !typeOnly &&
        (forbidden.test(specifier) ||
          /device/.test(specifier) ||
          under(resolveImport(from, specifier), "runtime/edge")),
    );
    expect(wrong.map(({ from, specifier }) => `${from} imports ${specifier}`)).toEqual([]);
  });

  test("transcripts are cleaned and searched by readers alone: no other thread, nor the main one, has the code", () => {
    const reader = "runtime/readers/reader-thread.ts";
    const works = ["scrub", "history-view", "search"].map((name) => `runtime/readers/${name}.ts`);
    const entries = programFiles.filter((file) => /(?:-thread|-main|\/main|\/bootstrap|\/log-file)\.ts$/.test(file));
    expect(entries).toEqual(expect.arrayContaining(["runtime/main.ts", "runtime/edge/edge-thread.ts", reader]));
    const has = (file: string): readonly string[] => works.filter((work) => reachedFrom([file]).has(work));
    expect(entries.filter((file) => has(file).length > 0)).toEqual([reader]);
    expect(has(reader)).toEqual(works);
  });

  test("only the entries of threads are named by URL", () => {
    const files = programFiles.filter((file) => /new URL\([^)]*import\.meta\.url/.test(sourceOf(file).code));
    expect(files.filter((file) => file !== "runtime/thread/entries.ts")).toEqual([]);
  });

  const allowedAt = (places: readonly { readonly place: string }[], file: string): boolean =>
    places.some(({ place }) => under(file, place));

  test("environment, exit and console of the process are touched in few places", () => {
    const touches = /\bprocess\.(?:env|exit)\b|(?<![.\w])console\s*[.[]/;
    const files = codeFiles.filter((file) => touches.test(sourceOf(file).code));
    expect(files.length).toBeGreaterThan(3);
    expect(files.filter((file) => !allowedAt(processPlaces, file))).toEqual([]);
    expect(processPlaces.filter(({ place }) => !codeFiles.some((file) => under(file, place)))).toEqual([]);
  });

  test("no disk holds the main thread up", () => {
    const synchronous = /\b[a-z]\w*Sync\s*\(/;
    const files = programFiles.filter((file) => synchronous.test(sourceOf(file).code));
    expect(files.filter((file) => !allowedAt(synchronousPlaces, file))).toEqual([]);
    expect(synchronous.test(sourceOf("runtime/store/owner.ts").code)).toBe(true);
    expect(synchronousPlaces.filter(({ place }) => !codeFiles.some((file) => under(file, place)))).toEqual([]);
  });
});
