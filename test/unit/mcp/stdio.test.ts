/** A server that is a process, where it does what no server should. */
import { expect, test, vi } from "vitest";
import { limits } from "../../../runtime/kernel/limits.ts";
import { makeStdioTransport } from "../../../runtime/mcp/stdio.ts";
import { eventually } from "../../support/eventually.ts";
import { isAlive } from "../../support/processes.ts";

const start = async (command: string, ...args: readonly string[]) => {
  const closed = Promise.withResolvers<void>();
  const transport = makeStdioTransport({ command, args, env: {}, cwd: "/", onProcess: () => undefined });
  Object.assign(transport, { onclose: () => closed.resolve() });
  await transport.start();
  return { transport, closed: closed.promise };
};

test("one that ends is gone also when what it started left its group and holds its output open", async () => {
  const idle = "setTimeout(() => {}, 60_000)";
  const script = `const child = require("node:child_process").spawn(process.execPath, ["-e", ${JSON.stringify(idle)}], { detached: true, stdio: "inherit" });
    process.stderr.write(String(child.pid));
    child.unref();`;
  const { transport, closed } = await start(process.execPath, "-e", script);
  await closed;
  const [, pid] = /^it ended with exit code 0: (\d+)$/.exec(transport.ended ?? "") ?? [];
  expect(isAlive(Number(pid))).toBe(true);
  process.kill(Number(pid), "SIGKILL");
  await transport.close();
});

test("one that has ended is sent no signal more: its number may be another's by now", async () => {
  const idle = "setTimeout(() => {}, 60_000)";
  const script = `const child = require("node:child_process").spawn(process.execPath, ["-e", ${JSON.stringify(idle)}], { detached: true, stdio: "inherit" });
    process.stderr.write(String(child.pid));
    child.unref();
    process.stdin.resume();`;
  const told: string[] = [];
  const kill = vi.spyOn(process, "kill").mockImplementation((_pid, name) => {
    told.push(String(name));
    return true;
  });
  try {
    const transport = makeStdioTransport({
      command: process.execPath,
      args: ["-e", script],
      env: {},
      cwd: "/",
      onProcess: (_pid, isRunning) => void (isRunning || told.push("ended")),
    });
    await transport.start();
    // Its end comes with that of its input; what holds its output keeps the wait going.
    await transport.close();
    expect(told).toEqual(["SIGKILL", "ended"]);
    const [, left] = /: (\d+)$/.exec(transport.ended ?? "") ?? [];
    kill.mockRestore();
    process.kill(Number(left), "SIGKILL");
  } finally {
    kill.mockRestore();
  }
});

test("one that reads nothing is sent no more than its bound, and ends when it is told to", async () => {
  const { transport, closed } = await start("sleep", "600");
  const params = { text: "x".repeat(limits.mcpMessageBytesMax) };
  const send = () => transport.send({ jsonrpc: "2.0", method: "notifications/x", params });
  const sent = send();
  await expect(send()).rejects.toThrow("does not read");
  await transport.close();
  await Promise.all([sent, closed]);
  await eventually(() => expect(isAlive(transport.pid ?? 0)).toBe(false));
});
