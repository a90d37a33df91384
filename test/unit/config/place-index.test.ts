import { expect, test } from "vitest";
import { indexPlaces } from "../../../runtime/config/index.ts";

const index = indexPlaces([
  ["/state", undefined],
  ["/desk/ana", "ana"],
  ["/desk/ana/deep/er", "ana"],
  ["/desk/raul", "raul"],
  ["/both", "ana"],
  ["/both", "raul"],
  ["/only/ana/here", "ana"],
]);

test.each([
  ["/state", "ana", true, "it is nobody's"],
  ["/state/a/b", "ana", true, "it lies in nobody's"],
  ["/", "ana", true, "it holds nobody's"],
  ["/desk/ana", "ana", false, "it is her own"],
  ["/desk/ana/deep", "ana", false, "it is in her own, and holds her own"],
  ["/desk/ana/deep", "raul", true, "it is in another's"],
  ["/desk", "ana", true, "it holds another's beside her own"],
  ["/only", "ana", false, "it holds hers alone"],
  ["/only/ana", "raul", true, "it holds another's"],
  ["/both", "ana", true, "it is another's too"],
  ["/both/x", "raul", true, "it is in what is another's too"],
  ["/desk/anabel", "raul", false, "its name begins like another's"],
  ["/elsewhere/x", "ana", false, "it is near nothing"],
])("%s for %s: %s, since %s", (folder, owner, near) => {
  expect(index.isNear(folder, owner)).toBe(near);
});

test("the order of the places makes no difference", () => {
  const places = [
    ["/a/b/c", "ana"],
    ["/a/b", "raul"],
    ["/a/x", "ana"],
    ["/a", "ana"],
  ] as const;
  const asked = ["/", "/a", "/a/b", "/a/b/c", "/a/x", "/a/x/y", "/z"];
  const told = (order: readonly (readonly [string, string])[]): boolean[] =>
    asked.flatMap((folder) => ["ana", "raul", "tom"].map((owner) => indexPlaces(order).isNear(folder, owner)));
  const first = told(places);
  for (const from of places.keys())
    expect(told([...places.slice(from), ...places.slice(0, from)].toReversed())).toEqual(first);
});
