/** Places for tries of models: no more than there are, and none for an agent that has its share while others wait. */
import { expect, test } from "vitest";
import { makePlaces } from "../../../runtime/broker/places.ts";

const never = new AbortController().signal;

/** Who got a place, in order, with what gives it back. */
function open(max: number, ofOneMax: number) {
  const places = makePlaces(max, ofOneMax);
  const inside: { readonly name: string; readonly leave: () => void }[] = [];
  const enter = (name: string, signal = never): Promise<unknown> =>
    places.enter(name.charAt(0), signal).then(
      (leave) => void inside.push({ name, leave }),
      (error: unknown) => error,
    );
  return { enter, inside, names: () => inside.map(({ name }) => name) };
}

const settled = (): Promise<void> => new Promise((resolve) => void setImmediate(resolve));

test("an agent that takes all it can leaves places for others, and waits for its own", async () => {
  const { enter, inside, names } = open(4, 2);
  for (const name of ["a1", "a2", "a3", "a4", "b1"]) void enter(name);
  await settled();
  expect(names()).toEqual(["a1", "a2", "b1"]);
  inside[0]?.leave();
  inside[0]?.leave();
  await settled();
  expect(names()).toEqual(["a1", "a2", "b1", "a3"]);
});

test("a place that is free goes to the agent that has the fewest, and among those to who came first", async () => {
  const { enter, inside, names } = open(3, 2);
  for (const name of ["a1", "a2", "b1", "a3", "b2", "c1", "d1"]) void enter(name);
  await settled();
  inside[0]?.leave();
  await settled();
  expect(names()).toEqual(["a1", "a2", "b1", "c1"]);
  inside[1]?.leave();
  inside[2]?.leave();
  await settled();
  expect(names().slice(4)).toEqual(["a3", "b2"]);
});

test("who is stopped waits no more, and takes no place", async () => {
  const { enter, inside, names } = open(1, 1);
  void enter("a1");
  const stop = new AbortController();
  const stopped = enter("b1", stop.signal);
  void enter("c1");
  stop.abort(new Error("stopped"));
  expect(await stopped).toMatchObject({ message: "stopped" });
  expect(await enter("d1", stop.signal)).toMatchObject({ message: "stopped" });
  inside[0]?.leave();
  await settled();
  expect(names()).toEqual(["a1", "c1"]);
});
