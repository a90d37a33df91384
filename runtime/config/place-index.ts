/** Places that belong to somebody, asked for by a folder: what it costs does not grow with their number. Pure, over absolute paths. */
import path from "node:path";

export interface PlaceIndex {
  /** Whether a place of anybody else is the folder, lies in it, or holds it. */
  isNear(folder: string, owner: string): boolean;
}

/** Of no owner: everybody else's. */
export function indexPlaces(places: Iterable<readonly [place: string, owner: string | undefined]>): PlaceIndex {
  // By folder: the one whose place it is, or whose places are all that lie below it; undefined: somebody else has one as well.
  const at = new Map<string, string | undefined>();
  const below = new Map<string, string | undefined>();
  for (const [place, owner] of places) {
    mark(at, place, owner);
    for (const folder of above(place)) {
      if (below.has(folder) && (below.get(folder) === undefined || below.get(folder) === owner)) break;
      mark(below, folder, owner);
    }
  }
  const isOthers = (marks: typeof at, folder: string, owner: string): boolean =>
    marks.has(folder) && marks.get(folder) !== owner;
  return {
    isNear: (folder, owner) =>
      isOthers(below, folder, owner) || [folder, ...above(folder)].some((each) => isOthers(at, each, owner)),
  };
}

function mark(marks: Map<string, string | undefined>, folder: string, owner: string | undefined): void {
  marks.set(folder, marks.has(folder) && marks.get(folder) !== owner ? undefined : owner);
}

/** The folders that it is in, the next one first. */
function* above(place: string): Generator<string> {
  for (let at = place; path.dirname(at) !== at; ) {
    at = path.dirname(at);
    yield at;
  }
}
