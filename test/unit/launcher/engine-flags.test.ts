import { execFileSync } from "node:child_process";
import { describe, expect, it } from "vitest";
import { gatewayCommand } from "../../../runtime/cli/commands/launch.ts";
import { limits } from "../../../runtime/kernel/limits.ts";
import { engineFlags, gatewayFlags } from "../../../runtime/launcher/engine-flags.ts";

describe("the options of V8", () => {
  it.each([
    [
      "24.0.0",
      ["--single-threaded-gc", "--no-allocation-site-pretenuring", "--wasm-wrapper-tiering-budget=2147483647"],
    ],
    [
      "25.9.1",
      ["--single-threaded-gc", "--no-allocation-site-pretenuring", "--wasm-wrapper-tiering-budget=2147483647"],
    ],
    ["26.0.0", ["--single-threaded-gc", "--no-allocation-site-pretenuring"]],
    ["30.1.2", ["--single-threaded-gc", "--no-allocation-site-pretenuring"]],
  ])("for Node %s are %j", (version, flags) => {
    expect(engineFlags(version)).toEqual(flags);
  });

  it("are taken by the Node that runs this, and this process has them", () => {
    const flags = engineFlags(process.versions.node);
    expect(execFileSync(process.execPath, [...flags, "--eval", "console.log(1)"], { encoding: "utf8" })).toBe("1\n");
    for (const flag of flags) expect(process.execArgv).toContain(flag);
  });

  it("bound the young generation of the gateway's main thread", () => {
    const oldMb = 500;
    const flags = [...gatewayFlags(process.versions.node), `--max-old-space-size=${oldMb}`];
    const told = execFileSync(
      process.execPath,
      [...flags, "--print", "require('node:v8').getHeapStatistics().heap_size_limit"],
      { encoding: "utf8" },
    );
    expect(Number(told) / 1_048_576).toBe(oldMb + limits.mainYoungGenerationMb);
  });

  it("stand before everything else in the gateway's command line", () => {
    const self = ["/bin/node", "--enable-source-maps", "main.js"] as const;
    expect(gatewayCommand(self, ["gateway", "--port", "0"], "24.3.0")).toEqual([
      "/bin/node",
      "--single-threaded-gc",
      "--no-allocation-site-pretenuring",
      "--wasm-wrapper-tiering-budget=2147483647",
      "--max-semi-space-size=8",
      "--enable-source-maps",
      "main.js",
      "gateway",
      "--port",
      "0",
    ]);
    expect(gatewayCommand(self, ["gateway"], "26.1.0")).toEqual([
      "/bin/node",
      "--single-threaded-gc",
      "--no-allocation-site-pretenuring",
      "--max-semi-space-size=8",
      "--enable-source-maps",
      "main.js",
      "gateway",
    ]);
  });
});
