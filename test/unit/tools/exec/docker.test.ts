/** What docker is asked for, argument by argument: no engine runs here. Source: docker run(1), behaviour §7.1. */
import { describe, expect, test } from "vitest";
import { resolveBox } from "../../../../runtime/config/exec.ts";
import { type DockerRun, dockerArguments, setupArguments, setupImage } from "../../../../runtime/tools/exec/docker.ts";
import type { Box } from "../../../../runtime/tools/port.ts";

type Docker = Parameters<typeof resolveBox>[0];

const boxOf = (docker: Docker = {}, more: Partial<Box> = {}): Box => ({
  type: "docker",
  folder: "/srv/box",
  inside: "/workspace",
  writable: true,
  hidden: [],
  settings: resolveBox(docker),
  ...more,
});

const run = (box: Box, more: Partial<DockerRun> = {}): ReturnType<typeof dockerArguments> =>
  dockerArguments({
    box,
    hidden: [],
    vector: { argv: ["git", "log", "--oneline"], cwd: "/workspace/repo", env: {} },
    image: box.settings.image,
    name: "cloister-1",
    gateway: "7-boot",
    hasInput: false,
    owner: { uid: 501, gid: 20 },
    ...more,
  });

/** The value after each time that the option is given. */
const valuesOf = (args: readonly string[], option: string): readonly string[] =>
  args.flatMap((one, at) => (one === option ? [args[at + 1] ?? ""] : []));

test("by default a container has no network, no capability, no root that can be written, and is removed", () => {
  const { args } = run(boxOf());
  expect(args).toEqual(
    [
      ["run", "--rm", "--init", "--name", "cloister-1", "--label", "cloister.gateway=7-boot", "--pull", "never"],
      ["--network", "none", "--user", "501:20", "--security-opt", "no-new-privileges"],
      ["--memory", expect.stringMatching(/^\d+$/), "--pids-limit", expect.stringMatching(/^\d+$/)],
      ["--cap-drop", "ALL", "--read-only"],
      ["--tmpfs", "/tmp", "--tmpfs", "/var/tmp", "--tmpfs", "/run"],
      ["--mount", 'type=bind,"src=/srv/box","dst=/workspace"', "--workdir", "/workspace/repo"],
      ["--entrypoint", "git", "debian:stable-slim", "log", "--oneline"],
    ].flat(),
  );
});

describe("what the config says", () => {
  test.each<readonly [string, Docker, string, readonly string[]]>([
    ["network", { network: "bridge" }, "--network", ["bridge"]],
    ["user", { user: "0:0" }, "--user", ["0:0"]],
    ["capDrop", { capDrop: ["NET_RAW", "MKNOD"] }, "--cap-drop", ["NET_RAW", "MKNOD"]],
    ["memory", { memory: "512m" }, "--memory", [String(512 * 1_048_576)]],
    ["cpus", { cpus: 1.5 }, "--cpus", ["1.5"]],
    ["pidsLimit", { pidsLimit: 17 }, "--pids-limit", ["17"]],
    ["tmpfs", { tmpfs: ["/scratch"] }, "--tmpfs", ["/scratch"]],
    [
      "binds",
      { binds: ["/opt/data:/data", "/opt/out:/out:rw"] },
      "--mount",
      [
        'type=bind,"src=/srv/box","dst=/workspace"',
        'type=bind,"src=/opt/data","dst=/data",readonly',
        'type=bind,"src=/opt/out","dst=/out"',
      ],
    ],
  ])("%s", (_key, docker, option, wanted) => {
    expect(valuesOf(run(boxOf(docker)).args, option)).toEqual(wanted);
  });

  test("readOnlyRoot", () => {
    expect(run(boxOf({ readOnlyRoot: false })).args).not.toContain("--read-only");
  });
});

test("a folder that is only read is mounted so, and a name with a comma begins no field of its own", () => {
  const { args } = run(boxOf({}, { folder: '/srv/a,readonly,dst=/etc/"b"', writable: false }));
  expect(valuesOf(args, "--mount")).toEqual([
    'type=bind,"src=/srv/a,readonly,dst=/etc/""b""","dst=/workspace",readonly',
  ]);
});

test("a folder of root is worked in by nobody who is root", () => {
  expect(valuesOf(run(boxOf(), { owner: { uid: 0, gid: 0 } }).args, "--user")).toEqual(["1000:1000"]);
});

