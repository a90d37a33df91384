/** What is said of docker before a command needs it, with a program in its place that answers as docker(1) does. */
import { mkdtempSync, readFileSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { afterAll, expect, test } from "vitest";
import { setupImage } from "../../../../runtime/tools/exec/docker.ts";
import { makeProbe } from "../../../../runtime/tools/exec/probe.ts";

const dirs: string[] = [];
afterAll(() => {
  for (const dir of dirs) rmSync(dir, { recursive: true, force: true });
});

/** An engine that has these images; undefined: none answers. */
function open(images: readonly string[] | undefined, more: { readonly tidies?: boolean } = {}) {
  const dir = realpathSync(mkdtempSync(path.join(os.tmpdir(), "cloister-probe-")));
  dirs.push(dir);
  const docker = path.join(dir, "docker");
  const answers = `#!${process.execPath}
const [verb, ...args] = process.argv.slice(2);
require("node:fs").appendFileSync("${dir}/calls", [verb, ...args].join(" ") + "\\n");
const images = ${JSON.stringify(images ?? null)};
const fail = (text) => { console.error(text); process.exit(1); };
if (images === null) fail("Cannot connect to the Docker daemon");
if (verb === "image" && !images.includes(args.at(-1))) fail("Error response from daemon: No such image: " + args.at(-1));
`;
  writeFileSync(docker, answers, { mode: 0o700 });
  let nowMs = 0;
  const probe = makeProbe({ nowMs: () => nowMs, docker, ...more });
  const verbs = (): readonly string[] =>
    readFileSync(path.join(dir, "calls"), "utf8")
      .trim()
      .split("\n")
      .map((line) => line.split(" ")[0] ?? "");
  return { probe, verbs, wait: (ms: number) => (nowMs += ms), docker };
}

const settings = { image: "debian:stable-slim" };
const ask = { backend: "docker", settings } as const;

test("an image that the engine has is no fault, one that it has not is told with the command that gets it", async () => {
  expect(await open(["debian:stable-slim"]).probe.state(ask)).toEqual({ backend: "docker", works: true });
  expect(await open(["alpine"]).probe.state(ask)).toEqual({
    backend: "docker",
    works: false,
    why: "the engine has no image debian:stable-slim: docker pull debian:stable-slim",
  });
});

test("what a setupCommand has left needs its image no more", async () => {
  const setUp = { ...settings, setupCommand: "apt-get install -y git" };
  const asked = { backend: "docker", settings: setUp } as const;
  expect(await open([setupImage(setUp)]).probe.state(asked)).toMatchObject({ works: true });
  expect(await open(["debian:stable-slim"]).probe.state(asked)).toMatchObject({ works: true });
  expect(await open([]).probe.state(asked)).toMatchObject({
    works: false,
    why: expect.stringContaining("docker pull"),
  });
});

test("an engine that does not answer, and a client that is not there, are told as that", async () => {
  expect(await open(undefined).probe.state(ask)).toMatchObject({
    works: false,
    why: "Cannot connect to the Docker daemon: no engine answers",
  });
  const { docker } = open([]);
  rmSync(docker);
  expect(await makeProbe({ docker }).state(ask)).toMatchObject({
    why: "docker is not installed: no engine answers",
  });
});

test("the engine is asked once a minute, and each image", async () => {
  const { probe, verbs, wait } = open(["debian:stable-slim"], { tidies: false });
  await probe.state(ask);
  await probe.state(ask);
  await probe.state({ backend: "docker" });
  expect(verbs()).toEqual(["version", "image"]);
  await probe.state({ ...ask, settings: { image: "alpine" } });
  expect(verbs()).toEqual(["version", "image", "image"]);
  wait(60_000);
  await probe.state(ask);
  expect(verbs()).toEqual(["version", "image", "image", "version", "image"]);
});
