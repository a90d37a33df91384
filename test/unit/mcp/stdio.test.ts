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

test("one that ends takes with it whom it started, who is of its group", async () => {
  const script = "sleep 600 >/dev/null 2>&1 & echo $! >&2";
  const { transport, closed } = await start("/bin/sh", "-c", script);
  await closed;
  const [, left] = /: (\d+)$/.exec(transport.ended ?? "") ?? [];
  await eventually(() => expect(isAlive(Number(left))).toBe(false));
});

test("one that sends a message beyond the bound is ended, and that is why", async () => {
  const script = `const piece = "x".repeat(1_048_576);
    for (let sent = 0; sent <= ${limits.mcpMessageBytesMax}; sent += piece.length) process.stdout.write(piece);
    process.stdin.resume();`;
  const { transport, closed } = await start(process.execPath, "-e", script);
  await closed;
  expect(transport.ended).toBe(`it sent a message of more than ${limits.mcpMessageBytesMax} bytes`);
  expect(isAlive(transport.pid ?? 0)).toBe(false);
});

test("one is given no variable but its own, and of what it says as errors the end is told", async () => {
  process.env["MCP_CANARY"] = "canary-in-the-environment";
  try {
    const { transport, closed } = await start("/bin/sh", "-c", `printf '%01000d' 0 >&2; env >&2`);
    await closed;
    expect(transport.ended).toMatch(/^it ended with exit code 0: 0*PWD=\/$/);
    expect(transport.ended).not.toContain("canary");
    expect(transport.ended?.length).toBeLessThan(400);
  } finally {
    delete process.env["MCP_CANARY"];
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