test.each<readonly [string, Docker, number, readonly string[], readonly string[]]>([
  ["root in the folder of another may enter it", { user: "0:0" }, 501, ["ALL"], ["DAC_OVERRIDE"]],
  ["so may root without a group", { user: "0" }, 501, ["ALL"], ["DAC_OVERRIDE"]],
  ["root in its own folder needs nothing", { user: "0:0" }, 0, ["ALL"], []],
  ["others need nothing", { user: "1000:0" }, 501, ["ALL"], []],
  ["what the config takes is gone", { user: "0:0", capDrop: ["ALL"] }, 501, ["ALL"], []],
])("of capabilities, %s", (_what, docker, uid, lost, given) => {
  const { args } = run(boxOf(docker), { owner: { uid, gid: 20 } });
  expect(valuesOf(args, "--cap-drop")).toEqual(lost);
  expect(valuesOf(args, "--cap-add")).toEqual(given);
});

test("values of the operator's variables stand in no list of processes, but for those that the client goes by itself", () => {
  const env = { TOKEN: "secret", PATH: "/bin", DOCKER_HOST: "tcp://elsewhere", https_proxy: "http://proxy" };
  const found = run(boxOf({ env }), { vector: { argv: ["env"], cwd: "/workspace", env } });
  expect(valuesOf(found.args, "--env")).toEqual([
    "TOKEN",
    "PATH=/bin",
    "DOCKER_HOST=tcp://elsewhere",
    "https_proxy=http://proxy",
  ]);
  expect(found.env).toEqual({ TOKEN: "secret" });
});

test("nothing that a call sets is in the environment of the client, which runs outside of the sandbox", () => {
  const env = { LD_PRELOAD: "/srv/box/x.so", ANY: "thing", TOKEN: "another" };
  const found = run(boxOf({ env: { TOKEN: "secret" } }), { vector: { argv: ["env"], cwd: "/workspace", env } });
  expect(valuesOf(found.args, "--env")).toEqual(["LD_PRELOAD=/srv/box/x.so", "ANY=thing", "TOKEN=another"]);
  expect(found.env).toEqual({});
});

test("what is hidden is covered where a mount would show it", () => {
  const hidden = [
    { path: "/srv/box/state", isFolder: true },
    { path: "/srv/box/a/config.json", isFolder: false },
    { path: "/srv/other", isFolder: true },
    { path: "/srv/box", isFolder: true },
  ];
  expect(valuesOf(run(boxOf(), { hidden }).args, "--mount")).toEqual([
    'type=bind,"src=/srv/box","dst=/workspace"',
    'type=tmpfs,"dst=/workspace/state",tmpfs-size=4096,tmpfs-mode=0500,readonly',
    'type=bind,src=/dev/null,"dst=/workspace/a/config.json",readonly',
  ]);
});

test("input is open only for what is written to", () => {
  expect(run(boxOf(), { hasInput: true }).args).toContain("--interactive");
  expect(run(boxOf()).args).not.toContain("--interactive");
});

test("a setupCommand runs without the folder, and gives an image that only the same command and image have", () => {
  const docker = { network: "bridge", readOnlyRoot: false, user: "0:0", setupCommand: "apt-get install -y git" };
  const args = setupArguments(boxOf(docker), "cloister-1-setup", "7-boot", { uid: 501, gid: 20 });
  expect(args).not.toContain("--mount");
  expect(valuesOf(args, "--pull")).toEqual(["never"]);
  expect(args.slice(-5)).toEqual(["--entrypoint", "sh", "debian:stable-slim", "-lc", "apt-get install -y git"]);
  const image = setupImage(resolveBox(docker));
  expect(image).toMatch(/^cloister-sandbox:[0-9a-f]{24}$/);
  expect(setupImage(resolveBox({ ...docker, memory: "1g" }))).toBe(image);
  expect(setupImage(resolveBox({ ...docker, image: "alpine" }))).not.toBe(image);
  expect(setupImage(resolveBox({ ...docker, setupCommand: "true" }))).not.toBe(image);
});

test("F132: a setupCommand has the capabilities that a package manager needs, unless the config takes them", () => {
  const docker = { network: "bridge", readOnlyRoot: false, user: "0:0", setupCommand: "apt-get install -y git" };
  const capsOf = (box: Box) => {
    const args = setupArguments(box, "cloister-1-setup", "7-boot", { uid: 501, gid: 20 });
    expect(valuesOf(args, "--security-opt")).toEqual(["no-new-privileges"]);
    return [...valuesOf(args, "--cap-drop"), ...valuesOf(args, "--cap-add")];
  };
  expect(capsOf(boxOf(docker))).toEqual([]);
  expect(capsOf(boxOf({ ...docker, capDrop: ["NET_RAW"] }))).toEqual(["NET_RAW"]);
});
