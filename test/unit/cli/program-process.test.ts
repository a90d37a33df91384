/** The program as a process of its own: version check, exit codes, streams. */
import { execFile } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, describe, expect, it } from "vitest";

const main = fileURLToPath(new URL("../../../runtime/main.ts", import.meta.url));
const example = fileURLToPath(new URL("../../../examples/siblings/cloister.json5", import.meta.url));

let home: string;
beforeEach(async () => {
  home = await mkdtemp(path.join(tmpdir(), "cloister-cli-"));
});
afterEach(async () => {
  await rm(home, { recursive: true, force: true });
});

interface Ended {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

function run(args: readonly string[], nodeArgs: readonly string[] = []): Promise<Ended> {
  return new Promise((resolve) => {
    const env = { HOME: home, USERPROFILE: home, PATH: process.env["PATH"] };
    execFile(process.execPath, [...nodeArgs, main, ...args], { env }, (error, out, err) => {
      resolve({ code: error === null ? 0 : Number(error.code), out, err });
    });
  });
}

const configFile = async (text: string): Promise<string> => {
  const file = path.join(home, "cloister.json5");
  await writeFile(file, text);
  return file;
};

const pretend = (version: string): readonly string[] => [
  "--import",
  `data:text/javascript,Object.defineProperty(process,"versions",{value:{...process.versions,node:"${version}"}})`,
];

describe("the Node version", () => {
  it.each(["18.20.4", "22.17.0", "23.11.1"])(
    "%s is refused in one line, before anything else is loaded",
    async (version) => {
      const { code, out, err } = await run(["--version"], pretend(version));
      expect({ code, out }).toEqual({ code: 1, out: "" });
      expect(err).toBe(
        `cloister: found Node ${version}, wanted 24 or newer; install Node 24 or newer from https://nodejs.org, or run it with \`npx node@26\`\n`,
      );
    },
  );

  it.each(["24.0.0", "26.9.0"])("%s is taken", async (version) => {
    expect((await run(["--version"], pretend(version))).out).toMatch(/^cloister \d+\.\d+\.\d+\n$/);
  });
});

describe("config validate", () => {
  it("a good file: exit 0, one line", async () => {
    const file = await configFile('{ agents: { list: [{ id: "main" }, { id: "raul" }] } }');
    const { code, out } = await run(["--config", file, "config", "validate"]);
    expect({ code, out }).toEqual({ code: 0, out: `${file} is valid: 2 agents, 0 bindings\n` });
  });

  it("the shipped example is valid", async () => {
    const { code, err } = await run(["config", "validate", "--config", example]);
    expect({ code, err }).toEqual({ code: 0, err: "" });
  });

  it("no file: the defaults, exit 0", async () => {
    const { code, out } = await run(["config", "validate"]);
    expect({ code, out }).toEqual({
      code: 0,
      out: `there is no config at ${path.join(home, ".cloister", "cloister.json")}: the defaults are used\n`,
    });
  });

  it("a bad file: exit 1, every issue on its own line with what to do, nothing on stdout", async () => {
    const file = await configFile(
      '{\n  gateway: { prot: 1 },\n  bindings: [{ agentId: "nobody", match: { channel: "webhook" } }],\n  agentz: {},\n}',
    );
    const { code, out, err } = await run(["config", "validate", "--config", file]);
    expect({ code, out }).toEqual({ code: 1, out: "" });
    expect(err).toMatch(/^.*cloister\.json5: \d problems\n/);
    expect(err).toMatch(/:2 gateway\.prot: .*port/);
    expect(err).toMatch(/:4 agentz: .*agents/);
  });

  it("--json: the same as data, for good and bad", async () => {
    const good = await run(["config", "validate", "--json", "--config", await configFile("{}")]);
    expect([good.code, JSON.parse(good.out)]).toMatchObject([0, { ok: true, configExists: true, agents: ["main"] }]);
    const bad = await run(["config", "validate", "--json", "--config", await configFile("{ agentz: {} }")]);
    expect([bad.code, JSON.parse(bad.out)]).toMatchObject([
      1,
      { ok: false, error: { code: "CLOISTER_CONFIG_INVALID" }, issues: [{ path: "agentz" }] },
    ]);
    expect(bad.err).toBe("");
  });

  it("a file that does not parse, or is not there: exit 1, with the code and what to do", async () => {
    const broken = await run(["config", "validate", "--config", await configFile("{ a: ")]);
    expect(broken.code).toBe(1);
    expect(broken.err).toContain("CLOISTER_CONFIG_UNREADABLE");
    const missing = await run(["config", "validate", "--config", path.join(home, "none.json")]);
    expect(missing.code).toBe(1);
    expect(missing.err).toMatch(/^cloister: .*none\.json.*\n {2}→ .*\n {2}CLOISTER_CONFIG_UNREADABLE\n$/);
  });

  it("config path prints the path alone", async () => {
    expect((await run(["config", "path", "--profile", "x"])).out).toBe(
      `${path.join(home, ".cloister-x", "cloister.json")}\n`,
    );
  });
});

describe("exit codes", () => {
  it("wrong usage is 2, on stderr", async () => {
    const { code, out, err } = await run(["gatway"]);
    expect({ code, out }).toEqual({ code: 2, out: "" });
    expect(err).toContain("unknown command 'gatway'");
  });

  it("no gateway is 1, with how to start one", async () => {
    const file = await configFile("{ gateway: { port: 1 } }");
    const { code, out, err } = await run(["status", "--config", file]);
    expect({ code, out }).toEqual({ code: 1, out: "" });
    expect(err).toBe(
      "cloister: Talking to the gateway at ws://127.0.0.1:1/: nothing listens there.\n  → Start it with `cloister gateway`, or name another one with --url.\n  CLOISTER_GATEWAY_UNREACHABLE\n",
    );
  });
});
