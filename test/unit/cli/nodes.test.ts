/** `cloister nodes` against a scripted gateway. */
import { describe, expect, it } from "vitest";
import { useCliHome } from "./cli-home.ts";

const cli = useCliHome();
const here = {
  nodeId: "a".repeat(64),
  displayName: "Camera",
  platform: "linux",
  commands: ["camera.snap"],
  connected: true,
  connectedAtMs: 60_000,
};
const away = { ...here, nodeId: "b".repeat(64), displayName: "Phone", connected: false, lastSeenAtMs: 1 };

describe("cloister nodes", () => {
  it("lists those that are there and those that are away", async () => {
    await cli.serve((asked, { answer }) => answer(asked, { nodes: [here, away] }));
    expect(await cli.run("nodes")).toBe(0);
    const [, first = "", second = ""] = cli.terminal.outText().split("\n");
    expect(first).toMatch(/Camera +linux +camera\.snap +\d.* ago +now/);
    expect(second).toMatch(/Phone +linux +camera\.snap +no +\d.* ago/);
  });

  it("describe tells what waits for an approval from what the config denies, and ends with 1 when the node is away", async () => {
    const declared = ["camera.snap", "location.get", "screen.record"];
    const described = (connected: boolean) => ({ ...here, connected, declared, denied: ["screen.record"] });
    await cli.serve((asked, { answer }) => answer(asked, described(true)));
    expect(await cli.run("nodes", "describe", here.nodeId)).toBe(0);
    expect(cli.terminal.outText()).toContain(
      [
        "connected: since 1970-01-01 00:01:00",
        "may be asked for: camera.snap",
        "waits for an approval: location.get",
        "denied by the config: screen.record",
      ].join("\n"),
    );
    await cli.serve((asked, { answer }) => answer(asked, described(false)));
    expect(await cli.run("nodes", "describe", here.nodeId)).toBe(1);
  });
});
