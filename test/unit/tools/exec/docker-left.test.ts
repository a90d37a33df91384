/** Containers that a killed gateway has left, with a program in docker's place that answers as docker(1) does. */
import { expect, test } from "vitest";
import { removeLeftContainers } from "../../../../runtime/tools/exec/docker-left.ts";

const [gone, alive, other] = ["a", "b", "c"].map((letter) => letter.repeat(64));

/** What docker was asked, in order. */
function fakeDocker(listed: { readonly ok: boolean; readonly text: string }, removes = true) {
  const calls: string[] = [];
  const docker = async (args: readonly string[]) => {
    calls.push(args.join(" "));
    return args[0] === "ps" ? listed : { ok: removes, text: "" };
  };
  return { calls, docker };
}

const isGone = async (gateway: string) => gateway === "pid:[1] 7 100";

test("those whose gateway is gone are removed by one call, and no others", async () => {
  const text = `${gone} pid:[1] 7 100\n${alive} pid:[1] 8 200\n${other} pid:[1] 7 100\nnot a line\n`;
  const { calls, docker } = fakeDocker({ ok: true, text });
  expect(await removeLeftContainers(docker, isGone)).toEqual([gone, other]);
  expect(calls).toEqual([
    'ps --all --no-trunc --filter label=cloister.gateway --format {{.ID}} {{.Label "cloister.gateway"}}',
    `rm --force ${gone} ${other}`,
  ]);
});

test("nothing is removed where nothing is left, where no engine answers, and of a gateway that says nothing of itself", async () => {
  for (const listed of [
    { ok: true, text: `${alive} pid:[1] 8 200\n${other} \n` },
    { ok: true, text: "" },
    { ok: false, text: `${gone} pid:[1] 7 100\n` },
  ]) {
    const { calls, docker } = fakeDocker(listed);
    expect(await removeLeftContainers(docker, isGone)).toEqual([]);
    expect(calls).toHaveLength(1);
  }
});

test("what the engine does not remove is told as left", async () => {
  const { docker } = fakeDocker({ ok: true, text: `${gone} pid:[1] 7 100\n` }, false);
  expect(await removeLeftContainers(docker, isGone)).toEqual([]);
});
