/** `/elevated`: who may choose, what is kept, and what is answered. What follows for commands: `tools/exec-tool.test.ts`. */
import { expect, test } from "vitest";
import type { ElevatedLevel } from "../../../runtime/kernel/session-choices.ts";
import type { SessionRow } from "../../../runtime/store/port.ts";
import { makeElevatedCommand } from "../../../runtime/supervisor/commands/elevated-command.ts";
import { type CommandCall, runCommand } from "../../../runtime/supervisor/commands/table.ts";
import type { SessionPatch } from "../../../runtime/supervisor/session-care.ts";
import { execSettings } from "../../support/exec-settings.ts";
import { makeConfig } from "../../support/gateway.ts";

function open(enabled = true, usual?: ElevatedLevel) {
  const exec = {
    ...execSettings(),
    elevated: {
      enabled,
      allowFrom: [{ telegram: ["7"] }, { "*": ["7", "9"] }],
      ...(usual === undefined ? {} : { usual }),
    },
  };
  const config = makeConfig([
    { id: "boxed", sandboxMode: "all", exec },
    { id: "free", exec },
  ]);
  const patches: SessionPatch[] = [];
  let choices: SessionRow["choices"];
  const row = () => ({ choices }) as unknown as SessionRow;
  const command = makeElevatedCommand({
    config,
    agents: new Map(config.agents.map((agent) => [agent.id, agent])),
    store: { session: async () => row() },
    care: {
      async patch(_key, _agent, patch) {
        patches.push(patch);
        choices = patch.elevated ? { elevated: patch.elevated } : undefined;
        return row();
      },
    },
  });
  const answer = (rest: string, who: Partial<CommandCall> = {}, agentId = "boxed") => {
    const call = { agentId, sessionKey: `agent:${agentId}:main`, channel: "telegram", isGroup: false, isOwner: false };
    return runCommand(command, { ...call, by: "t", ...who }, rest);
  };
  const give = async (...given: Parameters<typeof answer>): Promise<string> => (await answer(...given)).reply;
  return { answer, give, patches, command };
}

test("F135: /elevated is chosen by the operator and by whom every gate names, and says what follows", async () => {
  const { give, patches } = open();
  expect(await give("")).toBe("Elevated: where a call asks for it (security allowlist, ask on-miss), as configured.");
  expect(await give("FULL", { senderId: "7", channel: "Telegram" })).toBe(
    "Elevated: full in this session (security full, ask off).",
  );
  expect(await give("", { senderId: "8" })).toMatch(/^Elevated: full in this session/);
  expect(await give("ask")).toBe("Elevated: ask in this session (security allowlist, ask always).");
  expect(await give("default")).toMatch(/as configured\.$/);
  expect(patches).toEqual([{ elevated: "full" }, { elevated: "ask" }, { elevated: null }]);
});

test.each([
  ["a sender that no gate names", { senderId: "8" }, true, "you are not named (tools.elevated.allowFrom"],
  ["a sender that one gate names", { senderId: "9" }, true, "you are not named"],
  ["a sender of another channel", { senderId: "7", channel: "webhook" }, true, "you are not named"],
  ["the operator where it is off", {}, false, "it is off for boxed (tools.elevated.enabled"],
] as const)("F135: /elevated changes nothing for %s, but for the way back", async (_, who, enabled, said) => {
  const { give, patches } = open(enabled);
  for (const level of ["on", "ask", "full", "default"])
    expect(await give(level, who)).toContain(`Nothing was changed: ${said}`);
  expect(patches).toEqual([]);
  expect(await give("off", who)).toBe("Elevated: off in this session.");
});

test("F135: /elevated needs an operator's word to change, says where there is no sandbox, and how it is written", async () => {
  const { give, command, patches } = open();
  expect([command.needs?.(""), command.needs?.("on")]).toEqual([undefined, "operator.admin"]);
  expect(await give("", {}, "free")).toBe("Elevated: this session has no sandbox to leave.");
  expect(await give("fully run the tests")).toBe(
    "Nothing was done. Usage: /elevated [on|ask|full|off|default] [message]",
  );
  expect(patches).toEqual([]);
});

test("F135: /elevated tells what the config says where nobody has chosen, and goes back to it", async () => {
  const { give } = open(true, "full");
  expect(await give("")).toBe("Elevated: full, as configured (security full, ask off).");
  expect(await give("ask")).toBe("Elevated: ask in this session (security allowlist, ask always).");
  expect(await give("default")).toBe("Elevated: full, as configured (security full, ask off).");
  expect(await open(true, "off").give("")).toBe("Elevated: off, as configured.");
});

test("F135: /elevated with a message chooses for that message alone, of whom every gate names", async () => {
  const { answer, patches } = open();
  const named = { senderId: "7", channel: "telegram" };
  expect(await answer("FULL  run the tests\nand tell me", named)).toEqual({
    reply: "",
    message: "run the tests\nand tell me",
    choices: { elevated: "full" },
  });
  expect(await answer("off look around", { senderId: "8" })).toEqual({
    reply: "",
    message: "look around",
    choices: { elevated: "off" },
  });
  expect(await answer("on run the tests", { senderId: "8" })).toEqual({
    reply: expect.stringContaining("Nothing was done: you are not named (tools.elevated.allowFrom"),
  });
  expect(await open(false).answer("ask run the tests")).toEqual({
    reply: expect.stringContaining("Nothing was done: it is off for boxed"),
  });
  expect(await answer("default run the tests")).toEqual({ reply: expect.stringContaining("Usage: /elevated") });
  expect(patches).toEqual([]);
});
